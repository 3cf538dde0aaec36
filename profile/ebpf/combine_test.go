package ebpf

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/chiron-faas/chiron/profile"
)

func segment(class profile.Class, took time.Duration) profile.Segment {
	return profile.Segment{Class: class, Took: took}
}

func waiting(took time.Duration, cause string) profile.Segment {
	return profile.Segment{Class: profile.Block, Took: took, Cause: cause}
}

// sleeper is a run: computes, lets go, sleeps, comes back, computes, hashes,
// computes.
func sleeper(scale float64, probe time.Duration, sleep time.Duration) run {
	s := func(d time.Duration, probes float64) time.Duration {
		return time.Duration(float64(d)*scale) + time.Duration(float64(probe)*probes)
	}
	return run{
		stretches: []stretch{
			{held(s(400*us, 0.5), 0.5), free(s(40*us, 0.5), 0.5)},
			{free(s(60*us, 0.5), 0.5), held(s(1000*us, 1), 1), free(s(2000*us, 1), 1), held(s(500*us, 0.5), 0.5)},
		},
		waits: []wait{{call: unix.SYS_CLOCK_NANOSLEEP, took: sleep}},
	}
}

// onlyTimes is what a run looks like without probes on the lock.
func onlyTimes(r run) run {
	out := run{waits: r.waits, queued: r.queued}
	for _, s := range r.stretches {
		out.stretches = append(out.stretches, stretch{held(s.took(), 0)})
	}
	return out
}

func TestCombine(t *testing.T) {
	light := []run{onlyTimes(sleeper(1, 0, 5*ms)), onlyTimes(sleeper(1, 0, 5*ms)), onlyTimes(sleeper(2, 0, 7*ms))}
	// The close pass ran on a machine that was slower by a quarter.
	near := []run{sleeper(1.25, 0, 5*ms), sleeper(1.25, 0, 5*ms), sleeper(1.25, 0, 6*ms)}
	c := combine(light, near)
	once := []profile.Segment{
		segment(profile.CPU, 400*us), segment(profile.Native, 40*us), waiting(5*ms, "clock_nanosleep"),
		segment(profile.Native, 60*us), segment(profile.CPU, 1*ms), segment(profile.Native, 2*ms), segment(profile.CPU, 500*us),
	}
	twice := make([]profile.Segment, len(once))
	for i, s := range once {
		s.Took *= 2
		if s.Class == profile.Block {
			s.Took = 7 * ms
		}
		twice[i] = s
	}
	// What the machine was slower by may be taken for the probes' cost, up to
	// its bound.
	close := func(a, b time.Duration) bool { return (a - b).Abs() <= 2*maxProbeCost }
	if diff := cmp.Diff([][]profile.Segment{once, once, twice}, c.runs, cmp.Comparer(close)); diff != "" {
		t.Error(diff)
	}
	if len(c.notes) > 0 || c.held != 0 {
		t.Errorf("notes %q, held %v", c.notes, c.held)
	}
}

// A run of many small releases: what the probes add must not become native.
func TestCombineTakesTheProbesCostOff(t *testing.T) {
	small := func(cost time.Duration) run {
		s := stretch{held(10*us+cost/2, 0.5)}
		for range 1000 {
			s = append(s, free(2*us+cost, 1), held(8*us+cost, 1))
		}
		return run{stretches: []stretch{s}}
	}
	light, near := []run{onlyTimes(small(0))}, []run{small(1500 * time.Nanosecond)}
	c := combine(light, near)
	var native, all time.Duration
	for _, s := range c.runs[0] {
		all += s.Took
		if s.Class == profile.Native {
			native += s.Took
		}
	}
	if (all - 10010*us).Abs() > 10*us {
		t.Errorf("it takes %v, not 10.01ms", all)
	}
	if native < 1800*us || native > 2200*us {
		t.Errorf("%v native, want 2ms", native)
	}
	if n := len(c.runs[0]); n > maxSegments || n < 10 {
		t.Errorf("%d segments", n)
	}
}

func TestCombineNotes(t *testing.T) {
	waits := func(call int32, took time.Duration) wait { return wait{call: call, took: took} }
	of := func(all ...wait) run {
		r := run{stretches: []stretch{{held(2*ms, 0)}}}
		for _, w := range all {
			r.waits = append(r.waits, w)
			r.stretches = append(r.stretches, stretch{held(2*ms, 0)})
		}
		return r
	}
	sleep := waits(unix.SYS_CLOCK_NANOSLEEP, 3*ms)
	for name, test := range map[string]struct {
		light, near []run
		blocks      int
		runs        int
		note        string
	}{
		"agree":              {[]run{of(sleep), of(sleep)}, []run{of(sleep)}, 1, 2, ""},
		"a short one more":   {[]run{of(sleep), of(sleep, waits(unix.SYS_READ, 5*us))}, []run{of(sleep), of(waits(unix.SYS_READ, 9*us), sleep)}, 1, 1, ""},
		"short in all light": {[]run{of(sleep, waits(unix.SYS_READ, 5*us))}, []run{of(sleep)}, 1, 1, ""},
		"long ones differ":   {[]run{of(sleep), of(sleep, sleep), of()}, []run{of(sleep), of(sleep), of()}, 1, 1, "different order"},
		"nothing in common":  {[]run{of(sleep)}, []run{of(sleep, sleep)}, 0, 1, "come and go"},
		"no close runs":      {[]run{of(sleep)}, nil, 1, 1, ""},
	} {
		t.Run(name, func(t *testing.T) {
			c := combine(test.light, test.near)
			if len(c.runs) != test.runs {
				t.Fatalf("%d runs, want %d", len(c.runs), test.runs)
			}
			blocks := 0
			for _, s := range c.runs[0] {
				if s.Class == profile.Block {
					blocks++
				}
			}
			if blocks != test.blocks {
				t.Errorf("%d blocks, want %d: %v", blocks, test.blocks, c.runs[0])
			}
			notes := strings.Join(c.notes, "\n")
			if test.note == "" && notes != "" || !strings.Contains(notes, test.note) {
				t.Errorf("notes %q, want %q", notes, test.note)
			}
		})
	}
	if c := combine(nil, nil); c.runs != nil {
		t.Errorf("got %v of nothing", c.runs)
	}
}

// Time off the CPU with the lock held is no block, and is told apart.
func TestCombineHeld(t *testing.T) {
	r := run{
		stretches: []stretch{{held(1*ms, 0)}, {held(1*ms, 0)}},
		waits:     []wait{{call: -1, took: 4 * ms, held: true}},
	}
	c := combine([]run{onlyTimes(r)}, []run{r})
	if diff := cmp.Diff([][]profile.Segment{{segment(profile.CPU, 6*ms)}}, c.runs); diff != "" {
		t.Error(diff)
	}
	if c.held != 4*ms {
		t.Errorf("held for %v", c.held)
	}
}

// Packing moves no time from one class to another but for less than the
// resolution, and bounds the number of segments.
func TestPackKeepsTotals(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for range 500 {
		d := divided{stretches: []stretch{nil}}
		scale := []time.Duration{100, 2 * us, 30 * us, 1 * ms}[r.IntN(4)]
		for range r.IntN(400) {
			if r.IntN(5) == 0 {
				d.waits = append(d.waits, wait{call: unix.SYS_READ, took: time.Duration(r.Int64N(int64(scale)))})
				d.held = append(d.held, r.IntN(3) == 0)
				d.stretches = append(d.stretches, nil)
				continue
			}
			last := &d.stretches[len(d.stretches)-1]
			*last = append(*last, piece{native: r.IntN(2) == 0, took: time.Duration(r.Int64N(int64(scale)))})
		}
		wall := wallOf(d)
		totals := func(parts []part) map[profile.Class]time.Duration {
			m := map[profile.Class]time.Duration{}
			for _, p := range parts {
				m[p.class] += p.took
			}
			return m
		}
		before, packed := totals(d.parts()), pack(d, wall)
		after := totals(packed)
		if len(packed) > maxSegments {
			t.Fatalf("%d segments", len(packed))
		}
		var all time.Duration
		for _, class := range []profile.Class{profile.CPU, profile.Native, profile.Block} {
			all += after[class]
			// A class that is under the resolution in all is nowhere.
			limit := max(finest, wall/20)
			if moved := (after[class] - before[class]).Abs(); moved > 2*limit {
				t.Fatalf("%s: %v became %v of %v", class, before[class], after[class], wall)
			}
		}
		if all != wall {
			t.Fatalf("%v became %v", wall, all)
		}
		for i := 1; i < len(packed); i++ {
			if packed[i].class == packed[i-1].class {
				t.Fatalf("neighbours of one class: %v", packed)
			}
		}
	}
}

func TestCostOf(t *testing.T) {
	plain := func(took time.Duration) run { return run{stretches: []stretch{{held(took, 0)}}} }
	releases := func(n int, native, cpu time.Duration) run {
		var s stretch
		for range n {
			s = append(s, held(cpu, 1), free(native, 1))
		}
		return run{stretches: []stretch{s}}
	}
	for name, test := range map[string]struct {
		light, near run
		want        cost
	}{
		"no probes":     {plain(ms), plain(2 * ms), cost{}},
		"faster":        {plain(9 * ms), releases(100, 10*us, 10*us), cost{}},
		"even":          {plain(2 * ms), releases(100, 12*us, 12*us), cost{2000, 2000}},
		"mostly in cpu": {plain(2 * ms), releases(100, 500*time.Nanosecond, 23500*time.Nanosecond), cost{500, 3500}},
		"few, noise":    {plain(2 * ms), releases(2, 5*ms, 5*ms), cost{6000, 6000}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := costOf([]run{test.light}, []run{test.near}); got != test.want {
				t.Errorf("got %+v, want %+v", got, test.want)
			}
		})
	}
}
