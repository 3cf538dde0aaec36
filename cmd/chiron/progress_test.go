package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/chiron-faas/chiron/pipeline"
)

func notes() []pipeline.Note {
	return []pipeline.Note{
		{Step: "profile", Text: "greet: run 1", Done: 0, Total: 2, Passing: true},
		{Step: "profile", Text: "greet: measured", Done: 1, Total: 2},
		{Step: "plan", Text: strings.Repeat("long ", 40)},
	}
}

func TestProgressInAPipe(t *testing.T) {
	for _, c := range []struct {
		verbose bool
		want    string
	}{
		{false, "profile 1/2: greet: measured\n"},
		{true, "profile 0/2: greet: run 1\nprofile 1/2: greet: measured\n"},
	} {
		var err bytes.Buffer
		a := &app{err: &err, env: func(string) string { return "" }, verbose: c.verbose}
		p := a.progress()
		for _, n := range notes()[:2] {
			p.note(n)
		}
		p.end()
		if err.String() != c.want {
			t.Errorf("verbose %v: %q, want %q", c.verbose, err.String(), c.want)
		}
	}
}

func TestProgressOnATerminal(t *testing.T) {
	var err bytes.Buffer
	p := &progress{app: &app{err: &err}, live: true, width: 40}
	for _, n := range notes() {
		p.note(n)
	}
	p.end()
	got := err.String()
	if strings.Contains(got, "\n") || !strings.HasSuffix(got, "\r\x1b[K") {
		t.Errorf("a redrawn line has no end of line, and is cleared at the end: %q", got)
	}
	for _, line := range strings.Split(got, "\r\x1b[K") {
		if n := len([]rune(line)); n > 40 {
			t.Errorf("%d characters wide, over 40: %q", n, line)
		}
	}
}

func TestStyle(t *testing.T) {
	if got := (style{on: true}).bad("x"); got != "\x1b[31mx\x1b[0m" {
		t.Errorf("with colour: %q", got)
	}
	if got := (style{}).bad("x"); got != "x" {
		t.Errorf("without: %q", got)
	}
	a := &app{env: func(string) string { return "" }}
	if a.style(&bytes.Buffer{}).on {
		t.Error("colour where there is no terminal")
	}
}
