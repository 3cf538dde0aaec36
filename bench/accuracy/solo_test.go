package accuracy

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/chiron-faas/chiron/profile"
)

func TestRefit(t *testing.T) {
	const ms = time.Millisecond
	times := func(all ...int) []time.Duration {
		out := make([]time.Duration, len(all))
		for i, v := range all {
			out[i] = time.Duration(v) * ms
		}
		return out
	}
	p := &profile.Profile{Functions: []profile.Function{
		{
			Name: "f", Tasks: []string{"A", "B"}, Runs: 10,
			Wall: profile.Stat{Mean: 10 * ms}, CPU: profile.Stat{Mean: 4 * ms},
			Periods: []profile.Period{{Class: profile.CPU, Mean: 1 * ms}, {Class: profile.Block, Mean: 6 * ms, StdDev: 2 * ms}, {Class: profile.Native, Mean: 3 * ms}},
		},
		{Name: "g", Tasks: []string{"C"}, Wall: profile.Stat{Mean: 5 * ms}, Periods: []profile.Period{{Class: profile.CPU, Mean: 5 * ms}}},
	}}
	s := &soloRuns{
		// Twice the CPU time, and 3 ms of waiting.
		Warm: map[string]*taskRuns{"A": {Wall: times(10, 12), CPU: times(8, 8)}, "B": {Wall: times(11, 11), CPU: times(8, 8)}},
		Cold: map[string]*taskRuns{"A": {Wall: times(20), CPU: times(15)}},
	}
	got := s.refit(p)
	f := got.Functions[0]
	want := []profile.Period{{Class: profile.CPU, Mean: 2 * ms}, {Class: profile.Block, Mean: 3 * ms, StdDev: 1 * ms}, {Class: profile.Native, Mean: 6 * ms}}
	if diff := cmp.Diff(want, f.Periods); diff != "" {
		t.Error(diff)
	}
	if f.Wall.Mean != 11*ms || f.CPU.Mean != 8*ms || f.Runs != 4 || f.Cold.Mean != 20*ms || f.ColdCPU.Mean != 15*ms || len(f.Walls) != 4 {
		t.Errorf("refitted: %+v", f)
	}
	if diff := cmp.Diff(p.Functions[1], got.Functions[1]); diff != "" {
		t.Errorf("a function that was not measured has changed:\n%s", diff)
	}
	if p.Functions[0].Wall.Mean != 10*ms {
		t.Error("the profile itself has changed")
	}
}
