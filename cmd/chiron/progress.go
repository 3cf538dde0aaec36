package main

import (
	"fmt"
	"os"
	"time"

	"golang.org/x/term"

	"github.com/chiron-faas/chiron/pipeline"
)

// redrawEvery is how often a line is redrawn at most.
const redrawEvery = 80 * time.Millisecond

// progress shows on standard error what a long work is doing: on a terminal as
// one line that is redrawn, else as plain lines, without the passing ones. It
// belongs to one goroutine.
type progress struct {
	app   *app
	style style
	live  bool
	width int // of the line, characters
	drawn bool
	last  time.Time
}

func (a *app) progress() *progress {
	p := &progress{app: a, style: a.style(a.err), live: a.isTerminal(a.err), width: width}
	if f, ok := a.err.(*os.File); ok && p.live {
		// A line that breaks cannot be redrawn.
		if columns, _, err := term.GetSize(int(f.Fd())); err == nil && columns > 0 {
			p.width = min(p.width, columns-1)
		}
	}
	return p
}

// note implements pipeline.Progress.
func (p *progress) note(n pipeline.Note) {
	count := ""
	if n.Total > 0 {
		count = fmt.Sprintf(" %d/%d", n.Done, n.Total)
	}
	if !p.live {
		if !n.Passing || p.app.verbose {
			printf(p.app.err, "%s%s: %s\n", n.Step, count, n.Text)
		}
		return
	}
	if n.Passing {
		if time.Since(p.last) < redrawEvery {
			return
		}
		p.last = time.Now()
	}
	head := fit(n.Step+count, p.width)
	printf(p.app.err, "\r\x1b[K%s %s", p.style.accent(head), fit(n.Text, max(p.width-len(head)-1, 0)))
	p.drawn = true
}

// passing is what takes a step's texts.
func (p *progress) passing(step string) func(text string) {
	return func(text string) { p.note(pipeline.Note{Step: step, Text: text, Passing: true}) }
}

// end clears the line.
func (p *progress) end() {
	if p.drawn {
		printf(p.app.err, "\r\x1b[K")
		p.drawn = false
	}
}
