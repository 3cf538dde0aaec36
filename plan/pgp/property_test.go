package pgp

import (
	"fmt"
	"math/rand/v2"
	"slices"
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

func TestSearchProperties(t *testing.T) {
	for seed := range uint64(25) {
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
	for line := range strings.SplitSeq(r.Explain(), "\n") {
		if n := len([]rune(line)); n > 100 {
			t.Errorf("a line of %d columns: %s", n, line)
		}
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

// randomSets deals a stage's tasks out at random.
func randomSets(r *rand.Rand, st *stage, n int) [][]int {
	sets := make([][]int, n)
	for _, strand := range st.strands {
		for _, t := range strand {
			j := r.IntN(n)
			sets[j] = append(sets[j], t)
		}
	}
	return sorted(sets)
}

// TestCompose: a stage put together from its processes takes as long as the
// simulation of the whole says, and no stage less than its bound.
func TestCompose(t *testing.T) {
	composed := 0
	for seed := range uint64(400) {
		r := rand.New(rand.NewPCG(seed, 11))
		p := randomProblem(t, r)
		s, err := newSearch(p)
		if err != nil {
			t.Fatal(err)
		}
		for _, mode := range []plan.Mode{plan.Fork, plan.Pool} {
			n := 1 + r.IntN(5)
			sh := shape{processes: n, mode: mode, cpus: n, sizes: s.sizes(n, mode)}
			if r.IntN(2) == 0 {
				sh.sizes = even(n, 1+r.IntN(n))
			}
			sum, all := p.Calibration.Request, make([][]string, n)
			for i := range s.stages {
				st := &s.stages[i]
				b, err := s.newBoard(st, sh, randomSets(r, st, n))
				if err != nil {
					t.Fatal(err)
				}
				sum += b.score.latency
				for j, set := range b.sets {
					all[j] = append(all[j], st.named(set)...)
				}
				if !b.composed {
					continue
				}
				composed++
				sets := make([][]string, n)
				for j, set := range b.sets {
					sets[j] = st.named(set)
				}
				want, err := s.predictor.StageLatency(st.index, s.build(sh, sets))
				if err != nil {
					t.Fatal(err)
				}
				// Shares of a CPU are rounded to nanoseconds at every event, and a
				// whole stage has more of them.
				if d := want - b.score.latency; d.Abs() > 100*time.Nanosecond {
					t.Errorf("seed %d: put together %v, simulated %v", seed, b.score.latency, want)
				}
			}
			if bound := s.atLeast(n); sum < bound {
				t.Errorf("seed %d: %v with %d CPUs, the bound says %v", seed, sum, n, bound)
			}
		}
	}
	if composed < 400 {
		t.Errorf("only %d stages were put together", composed)
	}
}

// TestGap holds the partitions against the best of all, for stages of up to six
// tasks in two and three processes.
func TestGap(t *testing.T) {
	for _, literal := range []bool{false, true} {
		cases, optimal, worst, sum := 0, 0, 1.0, 0.0
		for seed := range uint64(60) {
			r := rand.New(rand.NewPCG(seed, 13))
			p := tinyProblem(t, r)
			p.Literal = literal
			s, err := newSearch(p)
			if err != nil {
				t.Fatal(err)
			}
			for _, n := range []int{2, 3} {
				for _, mode := range []plan.Mode{plan.Fork, plan.Pool} {
					sh := shape{processes: n, mode: mode, cpus: n, sizes: []int{n}}
					c, err := s.partition(t.Context(), sh)
					if err != nil {
						t.Fatal(err)
					}
					ratio := float64(c.latency) / float64(exhaust(t, s, sh))
					cases++
					if ratio < 1.000001 {
						optimal++
					}
					worst = max(worst, ratio)
					sum += ratio
				}
			}
		}
		share := float64(optimal) / float64(cases)
		t.Logf("literal %v: %d cases, %.1f %% optimal, mean %.3f, worst %.3f", literal, cases, 100*share, sum/float64(cases), worst)
		if !literal && (share < 0.9 || worst > 1.15) {
			t.Error("the search falls short of what it reached when it was written: 96 % optimal, worst 1.083")
		}
	}
}

// tinyProblem is one stage of three to six tasks that compute and wait.
func tinyProblem(t testing.TB, r *rand.Rand) Problem {
	var g predicttest.Par
	var behaviour []string
	for i := range 3 + r.IntN(4) {
		name := fmt.Sprintf("t%d", i)
		g = append(g, name)
		text := name + ":"
		for range 1 + r.IntN(3) {
			text += fmt.Sprintf(" cpu %d block %d", 1+r.IntN(20), r.IntN(20))
		}
		behaviour = append(behaviour, text)
	}
	return problem(t, g, strings.Join(behaviour, ", "), 1)
}

// exhaust is the lowest latency of all ways to put the only stage's tasks into
// the processes.
func exhaust(t testing.TB, s *search, sh shape) time.Duration {
	st := &s.stages[0]
	best := time.Duration(-1)
	at := make([]int, len(st.names))
	for {
		sets := make([][]string, sh.processes)
		for i, j := range at {
			sets[j] = append(sets[j], st.names[i])
		}
		c, err := s.candidate(sh, sets)
		if err != nil {
			t.Fatal(err)
		}
		if best < 0 || c.latency < best {
			best = c.latency
		}
		i := slices.IndexFunc(at, func(j int) bool { return j < sh.processes-1 })
		if i < 0 {
			return best
		}
		at[i]++
		clear(at[:i])
	}
}
