package strace

import (
	"time"

	"github.com/chiron-faas/chiron/profile"
)

// segments turns one run into what it would have been without strace: a Block
// for each call that can block, however short, and CPU time between; lengths
// of 0 stay, so that runs that make the same calls have the same shape.
func (r run) segments(k cost) []profile.Segment {
	var out []profile.Segment
	at := r.start
	between := 0 // calls that do not block since at
	cpu := func(until time.Duration) {
		// A gap begins with the end of one stop and ends with the beginning of
		// another: one call's outside.
		took := until - at - time.Duration(between)*(k.inside+k.outside) - k.outside
		out = append(out, profile.Segment{Class: profile.CPU, Took: max(0, took)})
		between = 0
	}
	for i := range r.calls {
		c := &r.calls[i]
		what := kindOf(c.name)
		if what == works {
			between++
			continue
		}
		cpu(c.start)
		out = append(out, profile.Segment{
			Class:  profile.Block,
			Cause:  c.cause(),
			Took:   max(0, c.took-k.inside),
			Partly: what == mayWait,
		})
		at = c.end()
	}
	cpu(r.end)
	return out
}
