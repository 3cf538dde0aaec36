package ebpf

import (
	"time"

	"github.com/chiron-faas/chiron/profile"
)

const (
	// finest is the shortest segment that is told apart: a thread that waits
	// for the lock needs some 20 µs or more from the release to be awake, so
	// that of shorter releases only their sum matters.
	finest = 20 * time.Microsecond
	// maxSegments bounds how many a run has: a prediction's time grows with
	// them.
	maxSegments = 100
	// finestShare of a run's length: what is shorter changes no prediction.
	finestShare = 1.0 / 2000
)

// part is a segment of the median run, and out of what it was made: shares of
// the run's stretches and waits. So any other run's segments are the same
// shares of its own.
type part struct {
	class  profile.Class
	cause  string
	took   time.Duration
	longs  time.Duration // the longest of what was joined, whose cause it has
	shares []share
}

// share of a stretch (even) or a wait (odd), of the first counted from 0.
type share struct {
	of   int
	part float64 // of the whole
}

// pack makes the median run's segments: those under a resolution are pooled
// with the next of their class until they are long enough, so that each class'
// total stays what it is, and the resolution is the least with which they are
// not too many.
func pack(d divided, wall time.Duration) []part {
	all := join(d.parts())
	for resolution := max(finest, time.Duration(finestShare*float64(wall))); ; resolution *= 2 {
		if packed := pool(all, resolution); len(packed) <= maxSegments {
			return packed
		}
	}
}

func wallOf(d divided) (total time.Duration) {
	for _, s := range d.stretches {
		total += s.took()
	}
	for _, w := range d.waits {
		total += w.took
	}
	return total
}

// parts are the pieces and waits in order. Time off a CPU with the lock held is
// no block: nobody else can have the lock.
func (d divided) parts() []part {
	var out []part
	for i, s := range d.stretches {
		whole := float64(s.took())
		for _, p := range s {
			if p.took <= 0 {
				continue
			}
			class := profile.CPU
			if p.native {
				class = profile.Native
			}
			out = append(out, part{class: class, took: p.took, longs: p.took, shares: []share{{2 * i, float64(p.took) / whole}}})
		}
		if i == len(d.waits) {
			break
		}
		w := d.waits[i]
		p := part{class: profile.Block, cause: causeOf(w.call), took: w.took, longs: w.took, shares: []share{{2*i + 1, 1}}}
		if d.held[i] {
			p.class, p.cause = profile.CPU, ""
		}
		out = append(out, p)
	}
	return out
}

// and joins two parts of one class.
func (p part) and(q part) part {
	if q.longs > p.longs {
		p.cause, p.longs = q.cause, q.longs
	}
	p.took += q.took
	p.shares = append(p.shares[:len(p.shares):len(p.shares)], q.shares...)
	return p
}

func join(parts []part) []part {
	var out []part
	for _, p := range parts {
		if n := len(out); n > 0 && out[n-1].class == p.class {
			out[n-1] = out[n-1].and(p)
			continue
		}
		out = append(out, p)
	}
	return out
}

func pool(parts []part, resolution time.Duration) []part {
	classes := []profile.Class{profile.CPU, profile.Native, profile.Block}
	pooled := map[profile.Class]part{}
	var out []part
	for _, p := range parts {
		if had, ok := pooled[p.class]; ok {
			p = had.and(p)
			delete(pooled, p.class)
		}
		if p.took < resolution {
			pooled[p.class] = p
			continue
		}
		out = join(append(out, p))
	}
	// What is left is less than the resolution of each class: it goes to the
	// last of its class, or, of a class that is nowhere else, to the last.
	var rest []part
	for _, class := range classes {
		p, ok := pooled[class]
		if !ok {
			continue
		}
		home := -1
		for i := range out {
			if out[i].class == class {
				home = i
			}
		}
		if home < 0 {
			rest = append(rest, p)
			continue
		}
		out[home] = out[home].and(p)
	}
	for _, p := range rest {
		if len(out) == 0 {
			out = append(out, p)
			continue
		}
		last := &out[len(out)-1]
		if p.took > last.took { // a run that is shorter than the resolution
			last.class, last.cause = p.class, p.cause
		}
		p.cause, p.longs = "", 0
		*last = last.and(p)
	}
	return out
}

// fill makes a run's segments: the parts' shares of its own stretches and waits.
func fill(parts []part, r *run) []profile.Segment {
	out := make([]profile.Segment, len(parts))
	for i, p := range parts {
		var took float64
		for _, s := range p.shares {
			whole := 0.0
			if s.of%2 == 0 {
				whole = float64(r.stretches[s.of/2].took())
			} else {
				whole = float64(r.waits[s.of/2].took)
			}
			took += s.part * whole
		}
		out[i] = profile.Segment{Class: p.class, Cause: p.cause, Took: time.Duration(took)}
	}
	return out
}
