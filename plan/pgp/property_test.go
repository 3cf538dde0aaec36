package pgp

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/chiron-faas/chiron/plan"
	"github.com/chiron-faas/chiron/plan/model"
	"github.com/chiron-faas/chiron/predict"
	"github.com/chiron-faas/chiron/predict/predicttest"
	"github.com/chiron-faas/chiron/profile"
)

// randomProblem has flat and nested stages, functions that several tasks call,
// functions in conflict, machines with few CPUs.
func randomProblem(t testing.TB, r *rand.Rand) Problem {
	kinds := make([]profile.Function, 1+r.IntN(5))
	for i := range kinds {
		kinds[i].Name = fmt.Sprintf("f%d", i)
		for range 1 + r.IntN(4) {
			class := []profile.Class{profile.CPU, profile.Native, profile.Block}[r.IntN(3)]
			kinds[i].Periods = append(kinds[i].Periods, profile.Period{Class: class, Mean: time.Duration(1 + r.Int64N(int64(30*msec)))})
		}
		if r.IntN(5) == 0 {
			kinds[i].Files = []string{"/data/out"}
		}
	}
	functionOf := make(map[string]int)
	task := func() string {
		name := fmt.Sprintf("t%d", len(functionOf))
		functionOf[name] = r.IntN(len(kinds))
		kinds[functionOf[name]].Tasks = append(kinds[functionOf[name]].Tasks, name)
		return name
	}
	nested := r.IntN(3) == 0
	par := func(depth int) predicttest.Par { return nil }
	par = func(depth int) predicttest.Par {
		var g predicttest.Par
		for range 1 + r.IntN(9-3*depth) {
			switch {
			case nested && depth == 0 && r.IntN(4) == 0:
				g = append(g, predicttest.Seq{task(), par(1), task()})
			case nested && r.IntN(4) == 0:
				g = append(g, predicttest.Seq{task(), task()})
			default:
				g = append(g, task())
			}
		}
		return g
	}
	var graph predicttest.Seq
	for range 1 + r.IntN(3) {
		if r.IntN(3) == 0 {
			graph = append(graph, task())
		} else {
			graph = append(graph, par(0))
		}
	}
	d := predicttest.Define(t, graph)
	for _, s := range d.Tasks() {
		s.Function = fmt.Sprintf("f%d", functionOf[s.Name])
	}
	c := predict.Paper()
	c.Request, c.Dispatch, c.IPC = msec, 300*time.Microsecond, 2*msec
	if r.IntN(2) == 0 { // a machine like ours: forks and calls are cheap
		c.Startup, c.Block, c.RPC, c.INV = 3*msec, msec, msec/2, msec/10
	}
	p := Problem{
		Workflow: "w", Definition: d, Profile: &profile.Profile{Workflow: "w", Functions: kinds},
		Calibration: &c, SLO: time.Duration(10+r.IntN(250)) * msec,
	}
	if r.IntN(4) > 0 {
		p.CPUs = 1 + r.IntN(6)
	}
	return p
}

// cases are how many random ones there are: under the race detector, which is ten
// times as slow, so many as its goroutines need. make test runs all without it.
func cases(all, raced uint64) uint64 {
	if raceEnabled {
		return raced
	}
	return all
}

func TestSearchProperties(t *testing.T) {
	for seed := range cases(25, 5) {
		checkSearch(t, randomProblem(t, rand.New(rand.NewPCG(seed, 7))))
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

func FuzzSearch(f *testing.F) {
	f.Add(uint64(3), uint64(4))
	f.Fuzz(func(t *testing.T, a, b uint64) { checkSearch(t, randomProblem(t, rand.New(rand.NewPCG(a, b)))) })
}

func checkSearch(t *testing.T, p Problem) {
	t.Helper()
	r, err := Search(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	if err := plan.Check(r.Plan, p.Definition, p.Functions, nil); err != nil {
		t.Errorf("the plan is not valid: %v", err)
	}
	conflicts := plan.NewConflicts(p.Definition, p.Functions, p.Profile, nil)
	if err := r.Plan.Apart(conflicts); err != nil {
		t.Errorf("conflicts share a wrap: %v", err)
	}
	if r.Met != (r.Prediction.Latency <= p.SLO) {
		t.Errorf("met %v with %v predicted and an SLO of %v", r.Met, r.Prediction.Latency, p.SLO)
	}
	predictor, err := predict.New(p.Definition, p.Profile, p.Calibration, predict.Options{CPUs: p.CPUs})
	if err != nil {
		t.Fatal(err)
	}
	if again, err := predictor.Latency(r.Plan); err != nil || again != r.Prediction.Latency {
		t.Errorf("predicted anew: %v, %v, not %v", again, err, r.Prediction.Latency)
	}
	// No step with fewer CPUs met it, and where none meets it none is faster.
	for _, s := range r.Steps {
		if s.Meets && s.CPUs < r.Plan.CPUs() {
			t.Errorf("%d CPUs meet the SLO, the answer has %d", s.CPUs, r.Plan.CPUs())
		}
		if !r.Met && s.Latency < r.Prediction.Latency {
			t.Errorf("a step takes %v, the answer %v", s.Latency, r.Prediction.Latency)
		}
		if s.Meets == (s.Why != "") {
			t.Errorf("meets %v, but why not: %q", s.Meets, s.Why)
		}
	}
	for _, s := range r.Skipped {
		if s.AtLeast <= p.SLO {
			t.Errorf("%d CPUs were skipped, which need %v or more", s.CPUs, s.AtLeast)
		}
	}
	for _, a := range r.Alternatives {
		// The fewest CPUs, but for what conflicts and the machine force.
		if a.Meets && p.CPUs == 0 && strings.Contains(a.Name, "fewer") {
			t.Errorf("%s meets the SLO", a.Name)
		}
		// Faastlane-T is where the search begins: one resident process.
		if a.Name == string(model.FaastlaneT) && !r.Met && a.Latency < r.Prediction.Latency {
			t.Errorf("faastlane-t takes %v, the answer %v", a.Latency, r.Prediction.Latency)
		}
	}
	if p.CPUs > len(conflictGroups(conflicts, p))-1 && r.Plan.CPUs() > p.CPUs {
		t.Errorf("%d CPUs, the machine has %d", r.Plan.CPUs(), p.CPUs)
	}
	if len(r.Critical()) != len(r.Prediction.Stages) {
		t.Errorf("%d critical tasks for %d stages", len(r.Critical()), len(r.Prediction.Stages))
	}
	second, err := Search(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(r, second); diff != "" {
		t.Errorf("two searches differ:\n%s", diff)
	}
	p.SLO *= 2
	looser, err := Search(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	if r.Met && (!looser.Met || looser.Plan.CPUs() > r.Plan.CPUs()) {
		t.Errorf("with twice the SLO: met %v on %d CPUs, not %d", looser.Met, looser.Plan.CPUs(), r.Plan.CPUs())
	}
}

func conflictGroups(c *plan.Conflicts, p Problem) [][]string {
	var names []string
	for _, s := range p.Definition.Tasks() {
		names = append(names, s.Name)
	}
	return c.Groups(names)
}
