package main

import (
	"fmt"
	"io"
)

func textUp(r upReport) func(io.Writer, style) {
	return func(w io.Writer, s style) {
		printf(w, "%s serves at %s\n", s.bold(r.Name), s.accent(r.URL+"/function/"+r.Name))
		printf(w, "functions by themselves: %s\n", wrapped(listed(r.Functions), len("functions by themselves: ")))
		printf(w, "%s\n", s.dim(fmt.Sprintf("call it: chiron invoke %s; watch it: chiron ps, chiron logs; stop it: chiron down %s", r.Name, r.Name)))
	}
}
