package perf

import (
	"maps"
	"slices"
	"sort"
	"time"

	"github.com/chiron-faas/chiron/profile"
	"github.com/chiron-faas/chiron/profile/syscalls"
)

// sample is what the thread did at one moment.
type sample struct {
	at  int64
	was syscalls.State
}

// segments cuts one call, which begins and ends on a CPU. Waits for a CPU that
// another program had are left out; held is how long it waited for a page, off
// the CPU with the lock for all that is known: it is part of the cpu segments.
func segments(events []event, samples []sample, from, to int64) (out []profile.Segment, held time.Duration) {
	first := sort.Search(len(events), func(i int) bool { return events[i].at > from })
	onCPU, since, waits := true, from, false
	for _, e := range events[first:] {
		if e.at >= to {
			break
		}
		if e.came == onCPU {
			continue // what it contradicts was lost
		}
		took := time.Duration(e.at - since)
		switch {
		case onCPU:
			out = add(out, profile.Segment{Class: profile.CPU, Took: took})
		case waits:
			cause, fault := causeOf(samples, since, e.at)
			if fault {
				held += took
				out = add(out, profile.Segment{Class: profile.CPU, Took: took})
				break
			}
			out = add(out, profile.Segment{Class: profile.Block, Cause: cause, Took: took})
		}
		onCPU, since, waits = e.came, e.at, e.waits
	}
	if onCPU {
		out = add(out, profile.Segment{Class: profile.CPU, Took: time.Duration(to - since)})
	}
	return out, held
}

// add joins CPU time around a wait for a CPU.
func add(out []profile.Segment, s profile.Segment) []profile.Segment {
	if n := len(out); n > 0 && out[n-1].Class == profile.CPU && s.Class == profile.CPU {
		out[n-1].Took += s.Took
		return out
	}
	return append(out, s)
}

// causeOf names the call of a wait, by the samples taken in it; fault: it was in
// no call, but waited for a page.
func causeOf(samples []sample, from, to int64) (cause string, fault bool) {
	first := sort.Search(len(samples), func(i int) bool { return samples[i].at > from })
	for _, s := range samples[first:] {
		if s.at >= to {
			break
		}
		if s.was >= 0 {
			return syscalls.Name(s.was), false
		}
		fault = fault || s.was == syscalls.Fault
	}
	return "", fault
}

// agree gives the waits of runs that wait equally often the same names: what a
// sampler saw of one run's short wait it missed of another's.
func agree(runs [][]profile.Segment) {
	type place struct{ length, at int }
	names := map[place]map[string]int{}
	for _, run := range runs {
		for i, s := range run {
			if s.Cause != "" {
				p := place{len(run), i}
				if names[p] == nil {
					names[p] = map[string]int{}
				}
				names[p][s.Cause]++
			}
		}
	}
	for _, run := range runs {
		for i := range run {
			if run[i].Class == profile.Block {
				run[i].Cause = commonest(names[place{len(run), i}])
			}
		}
	}
}

// commonest name; of equals the first in the alphabet.
func commonest(names map[string]int) string {
	best := ""
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if best == "" || names[name] > names[best] {
			best = name
		}
	}
	return best
}
