package pgp

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/chiron-faas/chiron/plan"
	"github.com/chiron-faas/chiron/plan/model"
	"github.com/chiron-faas/chiron/predict"
	"github.com/chiron-faas/chiron/predict/predicttest"
	"github.com/chiron-faas/chiron/profile"
)

// waiters is a stage of tasks that compute a little and wait long, and one that
// computes: CPUs can be shared.
func waiters(t *testing.T) Problem {
	t.Helper()
	d := predicttest.Define(t, predicttest.Par{"a", "b", "c", "d", "e"})
	measured := &profile.Profile{}
	for _, f := range []struct {
		name       string
		cpu, block time.Duration
	}{{"a", 2, 20}, {"b", 2, 20}, {"c", 2, 20}, {"d", 20, 0}, {"e", 2, 20}} {
		measured.Functions = append(measured.Functions, profile.Function{
			Name: f.name, Tasks: []string{f.name},
			Wall: profile.Stat{Mean: (f.cpu + f.block) * time.Millisecond},
			Periods: []profile.Period{
				{Class: profile.CPU, Mean: f.cpu * time.Millisecond}, {Class: profile.Block, Mean: f.block * time.Millisecond},
			},
		})
	}
	c := predict.Paper()
	return Problem{Workflow: "w", Definition: d, Profile: measured, Calibration: &c, Method: SharedPool}
}

func TestSharedPool(t *testing.T) {
	p := waiters(t)
	p.SLO = 30 * time.Millisecond
	r, err := Search(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	w := r.Plan.Wraps[0]
	if !r.Met || r.Plan.Model != NameShared || len(r.Plan.Wraps) != 1 || len(w.Processes) != 5 {
		t.Fatalf("met %v with\n%s", r.Met, r.Plan.Tree(100))
	}
	if w.CPUs >= len(w.Processes) || w.CPUs < 1 {
		t.Errorf("%d CPUs for %d processes: they are to share some", w.CPUs, len(w.Processes))
	}
	if w.Processes[0].Tasks[0] != "d" {
		t.Errorf("process 1 has %v: the task that computes longest is to begin first", w.Processes[0].Tasks)
	}
	for _, process := range w.Processes {
		if process.Mode != plan.Pool || process.CPU == plan.Unpinned {
			t.Errorf("a process is %s on CPU %d: all are to be resident and pinned", process.Mode, process.CPU)
		}
	}
	// With a CPU fewer the objective is out of reach of every pinning.
	if w.CPUs > 1 {
		p.CPUs = w.CPUs - 1
		less, err := Search(t.Context(), p)
		if err != nil {
			t.Fatal(err)
		}
		if less.Met {
			t.Errorf("%d CPUs were enough:\n%s", less.Plan.CPUs(), less.Plan.Tree(100))
		}
	}
}

// TestSharedPoolAsked: an objective that anything meets needs one CPU, one that
// nothing meets as many as make it fastest, and never more than processes.
func TestSharedPoolAsked(t *testing.T) {
	p := waiters(t)
	for slo, met := range map[time.Duration]bool{0: true, time.Hour: true, time.Nanosecond: false} {
		p.SLO = slo
		r, err := Search(t.Context(), p)
		if err != nil {
			t.Fatal(err)
		}
		if r.Met != met || met && r.Plan.CPUs() != 1 || r.Plan.CPUs() > 5 {
			t.Errorf("SLO %v: met %v with %d CPUs", slo, r.Met, r.Plan.CPUs())
		}
	}
	p.SLO, p.Goal = time.Hour, plan.LowestMoney
	if _, err := Search(t.Context(), p); err == nil {
		t.Error("it searched for the least money")
	}
}

// TestSharedPoolPercentile: a pinning that meets the SLO on average only makes the
// search go on with a tighter target, and counts of CPUs that the functions' work
// alone fills for longer are not tried.
func TestSharedPoolPercentile(t *testing.T) {
	p := waiters(t)
	predictor, err := predict.New(p.Definition, p.Profile, p.Calibration, predict.Options{})
	if err != nil {
		t.Fatal(err)
	}
	p.AtPercentile = func(pl *plan.Plan) (time.Duration, error) {
		latency, err := predictor.Latency(pl)
		return latency + latency/time.Duration(4*pl.CPUs()), err // more CPUs, less spread
	}
	for p.SLO = 22 * time.Millisecond; ; p.SLO += time.Millisecond {
		r, err := Search(t.Context(), p)
		if err != nil {
			t.Fatal(err)
		}
		// All together compute for 28 ms: one CPU is not tried for less.
		if skips := p.SLO < 28*time.Millisecond; r.Met && r.AtPercentile > p.SLO || skips != (len(r.Skipped) > 0) {
			t.Errorf("SLO %v: met %v with %v at the percentile, %d skipped", p.SLO, r.Met, r.AtPercentile, len(r.Skipped))
		}
		for _, st := range r.Steps {
			if st.Meets && st.CPUs < r.Plan.CPUs() {
				t.Errorf("SLO %v: %+v met it, but the plan has %d CPUs", p.SLO, st, r.Plan.CPUs())
			}
		}
		for _, skipped := range r.Skipped {
			if skipped.AtLeast <= p.SLO {
				t.Errorf("SLO %v: %+v was skipped", p.SLO, skipped)
			}
		}
		if r.Met {
			break
		}
		if p.SLO > 40*time.Millisecond {
			t.Fatal("nothing meets an SLO that all do")
		}
	}
	ended, end := context.WithCancel(t.Context())
	end()
	if _, err := Search(ended, p); !errors.Is(err, context.Canceled) {
		t.Errorf("searched though its context has ended: %v", err)
	}
}

// TestSharedPoolLarge: 200 functions are searched with a bounded number of
// predictions, of which each takes milliseconds, on any number of CPUs.
func TestSharedPoolLarge(t *testing.T) {
	p := stageOf(t, 200, 20)
	p.Method, p.CPUs = SharedPool, 40
	r, err := Search(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	if most := 40 * (maxPinned/200 + 3); r.Evaluations > most {
		t.Errorf("%d predictions; %d would do", r.Evaluations, most)
	}
	if len(r.Skipped) == 0 {
		t.Error("a search on one CPU was not skipped")
	}
	if r.Met != (r.Prediction.Latency <= p.SLO) {
		t.Errorf("met %v with %v of %v", r.Met, r.Prediction.Latency, p.SLO)
	}
}

// TestModeForced: whatever would be best, all processes but the first of each wrap
// have the mode that is asked for.
func TestModeForced(t *testing.T) {
	for _, name := range Names() {
		p := waiters(t)
		p.Method = Production
		if !p.As(name) {
			t.Fatalf("%s is no name", name)
		}
		p.Calibration.Standby = time.Millisecond
		p.SLO = 31 * time.Millisecond
		r, err := Search(t.Context(), p)
		if err != nil {
			t.Fatal(err)
		}
		if r.Plan.Model != name {
			t.Errorf("the plan of %s is called %s", name, r.Plan.Model)
		}
		if name != NameStandby {
			continue
		}
		for _, w := range r.Plan.Wraps {
			for i, process := range w.Processes {
				if want := plan.Standby; i > 0 && process.Mode != want {
					t.Errorf("process %d is %s, not %s:\n%s", i+1, process.Mode, want, r.Plan.Tree(100))
				}
			}
		}
	}
	p := waiters(t)
	if p.As(string(model.Faastlane)) {
		t.Error("a fixed model's name is taken for a search's")
	}
}
