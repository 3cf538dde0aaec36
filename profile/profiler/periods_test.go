package profiler

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/chiron-faas/chiron/profile"

	"github.com/google/go-cmp/cmp"
)

const us = time.Microsecond

func onCPU(took time.Duration) profile.Segment {
	return profile.Segment{Class: profile.CPU, Took: took}
}

func blocked(took time.Duration, cause string) profile.Segment {
	return profile.Segment{Class: profile.Block, Took: took, Cause: cause}
}

func maybe(took time.Duration, cause string) profile.Segment {
	return profile.Segment{Class: profile.Block, Took: took, Cause: cause, Partly: true}
}

func seen(complete bool, resolution time.Duration, runs ...[]profile.Segment) *profile.Observation {
	return &profile.Observation{Runs: runs, Complete: complete, Resolution: resolution}
}

func untraced(wall, cpu, queued time.Duration) totals {
	return totals{wall: profile.Stat{Mean: wall, StdDev: wall / 10, Min: wall, Max: wall}, cpu: cpu, queued: queued}
}

// period leaves out the deviations, which have a test of their own.
type period struct {
	Class profile.Class
	Mean  time.Duration
	Cause string
}

func plain(periods []profile.Period) (out []period) {
	for _, p := range periods {
		out = append(out, period{p.Class, p.Mean, p.Cause})
	}
	return out
}

func TestBuildPeriods(t *testing.T) {
	for name, test := range map[string]struct {
		seen   *profile.Observation
		totals totals
		want   []period
	}{
		"only CPU": {
			seen(true, 20*us, []profile.Segment{onCPU(9 * ms)}), untraced(10*ms, 10*ms, 0),
			[]period{{profile.CPU, 10 * ms, ""}},
		},
		// 15 ms off the CPU; the blocks that were seen take 12: each is a
		// quarter longer. The CPU's 2 + 4 ms become 1 + 2 = 3.
		"scaled to the totals": {
			seen(true, 20*us, []profile.Segment{onCPU(2 * ms), blocked(4*ms, "nanosleep"), onCPU(4 * ms), blocked(8*ms, "recvfrom")}),
			untraced(18*ms, 3*ms, 0),
			[]period{{profile.CPU, 1 * ms, ""}, {profile.Block, 5 * ms, "nanosleep"}, {profile.CPU, 2 * ms, ""}, {profile.Block, 10 * ms, "recvfrom"}},
		},
		// 11 ms off the CPU: 10 are the sleep's for sure, and the write, which
		// took 4, has what is left.
		"sure waits first": {
			seen(true, 20*us, []profile.Segment{onCPU(1 * ms), blocked(10*ms, "nanosleep"), onCPU(1 * ms), maybe(4*ms, "write"), onCPU(1 * ms)}),
			untraced(14*ms, 3*ms, 0),
			[]period{{profile.CPU, 1 * ms, ""}, {profile.Block, 10 * ms, "nanosleep"}, {profile.CPU, 1 * ms, ""}, {profile.Block, 1 * ms, "write"}, {profile.CPU, 1 * ms, ""}},
		},
		// A file written to the page cache: all on the CPU.
		"work that might have waited": {
			seen(true, 20*us, []profile.Segment{onCPU(1 * ms), maybe(4*ms, "write"), onCPU(1 * ms)}), untraced(6*ms, 6*ms, 0),
			[]period{{profile.CPU, 6 * ms, ""}},
		},
		// 3 of 10 ms in the queue for a CPU: not the function's own wait.
		"other programs": {
			seen(true, 20*us, []profile.Segment{onCPU(10 * ms)}), untraced(10*ms, 7*ms, 3*ms),
			[]period{{profile.CPU, 10 * ms, ""}},
		},
		// Under the resolution as a whole: what most of it is.
		"shorter than the resolution, busy": {
			seen(false, 500*us), untraced(12*us, 8*us, 0), []period{{profile.CPU, 12 * us, ""}},
		},
		"shorter than the resolution, waiting": {
			seen(false, 500*us, []profile.Segment{onCPU(10 * us), blocked(300*us, "nanosleep")}), untraced(300*us, 20*us, 0),
			[]period{{profile.Block, 280 * us, "nanosleep"}, {profile.CPU, 20 * us, ""}},
		},
		// Nobody saw when it waited.
		"waits that nobody saw": {
			seen(false, 500*us, []profile.Segment{onCPU(8 * ms)}), untraced(8*ms, 4*ms, 0),
			[]period{{profile.CPU, 2 * ms, ""}, {profile.Block, 4 * ms, ""}, {profile.CPU, 2 * ms, ""}},
		},
		// Two of three runs agree; the third's length does not count.
		"the commonest order": {
			seen(true, 20*us,
				[]profile.Segment{onCPU(2 * ms), blocked(2*ms, "poll")},
				[]profile.Segment{blocked(90*ms, "futex"), onCPU(2 * ms)},
				[]profile.Segment{onCPU(2 * ms), blocked(2*ms, "poll")}),
			untraced(4*ms, 2*ms, 0),
			[]period{{profile.CPU, 2 * ms, ""}, {profile.Block, 2 * ms, "poll"}},
		},
		"short ones join a neighbour": {
			seen(true, 20*us, []profile.Segment{onCPU(1 * ms), blocked(10*us, "futex"), onCPU(990 * us), blocked(2*ms, "poll"), onCPU(5 * us), blocked(1*ms, "recvfrom")}),
			untraced(5005*us, 2*ms, 0),
			[]period{{profile.CPU, 1995 * us, ""}, {profile.Block, 3010 * us, "poll"}},
		},
		"no run": {seen(true, 20*us), untraced(1*ms, 1*ms, 0), []period{{profile.CPU, 1 * ms, ""}}},
	} {
		t.Run(name, func(t *testing.T) {
			got, _ := buildPeriods(test.seen, test.totals)
			near := cmp.Comparer(func(a, b time.Duration) bool { return (a - b).Abs() <= 6*us })
			if diff := cmp.Diff(test.want, plain(got), near); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// Whatever a tracer saw: the periods add up to the wall time to the nanosecond,
// neighbours differ, deviations add up to the wall time's, and blocks take no
// more than what was spent off the CPU.
func TestPeriodsAddUp(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 3000 {
		o := seen(r.IntN(2) == 0, time.Duration(1+r.IntN(500))*us)
		for range r.IntN(5) {
			var run []profile.Segment
			for range r.IntN(8) {
				took := time.Duration(r.ExpFloat64() * float64(ms))
				switch r.IntN(3) {
				case 0:
					run = append(run, onCPU(took))
				case 1:
					run = append(run, blocked(took, []string{"poll", "futex"}[r.IntN(2)]))
				default:
					run = append(run, maybe(took, "read"))
				}
			}
			o.Runs = append(o.Runs, run)
		}
		wall := time.Duration(1+r.IntN(20000)) * us
		total := untraced(wall, time.Duration(r.Int64N(int64(wall))), time.Duration(r.Int64N(int64(wall)/4+1)))
		periods, _ := buildPeriods(o, total)
		var sum, blocks time.Duration
		var variance float64
		for i, p := range periods {
			if p.Mean < 0 || p.StdDev < 0 || (p.Class != profile.Block && p.Cause != "") {
				t.Fatalf("%+v of %+v, %+v", p, o, total)
			}
			if i > 0 && periods[i-1].Class == p.Class {
				t.Fatalf("two of class %s in a row: %+v", p.Class, periods)
			}
			sum += p.Mean
			variance += float64(p.StdDev) * float64(p.StdDev)
			if p.Class == profile.Block {
				blocks += p.Mean
			}
		}
		if sum != wall {
			t.Fatalf("%+v add up to %v, want %v", periods, sum, wall)
		}
		if blocks > total.offCPU()+10 && wall > o.Resolution {
			t.Fatalf("blocks of %v, off the CPU %v: %+v of %+v", blocks, total.offCPU(), periods, o)
		}
		if want := float64(total.wall.StdDev) * float64(total.wall.StdDev); variance > want*1.01+100 || variance < want*0.99-100 {
			t.Fatalf("variances add up to %v, want %v: %+v", variance, want, periods)
		}
	}
}

// Time off the CPU with the lock held is the function's, but no block: blocks
// are not stretched over it.
func TestHeldIsNoBlock(t *testing.T) {
	o := &profile.Observation{
		Complete: true,
		Held:     4 * ms,
		Runs: [][]profile.Segment{{
			{Class: profile.CPU, Took: 6 * ms}, // 4 of them wait for a page
			{Class: profile.Block, Cause: "clock_nanosleep", Took: 3 * ms},
			{Class: profile.CPU, Took: 1 * ms},
		}},
	}
	got, notes := buildPeriods(o, totals{wall: profile.Stat{Mean: 10 * ms}, cpu: 3 * ms})
	want := []profile.Period{
		{Class: profile.CPU, Mean: 6 * ms},
		{Class: profile.Block, Mean: 3 * ms, Cause: "clock_nanosleep"},
		{Class: profile.CPU, Mean: 1 * ms},
	}
	if diff := cmp.Diff(want, got); diff != "" || len(notes) > 0 {
		t.Errorf("notes %q; %s", notes, diff)
	}
}
