package portable

import (
	"sort"
	"time"

	"github.com/chiron-faas/chiron/profile"
	"github.com/chiron-faas/chiron/profile/syscalls"
)

// sample is what the sampler saw at one moment.
type sample struct {
	at  time.Time
	cpu time.Duration // used by the process so far
	// queued is how long the thread has waited for a CPU so far: as good as
	// CPU time, for it was ready to run.
	queued time.Duration
	was    syscalls.State
	// probeQueued is the same of the probe's thread; 0 without a probe.
	probeQueued time.Duration
}

// mostly is the share of an interval from which on it counts as all CPU, or all
// block: the rest is the clocks' and the sampler's own, whose ticker alone is up
// to a tenth of its interval off (TestSegmentsAddUp feeds it such clocks).
const mostly = 0.9

// segments cuts one call by the samples taken while it ran; samples are in
// order of time. Without any inside the call it knows nothing, and returns nil.
func segments(samples []sample, call profile.Call) []profile.Segment {
	end := call.Start.Add(call.Run)
	first := sort.Search(len(samples), func(i int) bool { return samples[i].at.After(call.Start) })
	last := sort.Search(len(samples), func(i int) bool { return !samples[i].at.Before(end) })
	if first >= last {
		return nil
	}
	// The call's own ends become samples: the worker used no CPU while it
	// waited for the call, and its CPU time in the call is known.
	before := samples[max(first-1, 0)]
	before.at, before.was = call.Start, syscalls.Running
	inside := samples[first:last]
	points := make([]sample, 0, len(inside)+2)
	points = append(points, before)
	points = append(points, inside...)
	after := inside[len(inside)-1]
	after.at, after.was = end, syscalls.Running
	after.cpu = max(after.cpu, before.cpu+call.CPU)
	points = append(points, after)

	busy := ready(points)
	var c cutter
	for i := 1; i < len(points); i++ {
		c.interval(points[i-1], points[i], busy[i])
	}
	return c.out
}

// ready tells of each interval, by the index of its end, how much of it the
// thread was on a CPU or ready to be. The kernel counts a wait for a CPU when it
// ends: what is more than an interval can hold came in those before it.
func ready(points []sample) []time.Duration {
	busy := make([]time.Duration, len(points))
	var queued time.Duration
	for i := len(points) - 1; i > 0; i-- {
		from, to := points[i-1], points[i]
		took := to.at.Sub(from.at)
		cpu := min(max(0, to.cpu-from.cpu), took)
		queued += max(0, to.queued-from.queued)
		waited := min(queued, took-cpu)
		queued -= waited
		busy[i] = cpu + waited
	}
	return busy
}

// cutter joins intervals into segments.
type cutter struct {
	out []profile.Segment
}

// interval adds what lies between two samples, of which the thread was busy for
// a part.
func (c *cutter) interval(from, to sample, busy time.Duration) {
	took := to.at.Sub(from.at)
	share := float64(busy) / float64(max(took, 1))
	cause, waited := waitedFor(from.was, to.was)
	switch {
	case share >= mostly || !waited:
		c.add(profile.CPU, "", took)
	case share <= 1-mostly:
		c.add(profile.Block, cause, took)
	case endsWaiting(to.was):
		c.add(profile.CPU, "", busy)
		c.add(profile.Block, cause, took-busy)
	default:
		c.add(profile.Block, cause, took-busy)
		c.add(profile.CPU, "", busy)
	}
}

// endsWaiting says whether the thread waits in a call at an interval's end, so
// that its CPU time came before.
func endsWaiting(was syscalls.State) bool { return was >= 0 }

// waitedFor says what a thread waited for in an interval that it did not spend
// on the CPU, by what it did at both ends. A thread that both times ran waited
// for nothing but a CPU, or for something shorter than the interval; only the
// latter leaves the CPU idle, and the two cannot be told apart: it counts as
// waiting. One that waited outside of system calls was waiting for a page with
// the interpreter's lock held: that is no block.
func waitedFor(from, to syscalls.State) (cause string, waited bool) {
	switch {
	case to >= 0:
		return syscalls.Name(to), true
	case from >= 0:
		return syscalls.Name(from), true
	case to == syscalls.Fault || from == syscalls.Fault:
		return "", false
	}
	return "", true
}

func (c *cutter) add(class profile.Class, cause string, took time.Duration) {
	if took <= 0 {
		return
	}
	if n := len(c.out); n > 0 && c.out[n-1].Class == class {
		last := &c.out[n-1]
		// The sampler names a wait at each of its moments; the first name stays.
		if last.Cause == "" {
			last.Cause = cause
		}
		if last.Cause == cause || cause == "" {
			last.Took += took
			return
		}
		// Two waits in a row, for different calls.
	}
	c.out = append(c.out, profile.Segment{Class: class, Cause: cause, Took: took})
}
