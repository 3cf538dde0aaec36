package ebpf

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/chiron-faas/chiron/internal/quantile"
	"github.com/chiron-faas/chiron/profile"
	"github.com/chiron-faas/chiron/profile/syscalls"
)

const (
	// shortWait is the first limit under which waits are overlooked where runs
	// do not wait for the same calls in the same order.
	shortWait = 20 * time.Microsecond
	// longestOverlooked bounds that limit: as a part of the run's length.
	longestOverlooked = 0.05
	// worthNoting is the share of a run from which on overlooked waits are told.
	worthNoting = 0.02
)

// combined is what both passes say together.
type combined struct {
	runs  [][]profile.Segment
	held  time.Duration // off a CPU with the lock, in the mean
	notes []string
}

// combine lays the close pass, which knows when the lock was held, over the
// light one, which knows how long everything takes: the stretches and waits are
// the light runs', each stretch divided as the close runs divide it.
func combine(light, near []run) combined {
	if len(near) == 0 {
		near = light // nothing is known about the lock
	}
	if len(light) == 0 {
		return combined{}
	}
	all := len(light)
	light, near, limit := agree(light, near)
	var c combined
	if len(light)*2 < all {
		c.notes = append(c.notes, fmt.Sprintf("its %d traced runs wait for different calls in different order: periods are those of the commonest order (%d runs)",
			all, len(light)))
	}
	if wall := medianOf(light, (*run).length); limit > shortWait && float64(limit) > worthNoting*float64(wall) {
		c.notes = append(c.notes, fmt.Sprintf("waits under %v come and go from run to run: they count as what is around them", limit))
	}
	template := divide(light, near)
	parts := pack(template, wallOf(template))
	for i := range light {
		c.runs = append(c.runs, fill(parts, &light[i]))
		for at, w := range light[i].waits {
			if template.held[at] {
				c.held += w.took / time.Duration(len(light))
			}
		}
	}
	return c
}

// agree finds the commonest order of waits that the two passes have in common,
// and returns the runs of it. Where fewer than half of either pass agree, waits
// under a limit are overlooked, under a higher and higher one.
func agree(light, near []run) (l, n []run, limit time.Duration) {
	longest := time.Duration(longestOverlooked * float64(medianOf(light, (*run).length)))
	best := -1.0
	for try := time.Duration(0); best < 0.5 && (try <= max(longest, shortWait)); try = max(shortWait, 2*try) {
		lg, ng := groups(light, try), groups(near, try)
		for _, r := range lg.order {
			ls, ns := lg.runs[r], ng.runs[r]
			share := min(float64(len(ls))/float64(len(light)), float64(len(ns))/float64(len(near)))
			if share > best && len(ns) > 0 {
				best, l, n, limit = share, ls, ns, try
			}
		}
	}
	if best < 0 {
		// No run of one pass waits as any of the other does. Order is then worth
		// less than what all have in common.
		l, n = overlookAll(light), overlookAll(near)
		limit = longest
	}
	return l, n, limit
}

func overlookAll(runs []run) []run {
	const all = time.Duration(1<<63 - 1)
	out := make([]run, len(runs))
	for i := range runs {
		out[i] = runs[i].without(all)
	}
	return out
}

type grouped struct {
	runs  map[string][]run
	order []string // as they were first seen, so that equals are decided the same way
}

func groups(runs []run, limit time.Duration) grouped {
	g := grouped{runs: map[string][]run{}}
	for i := range runs {
		r := runs[i].without(limit)
		var key strings.Builder
		for _, w := range r.waits {
			fmt.Fprintf(&key, "%d/", w.call)
		}
		k := key.String()
		if g.runs[k] == nil {
			g.order = append(g.order, k)
		}
		g.runs[k] = append(g.runs[k], r)
	}
	return g
}

func (r *run) length() time.Duration {
	total := r.onCPU()
	for _, w := range r.waits {
		total += w.took
	}
	return total
}

func medianOf(runs []run, of func(*run) time.Duration) time.Duration {
	values := make([]time.Duration, len(runs))
	for i := range runs {
		values[i] = of(&runs[i])
	}
	return quantile.Median(values)
}

// divided is how long each stretch and wait of a run takes, and how a stretch
// is divided: the median run, so to speak.
type divided struct {
	stretches []stretch
	waits     []wait
	held      []bool
}

// divide takes lengths from the light runs and divisions from the close ones.
func divide(light, near []run) divided {
	cost := costOf(light, near)
	d := divided{
		stretches: make([]stretch, len(light[0].stretches)),
		waits:     slices.Clone(light[0].waits),
		held:      make([]bool, len(light[0].waits)),
	}
	for i := range d.stretches {
		took := medianOf(light, func(r *run) time.Duration { return r.stretches[i].took() })
		d.stretches[i] = cost.off(typical(near, i)).scaled(took)
	}
	for i := range d.waits {
		d.waits[i].took = medianOf(light, func(r *run) time.Duration { return r.waits[i].took })
		held := 0
		for k := range near {
			if near[k].waits[i].held {
				held++
			}
		}
		d.held[i] = 2*held > len(near)
	}
	return d
}

// typical is a stretch as the close runs have it: the median of each piece
// where they have the same pieces, else the one whose length is the median.
func typical(near []run, at int) stretch {
	same := true
	for k := range near {
		same = same && len(near[k].stretches[at]) == len(near[0].stretches[at])
	}
	if same {
		out := slices.Clone(near[0].stretches[at])
		for j := range out {
			out[j].took = medianOf(near, func(r *run) time.Duration { return r.stretches[at][j].took })
		}
		return out
	}
	order := make([]stretch, len(near))
	for k := range near {
		order[k] = near[k].stretches[at]
	}
	slices.SortStableFunc(order, func(a, b stretch) int { return compare(moment(a.took()), moment(b.took())) })
	return order[len(order)/2]
}

// scaled makes a stretch as long as it shall be. One whose pieces are all of
// no length holds the lock.
func (s stretch) scaled(took time.Duration) stretch {
	have := s.took()
	if have <= 0 {
		return stretch{{took: took}}
	}
	out := slices.Clone(s)
	for i := range out {
		out[i].took = time.Duration(float64(out[i].took) * float64(took) / float64(have))
	}
	return out
}

// causeOf names what a wait waited for.
func causeOf(call int32) string {
	if call < 0 || call > 1<<15-1 {
		return ""
	}
	return syscalls.Name(syscalls.State(call))
}
