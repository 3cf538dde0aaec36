package ebpf

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

const (
	us = time.Microsecond
	ms = time.Millisecond
)

// at is an event so many microseconds after the run's start.
func at(when float64, k kind) event { return event{at: moment(when * 1000), kind: k, call: -1} }

// leaves is the thread's going off the CPU to wait in a system call.
func leaves(when float64, call int32) event {
	return event{at: moment(when * 1000), kind: left, waits: true, call: call}
}

// displaced is its going off the CPU for another.
func displaced(when float64) event { return event{at: moment(when * 1000), kind: left, call: -1} }

func held(took time.Duration, probes float64) piece { return piece{took: took, probes: probes} }

func free(took time.Duration, probes float64) piece {
	return piece{native: true, took: took, probes: probes}
}

var (
	probed   = locks{probed: true, waitsIn: unix.SYS_FUTEX}
	unprobed = locks{waitsIn: unix.SYS_FUTEX}
)

func TestCut(t *testing.T) {
	const sleeps, syncs = unix.SYS_CLOCK_NANOSLEEP, unix.SYS_FSYNC
	for name, test := range map[string]struct {
		events []event
		locks  locks
		want   run // of 1000 µs
	}{
		"computes": {nil, probed, run{stretches: []stretch{{held(1000*us, 0)}}}},
		"sleeps": {
			[]event{at(100, released), leaves(110, sleeps), at(700, woken), at(730, came), at(740, takes)},
			probed,
			run{
				stretches: []stretch{{held(100*us, 0.5), free(10*us, 0.5)}, {free(10*us, 0.5), held(260*us, 0.5)}},
				waits:     []wait{{call: sleeps, took: 620 * us}},
			},
		},
		// On the CPU in the kernel, as for a page cache: no wait, but no lock.
		"writes to the page cache": {
			[]event{at(100, released), at(400, takes)},
			probed,
			run{stretches: []stretch{{held(100*us, 0.5), free(300*us, 1), held(600*us, 0.5)}}},
		},
		"is displaced": {
			[]event{at(100, released), displaced(200), at(500, came), at(600, takes)},
			probed,
			run{stretches: []stretch{{held(100*us, 0.5), free(200*us, 1), held(400*us, 0.5)}}, queued: 300 * us},
		},
		// Another program has the CPU when the sleep is over.
		"woken, and waits for a CPU": {
			[]event{at(100, released), leaves(100, sleeps), at(200, woken), at(600, came), at(600, takes)},
			probed,
			run{
				stretches: []stretch{{held(100*us, 0.5), free(0, 0.5)}, {free(0, 0.5), held(400*us, 0.5)}},
				waits:     []wait{{call: sleeps, took: 150 * us}},
				queued:    350 * us,
			},
		},
		"reads a page in with the lock": {
			[]event{leaves(100, -1), at(300, woken), at(310, came)},
			probed,
			run{stretches: []stretch{{held(100*us, 0)}, {held(690*us, 0)}}, waits: []wait{{call: -1, took: 210 * us, held: true}}},
		},
		"reads a page in without the lock": {
			[]event{at(50, released), leaves(100, -1), at(310, came), at(400, takes)},
			probed,
			run{
				stretches: []stretch{{held(50*us, 0.5), free(50*us, 0.5)}, {free(90*us, 0.5), held(600*us, 0.5)}},
				waits:     []wait{{call: -1, took: 210 * us}},
			},
		},
		// Two threads: the lock is let go for the other, and waited for.
		"forced switch": {
			[]event{at(100, released), at(105, takes), leaves(110, unix.SYS_FUTEX), at(600, woken), at(620, came)},
			probed,
			run{
				stretches: []stretch{{held(100*us, 0.5), free(5*us, 1), held(5*us, 0.5)}, {held(380*us, 0)}},
				waits:     []wait{{call: unix.SYS_FUTEX, took: 510 * us}},
			},
		},
		"a wait at the end": {
			[]event{at(100, released), leaves(200, syncs)},
			probed,
			run{stretches: []stretch{{held(100*us, 0.5), free(100*us, 0.5)}}},
		},
		// PyGILState_Ensure calls PyEval_RestoreThread.
		"nested probes": {
			[]event{at(100, released), at(150, released), at(200, takes), at(210, takes)},
			probed,
			run{stretches: []stretch{{held(100*us, 0.5), free(100*us, 2), held(800*us, 1.5)}}},
		},
		"no probes": {
			[]event{leaves(110, sleeps), at(700, came), leaves(800, -1), at(900, came)},
			unprobed,
			run{
				stretches: []stretch{{held(110*us, 0)}, {held(100*us, 0)}, {held(100*us, 0)}},
				waits:     []wait{{call: sleeps, took: 590 * us}, {call: -1, took: 100 * us, held: true}},
			},
		},
		// What was before the run and what is after it is none of its.
		"others' events": {
			[]event{at(-50, released), leaves(-40, syncs), at(-10, came), at(-5, takes), leaves(1000, syncs), at(1200, came)},
			probed,
			run{stretches: []stretch{{held(1000*us, 0)}}},
		},
		// It came back twice: the second leaving was lost.
		"contradictions": {
			[]event{at(100, came), at(150, woken), leaves(200, sleeps), leaves(250, syncs), at(300, came), at(350, came)},
			unprobed,
			run{stretches: []stretch{{held(200*us, 0)}, {held(700*us, 0)}}, waits: []wait{{call: sleeps, took: 100 * us}}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := cut(test.events, 0, moment(1000*us), test.locks)
			if diff := cmp.Diff(test.want, got, cmp.AllowUnexported(run{}, piece{}, wait{})); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// Whatever the events, a run is as long as its parts, and there is one stretch
// more than waits.
func TestCutAddsUp(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 5000 {
		var events []event
		when := -10.0
		for range r.IntN(60) {
			when += r.Float64() * 100
			e := at(when, kind(1+r.IntN(5)))
			e.waits = r.IntN(2) == 0
			e.call = int32(r.IntN(300) - 1)
			events = append(events, e)
		}
		end := moment(r.IntN(4_000_000))
		got := cut(events, 0, end, locks{probed: r.IntN(2) == 0, waitsIn: unix.SYS_FUTEX})
		if len(got.stretches) != len(got.waits)+1 {
			t.Fatalf("%d stretches, %d waits of %v", len(got.stretches), len(got.waits), events)
		}
		total := got.length() + got.queued
		if moment(total) > end {
			t.Fatalf("%v in all of %v: %+v of %v", total, end, got, events)
		}
		// What is missing is a time off the CPU that did not end.
		if n := len(events); n > 0 && moment(total) < end {
			on := true
			for _, e := range events {
				if e.at > 0 && e.at < end {
					on = e.kind == came || on && e.kind != left
				}
			}
			if on {
				t.Fatalf("%v in all of %v: %+v of %v", total, end, got, events)
			}
		}
		for _, limit := range []time.Duration{0, 20 * us, time.Hour} {
			if less := got.without(limit); less.length() != got.length() || len(less.stretches) != len(less.waits)+1 {
				t.Fatalf("without waits under %v it takes %v, not %v", limit, less.length(), got.length())
			}
		}
	}
}
