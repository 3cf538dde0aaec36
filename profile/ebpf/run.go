package ebpf

import (
	"sort"
	"time"
)

// run is what the thread did in one call of the handler: a stretch, a wait, a
// stretch, …; one stretch more than waits.
type run struct {
	stretches []stretch
	waits     []wait
	// queued is how long it could have run but got no CPU: other programs'
	// doing, and in neither of the two.
	queued time.Duration
}

// stretch is time on a CPU without a wait in it.
type stretch []piece

// piece is a part of a stretch in which the lock is held, or is not.
type piece struct {
	native bool // the lock released
	took   time.Duration
	// probes that were hit in it: half a probe's cost lies before the moment
	// that it tells and half after, so that one at an end counts half.
	probes float64
}

// wait is time off the CPU until something woke the thread.
type wait struct {
	call int32 // the system call; -1: none, as for a page that has to be read
	took time.Duration
	// held: with the lock, so that nobody else could take it.
	held bool
}

const (
	// wakeUp is how long a thread that was woken may need to be on a CPU
	// without anybody being in its way: an idle CPU has to be woken and told. It
	// is part of the wait. Above it another program had the CPU.
	wakeUp = 50 * time.Microsecond
)

// locks says how to tell what the lock does.
type locks struct {
	// probed: its release and its taking are told. Without, a wait outside of a
	// system call counts as one with the lock held.
	probed bool
	// waitsIn is the system call in which a thread waits for the lock: one that
	// is in it has not got the lock.
	waitsIn int32
}

// cut follows the thread through one call. The handler begins and ends on a
// CPU, with the lock: it is the interpreter that calls it.
func cut(events []event, from, to moment, l locks) run {
	first := sort.Search(len(events), func(i int) bool { return events[i].at > from })
	c := cutter{locks: l, since: from, onCPU: true}
	for _, e := range events[first:] {
		if e.at >= to {
			break
		}
		c.next(e)
	}
	if c.onCPU {
		c.close(to)
	}
	c.endStretch()
	return c.run
}

// cutter is the thread as the events leave it.
type cutter struct {
	locks locks
	run   run

	native bool
	piece  piece   // that is being made
	open   stretch // the same

	onCPU bool
	since moment // that it is on the CPU in this piece, or off it
	off   wait   // that it is in
	waits bool   // off the CPU: it waits, or it waits for a CPU
	woken moment // when it was; 0: not yet
}

// next follows one event. Events that contradict what is known, as after one
// that was lost, change what is known and count for nothing else.
func (c *cutter) next(e event) {
	switch e.kind {
	case left:
		if !c.onCPU {
			return
		}
		c.close(e.at)
		c.onCPU, c.since, c.waits, c.woken = false, e.at, e.waits, 0
		held := !c.native && e.call != c.locks.waitsIn
		if !c.locks.probed {
			held = e.call < 0
		}
		c.off = wait{call: e.call, held: held}
	case woken:
		if !c.onCPU && c.waits && c.woken == 0 {
			c.woken = e.at
		}
	case came:
		if c.onCPU {
			return
		}
		c.back(e.at)
		c.onCPU, c.since = true, e.at
	case released, takes:
		if !c.onCPU {
			return
		}
		native := e.kind == released
		if native == c.native {
			// A function that probes are on calls another one.
			c.piece.probes++
			return
		}
		c.close(e.at)
		c.piece.probes += 0.5
		c.endPiece()
		c.native = native
		c.piece.probes = 0.5
	}
}

// back ends a time off the CPU.
func (c *cutter) back(at moment) {
	if !c.waits {
		c.run.queued += time.Duration(at - c.since)
		return
	}
	ready := at
	if c.woken > 0 {
		ready = c.woken
	}
	late := time.Duration(at - ready)
	c.off.took = time.Duration(ready-c.since) + min(late, wakeUp)
	c.run.queued += max(0, late-wakeUp)
	c.endStretch()
	c.run.waits = append(c.run.waits, c.off)
}

// close adds what the thread was on the CPU to its piece.
func (c *cutter) close(at moment) {
	c.piece.took += time.Duration(at - c.since)
	c.since = at
}

func (c *cutter) endPiece() {
	c.piece.native = c.native
	if c.piece.took > 0 || c.piece.probes > 0 {
		c.open = append(c.open, c.piece)
	}
	c.piece = piece{}
}

func (c *cutter) endStretch() {
	c.endPiece()
	c.run.stretches = append(c.run.stretches, c.open)
	c.open = nil
}

// onCPU is how long a run was on a CPU.
func (r *run) onCPU() (total time.Duration) {
	for _, s := range r.stretches {
		total += s.took()
	}
	return total
}

func (s stretch) took() (total time.Duration) {
	for _, p := range s {
		total += p.took
	}
	return total
}

func (r *run) probes() (total float64) {
	for _, s := range r.stretches {
		for _, p := range s {
			total += p.probes
		}
	}
	return total
}

// without joins what lies around the waits that are shorter than a limit: they
// become part of the stretch, in which they are time with the lock or without.
func (r *run) without(limit time.Duration) run {
	out := run{queued: r.queued, stretches: []stretch{append(stretch(nil), r.stretches[0]...)}}
	for i, w := range r.waits {
		next := r.stretches[i+1]
		if w.took >= limit {
			out.waits = append(out.waits, w)
			out.stretches = append(out.stretches, append(stretch(nil), next...))
			continue
		}
		last := &out.stretches[len(out.stretches)-1]
		*last = append(*last, piece{native: !w.held, took: w.took})
		*last = append(*last, next...)
		*last = joined(*last)
	}
	return out
}

// joined makes one piece of neighbours of one kind.
func joined(s stretch) stretch {
	var out stretch
	for _, p := range s {
		if n := len(out); n > 0 && out[n-1].native == p.native {
			out[n-1].took += p.took
			out[n-1].probes += p.probes
			continue
		}
		out = append(out, p)
	}
	return out
}
