package strace

import (
	"fmt"
	"slices"
	"time"

	"github.com/chiron-faas/chiron/internal/quantile"
)

// cost is what strace adds to one system call of the traced thread.
type cost struct {
	// inside lies between the two time stamps that strace takes: from the
	// thread's stop at the call's entry to the one at its exit.
	inside time.Duration
	// outside lies before the first and after the second: it is part of the
	// gaps between calls.
	outside time.Duration
}

// gapsForBound is how many gaps between calls tell what the shortest are.
const gapsForBound = 8

// costOf finds the cost from the session itself, so that it is that of this
// machine in this minute. inside is what calls that only read something take,
// all of which is strace's (alone they take under 1 µs). inside and outside
// together are what traced runs take longer than untraced ones, per call;
// where the runs make few calls that figure is mostly noise, so outside is also
// bounded by the shortest gaps between calls, which hold it whole.
func costOf(runs []run, traced, untraced time.Duration) cost {
	var reads, gaps []time.Duration
	calls := 0
	for _, r := range runs {
		at := r.start
		reads = append(reads, r.clocks...)
		for i := range r.calls {
			c := &r.calls[i]
			calls++
			gaps = append(gaps, c.start-at)
			at = c.end()
			if onlyReads(c.name) {
				reads = append(reads, c.took)
			}
		}
		gaps = append(gaps, r.end-at)
	}
	if calls == 0 {
		return cost{}
	}
	var k cost
	if len(reads) > 0 {
		slices.Sort(reads)
		k.inside = quantile.Nearest(reads, 50)
	}
	excess := time.Duration(max(0, int64(traced-untraced))) * time.Duration(len(runs)) / time.Duration(calls)
	k.inside = min(k.inside, excess)
	k.outside = excess - k.inside
	if len(gaps) >= gapsForBound {
		slices.Sort(gaps)
		k.outside = min(k.outside, max(0, quantile.Nearest(gaps, 10)))
	} else {
		k.outside = min(k.outside, maxOutside)
	}
	return k
}

// slowWorthNoting is the slow-down from which on most of what strace timed was
// its own.
const slowWorthNoting = 2

// slowed says what a reader must know of runs that strace slowed down much; ""
// where it did not.
func slowed(runs []run, traced, untraced time.Duration) string {
	by := float64(traced) / float64(max(untraced, 1))
	if untraced <= 0 || by < slowWorthNoting {
		return ""
	}
	calls := 0
	for _, r := range runs {
		calls += len(r.calls)
	}
	if calls < len(runs) {
		return "" // what strace slowed are the host's own readings of the clock
	}
	return fmt.Sprintf("strace slowed it %.0f-fold, for it makes %d system calls a run: the order of its periods is sure, their lengths are estimates",
		by, calls/len(runs))
}

// maxOutside bounds cost.outside where there are too few gaps to do so: a few
// switches between two processes.
const maxOutside = 100 * time.Microsecond

// onlyReads says whether a call does next to nothing: it looks something up in
// the kernel's memory.
func onlyReads(name string) bool {
	switch name {
	case "clock_gettime", "lseek", "fstat", "newfstatat", "ioctl", "getpid", "gettid", "getuid", "geteuid",
		"getsockname", "getsockopt", "rt_sigprocmask", "rt_sigaction", "sched_getaffinity", "getcwd":
		return true
	}
	return false
}
