package pgp

import (
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/chiron-faas/chiron/plan"
	"github.com/chiron-faas/chiron/predict"
	"github.com/chiron-faas/chiron/predict/predicttest"
	"github.com/chiron-faas/chiron/profile"
	"github.com/chiron-faas/chiron/workflow"
)

// Four functions of 30: 120 on one CPU, 60 on two and three, 30 on four.
func TestObjectives(t *testing.T) {
	four := predicttest.Par{"a", "b", "c", "d"}
	compute := "a: cpu 30, b: cpu 30, c: cpu 30, d: cpu 30"
	byCPU := plan.Prices{GHzSecond: 1, GHzPerCPU: 1}
	for _, c := range []struct {
		name    string
		goal    plan.Goal
		slo     time.Duration
		budget  int
		cpus    int
		latency time.Duration
	}{
		{"the fewest CPUs", plan.FewestCPUs, 65 * msec, 0, 2, 60 * msec},
		{"the lowest latency", plan.LowestLatency, 0, 0, 4, 30 * msec},
		{"the lowest latency on three", plan.LowestLatency, 0, 3, 2, 60 * msec},
		{"the lowest latency on one", plan.LowestLatency, 0, 1, 1, 120 * msec},
		// A CPU-second costs the same on one CPU for 120 as on four for 30.
		{"the lowest money", plan.LowestMoney, 0, 0, 1, 120 * msec},
		{"the lowest money under an SLO", plan.LowestMoney, 100 * msec, 0, 2, 60 * msec},
		{"the fewest CPUs on a budget", plan.FewestCPUs, 35 * msec, 2, 2, 60 * msec},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := problem(t, four, compute, c.slo)
			p.Goal, p.Budget, p.Prices = c.goal, c.budget, byCPU
			r, err := Search(t.Context(), p)
			if err != nil {
				t.Fatal(err)
			}
			if r.Plan.CPUs() != c.cpus || r.Prediction.Latency != c.latency || r.Met != (c.slo == 0 || c.latency <= c.slo) {
				t.Errorf("%d CPUs, %v, met %v, want %d and %v", r.Plan.CPUs(), r.Prediction.Latency, r.Met, c.cpus, c.latency)
			}
		})
	}
	p := problem(t, four, compute, 0)
	p.Goal = "speed"
	if _, err := Search(t.Context(), p); err == nil {
		t.Error("an unknown goal is no error")
	}
}

// TestPercentile: a plan that meets the SLO on average but not at its percentile
// makes the search go on.
func TestPercentile(t *testing.T) {
	p := problem(t, predicttest.Par{"a", "b", "c", "d"}, "a: cpu 30, b: cpu 30, c: cpu 30, d: cpu 30", 70*msec)
	asked := 0
	p.AtPercentile = func(pl *plan.Plan) (time.Duration, error) {
		asked++
		return time.Duration(map[int]int{1: 150, 2: 80, 3: 75, 4: 40}[pl.CPUs()]) * msec, nil
	}
	r, err := Search(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	if !r.Met || r.Plan.CPUs() != 4 || r.AtPercentile != 40*msec || r.Target >= p.SLO || asked > 3 {
		t.Errorf("met %v on %d CPUs, %v at the percentile, target %v, asked %d times", r.Met, r.Plan.CPUs(), r.AtPercentile, r.Target, asked)
	}
	p.SLO = 35 * msec
	if r, err = Search(t.Context(), p); err != nil || r.Met || r.AtPercentile != 40*msec {
		t.Errorf("an SLO that nothing meets at its percentile: met %v, %v, %v", r.Met, r.AtPercentile, err)
	}
}

// TestPackedResident: two wraps call each other for less than collecting a result
// of one costs, but one wrap has room for both processes. Forked there, the second
// is too slow at the percentile, resident it is not.
func TestPackedResident(t *testing.T) {
	p := problem(t, predicttest.Par{"a", "b"}, "a: cpu 30, b: cpu 30", 45*msec)
	p.Calibration.RPC, p.Calibration.INV, p.Calibration.IPC = msec/10, msec/10, msec
	predictor, err := predict.New(p.Definition, p.Profile, p.Calibration, predict.Options{})
	if err != nil {
		t.Fatal(err)
	}
	p.AtPercentile = func(pl *plan.Plan) (time.Duration, error) {
		latency, err := predictor.Latency(pl)
		return latency * 6 / 5, err
	}
	r, err := Search(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	want := `
w · chiron · 1 wrap, 2 CPUs
└─ wrap-1 · 2 CPUs
   ├─ pool on CPU 0 · b
   └─ pool on CPU 1 · a`
	if got := strings.TrimSpace(r.Plan.Tree(100)); got != strings.TrimSpace(want) || !r.Met {
		t.Errorf("met %v, plan:\n%s", r.Met, got)
	}
	for i, st := range r.Steps {
		if st.Meets != (st.Latency <= r.Target) || slices.Contains(r.Steps[:i], st) {
			t.Errorf("of %+v, under a target of %v", r.Steps, r.Target)
		}
	}
}

// TestFrontier: no plan of it beats another, and what the objectives find is on it.
func TestFrontier(t *testing.T) {
	for seed := range cases(12, 2) { // the next takes longer than all others
		p := randomProblem(t, rand.New(rand.NewPCG(seed, 29)))
		p.Prices = plan.PaperPrices()
		front, err := Frontier(t.Context(), p)
		if err != nil {
			t.Fatal(err)
		}
		for i := range front {
			for k := range front {
				if i != k && front[i].dominates(&front[k]) {
					t.Errorf("seed %d: %+v beats %+v", seed, front[i], front[k])
				}
			}
			if err := plan.Check(front[i].Plan, p.Definition, p.Functions, nil); err != nil {
				t.Error(err)
			}
		}
		p.Goal, p.SLO = plan.LowestLatency, 0
		r, err := Search(t.Context(), p)
		if err != nil {
			t.Fatal(err)
		}
		fastest := slices.MinFunc(front, func(a, b Point) int { return int(a.Latency - b.Latency) })
		if r.Prediction.Latency != fastest.Latency {
			t.Errorf("seed %d: the lowest latency is %v, on the frontier %v", seed, r.Prediction.Latency, fastest.Latency)
		}
	}
}

// TestSameEverywhere: the plan does not depend on how many CPUs search for it,
// nor on the order of maps.
func TestSameEverywhere(t *testing.T) {
	for seed := range uint64(5) {
		p := randomProblem(t, rand.New(rand.NewPCG(seed, 31)))
		p.Alternatives = true
		var first *Result
		var front []Point
		for i, cpus := range []int{1, 2, 4, 1} {
			before := runtime.GOMAXPROCS(cpus)
			r, err := Search(t.Context(), p)
			points, frontErr := Frontier(t.Context(), p)
			runtime.GOMAXPROCS(before)
			if err != nil || frontErr != nil {
				t.Fatal(err, frontErr)
			}
			if i == 0 {
				first, front = r, points
				continue
			}
			if diff := cmp.Diff(first, r); diff != "" {
				t.Errorf("seed %d: on %d CPUs:\n%s", seed, cpus, diff)
			}
			if diff := cmp.Diff(front, points); diff != "" {
				t.Errorf("seed %d: the frontier on %d CPUs:\n%s", seed, cpus, diff)
			}
		}
	}
}

// TestScales: with all times three times as long, so is the latency.
func TestScales(t *testing.T) {
	for seed := range uint64(12) {
		r := rand.New(rand.NewPCG(seed, 37))
		p := randomProblem(t, r)
		p.Method = Exact // elsewhere ties may break differently, since work is rounded
		p.CPUs = 0
		if slices.ContainsFunc(p.Definition.Stages(), func(st workflow.Stage) bool { return len(st.Root.Tasks()) > 5 }) {
			continue
		}
		p.Goal, p.SLO = plan.LowestLatency, 0
		once, err := Search(t.Context(), p)
		if err != nil {
			t.Fatal(err)
		}
		const k = 3
		c := *p.Calibration
		for _, d := range []*time.Duration{&c.Request, &c.Dispatch, &c.ThreadStart, &c.Startup, &c.Block, &c.IPC, &c.RPC, &c.INV, &c.SwitchInterval} {
			*d *= k
		}
		scaled := *p.Profile
		scaled.Functions = slices.Clone(scaled.Functions)
		for i := range scaled.Functions {
			f := &scaled.Functions[i]
			f.Periods = slices.Clone(f.Periods)
			for j := range f.Periods {
				f.Periods[j].Mean *= k
			}
		}
		p.Calibration, p.Profile = &c, &scaled
		thrice, err := Search(t.Context(), p)
		if err != nil {
			t.Fatal(err)
		}
		if d := thrice.Prediction.Latency - k*once.Prediction.Latency; d.Abs() > time.Microsecond+thrice.Prediction.Latency/200 {
			t.Errorf("seed %d: %v, three times %v", seed, thrice.Prediction.Latency, once.Prediction.Latency)
		}
	}
}

// TestRemoving: without one of its functions a stage's best latency is no worse.
func TestRemoving(t *testing.T) {
	for seed := range cases(6, 1) {
		r := rand.New(rand.NewPCG(seed, 41))
		p := smallProblem(t, r)
		p.Goal = plan.LowestLatency
		whole, err := Search(t.Context(), p)
		if err != nil {
			t.Fatal(err)
		}
		tasks := p.Definition.Tasks()
		without := r.IntN(len(tasks))
		var g predicttest.Par
		fewer := &profile.Profile{Workflow: "w"}
		for i, s := range tasks {
			if i != without {
				g = append(g, s.Name)
				f, _ := p.Profile.Task(s.Name)
				copied := *f
				copied.Tasks = []string{s.Name}
				fewer.Functions = append(fewer.Functions, copied)
			}
		}
		p.Definition, p.Profile = predicttest.Define(t, g), fewer
		rest, err := Search(t.Context(), p)
		if err != nil {
			t.Fatal(err)
		}
		if rest.Prediction.Latency > whole.Prediction.Latency+100*time.Nanosecond {
			t.Errorf("seed %d: without task %d %v, with it %v", seed, without, rest.Prediction.Latency, whole.Prediction.Latency)
		}
	}
}
