package main

import (
	"io"

	"github.com/chiron-faas/chiron/pipeline"
)

func textExamination(e *pipeline.Examination) func(io.Writer, style) {
	return func(w io.Writer, s style) {
		m := e.Machine
		printf(w, "%s\n\n", s.bold(fit(m.CPUModel+", "+m.OS+"/"+m.Arch+", kernel "+m.Kernel, width)))
		subject := ""
		for _, f := range e.Findings {
			shown := f.Subject
			if shown == subject {
				shown = "" // said in the line above
			}
			subject = f.Subject
			mark := s.good("+")
			switch f.Level {
			case pipeline.Lacks:
				mark = s.accent("-")
			case pipeline.Missing:
				mark = s.bad("!")
			}
			const indent = 14
			printf(w, "%s %s%s\n", mark, pad(s.bold(shown), indent-2, len([]rune(shown))), wrapped(f.Found, indent))
			if f.Cost != "" {
				printf(w, "%*s%s\n", indent, "", wrapped("cost: "+f.Cost, indent))
			}
			if f.Fix != "" {
				printf(w, "%*s%s\n", indent, "", wrapped("to do: "+f.Fix, indent))
			}
		}
		if !e.Usable() {
			printf(w, "\n%s\n", s.bad("chiron cannot work here before what is marked ! is there"))
		}
	}
}
