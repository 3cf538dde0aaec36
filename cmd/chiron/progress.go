package main

import (
	"fmt"
	"time"

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
	drawn bool
	last  time.Time
}

func (a *app) progress() *progress {
	return &progress{app: a, style: a.style(a.err), live: a.isTerminal(a.err)}
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
	head := n.Step + count
	printf(p.app.err, "\r\x1b[K%s %s", p.style.accent(head), fit(n.Text, max(width-len(head)-1, 10)))
	p.drawn = true
}

// end clears the line.
func (p *progress) end() {
	if p.drawn {
		printf(p.app.err, "\r\x1b[K")
		p.drawn = false
	}
}
