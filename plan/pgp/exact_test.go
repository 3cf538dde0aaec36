package pgp

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chiron-faas/chiron/plan"
	"github.com/chiron-faas/chiron/predict/predicttest"
)

// smallProblem is one stage of four to nine functions that compute, wait, and
// compute without the lock, on a machine like the paper's or like ours.
func smallProblem(t testing.TB, r *rand.Rand) Problem {
	var g predicttest.Par
	var behaviour []string
	kinds := 2 + r.IntN(9) // of some stages, several functions are alike
	texts := make([]string, kinds)
	for k := range texts {
		for range 1 + r.IntN(3) {
			texts[k] += fmt.Sprintf(" cpu %.1f block %.1f", 0.5+20*r.Float64(), 20*r.Float64())
			if r.IntN(4) == 0 {
				texts[k] += fmt.Sprintf(" native %.1f", 20*r.Float64())
			}
		}
	}
	for i := range 4 + r.IntN(6) {
		name := fmt.Sprintf("t%d", i)
		g = append(g, name)
		behaviour = append(behaviour, name+":"+texts[r.IntN(kinds)])
	}
	p := problem(t, g, strings.Join(behaviour, ", "), 0)
	c := p.Calibration
	c.Dispatch, c.ThreadStart = 200*time.Microsecond, 600*time.Microsecond
	c.IPC = time.Duration(r.IntN(2000)) * time.Microsecond
	if r.IntN(2) == 0 { // forks and calls are cheap
		c.Startup, c.Block, c.RPC, c.INV = 3*msec, msec, msec/2, msec/10
	}
	return p
}

// fastestBy finds the lowest latency with up to so many processes of their own
// CPUs, by one of the methods, for each mode.
func fastestBy(ctx context.Context, p Problem, method Method, mode plan.Mode) ([]time.Duration, int, error) {
	p.Method = method
	s, err := newSearch(p)
	if err != nil {
		return nil, 0, err
	}
	w, err := s.newWorker()
	if err != nil {
		return nil, 0, err
	}
	var out []time.Duration
	for n := 1; n <= s.last; n++ {
		a := &attempt{floor: hopeless.latency}
		if n > 1 { // one process may stay without a task
			a.best = &candidate{latency: out[n-2]}
		}
		if err := a.tryShapes(ctx, w, s.pinned([]int{n}, mode), asFastAsCanBe); err != nil {
			return nil, 0, err
		}
		out = append(out, a.best.latency)
	}
	return out, w.evaluations, nil
}

// TestExact holds the exact solver against every way to give each task to each
// process, all predicted whole.
func TestExact(t *testing.T) {
	if raceEnabled {
		t.Skip("it computes on one goroutine: run it without the race detector")
	}
	const most = 3 // processes
	stages := 0
	for seed := range uint64(40) {
		p := smallProblem(t, rand.New(rand.NewPCG(seed, 19)))
		s, err := newSearch(p)
		if err != nil {
			t.Fatal(err)
		}
		if len(s.stages[0].names) > 5 {
			continue
		}
		stages++
		w, err := s.newWorker()
		if err != nil {
			t.Fatal(err)
		}
		for _, mode := range []plan.Mode{plan.Fork, plan.Pool} {
			found, _, err := fastestBy(t.Context(), p, Exact, mode)
			if err != nil {
				t.Fatal(err)
			}
			least := hopeless.latency
			for n := 1; n <= most; n++ {
				for bits := range 1 << (n - 1) {
					sh := s.divided([]int{n}, mode, func(n int) []int { return composed(n, bits, n) })
					latency, err := w.enumerated(&s.stages[0], sh)
					if err != nil {
						t.Fatal(err)
					}
					least = min(least, latency)
				}
				if d := found[n-1] - least; d.Abs() > 100*time.Nanosecond { // see TestCompose
					t.Errorf("stage %d, %d processes, %s: the exact solver finds %v, of all ways the best takes %v", seed, n, mode, found[n-1], least)
				}
			}
		}
	}
	if stages < 5 {
		t.Errorf("only %d stages", stages)
	}
}

// enumerated is the least that a workflow of one stage takes in a shape, of all
// ways to give its tasks to the processes.
func (w *worker) enumerated(st *stage, sh *shape) (time.Duration, error) {
	ways := 1
	for range st.names {
		ways *= len(sh.slots)
	}
	least := hopeless.latency
	for way := range ways {
		sets := make([][]int, len(sh.slots))
		for t := range st.names {
			sets[way%len(sets)] = append(sets[way%len(sets)], t)
			way /= len(sets)
		}
		names := make([][]string, len(sets))
		for j, set := range sets {
			st.inOrder(set)
			names[j] = st.named(set)
		}
		latency, err := w.predictor.Latency(w.s.plan(filled{sh, names}.without()))
		if err != nil {
			return 0, err
		}
		least = min(least, latency)
	}
	return least, nil
}

// TestOptimal holds the search against the exact solver on seeded random stages:
// 25 of them; CHIRON_GAP=0-1000 asks for the thousand of docs/search.md.
func TestOptimal(t *testing.T) {
	first, end := seeds(t, "CHIRON_GAP", 25)
	type tally struct {
		cases, optimal int
		worst, sum     float64
		ours, exact    int // predictions
	}
	rows := make(map[string]*tally)
	add := func(row string, ratio float64, ours, exact int) {
		r := rows[row]
		if r == nil {
			r = &tally{}
			rows[row] = r
		}
		r.cases++
		if ratio <= 1 {
			r.optimal++
		}
		r.worst, r.sum, r.ours, r.exact = max(r.worst, ratio), r.sum+ratio, r.ours+ours, r.exact+exact
	}
	for seed := first; seed < end; seed++ {
		p := smallProblem(t, rand.New(rand.NewPCG(seed, 17)))
		stage := 1.0
		oursAll, exactAll := 0, 0
		for _, mode := range []plan.Mode{plan.Fork, plan.Pool} {
			ours, asked, err := fastestBy(t.Context(), p, Production, mode)
			if err != nil {
				t.Fatal(err)
			}
			best, tried, err := fastestBy(t.Context(), p, Exact, mode)
			if err != nil {
				t.Fatal(err)
			}
			for n := range best {
				ratio := float64(ours[n]) / float64(best[n])
				switch d := ours[n] - best[n]; {
				case d.Abs() <= 100*time.Nanosecond: // see TestCompose
					ratio = 1
				case d < 0:
					t.Errorf("stage %d, %d processes, %s: %v, faster than the optimum %v", seed, n+1, mode, ours[n], best[n])
				}
				add(fmt.Sprintf("%-4s %d", mode, n+1), ratio, 0, 0)
				stage = max(stage, ratio)
			}
			oursAll, exactAll = oursAll+asked, exactAll+tried
		}
		add("all", stage, oursAll, exactAll)
		if stage > 1.01 {
			t.Logf("stage %d: %.2f %% over the optimum", seed, 100*(stage-1))
		}
	}
	t.Log("mode processes   cases  optimal %   mean gap %   worst gap %")
	for _, name := range sortedKeys(rows) {
		r := rows[name]
		t.Logf("%-14s %7d  %9.2f  %11.4f  %12.3f", name, r.cases, 100*float64(r.optimal)/float64(r.cases), 100*(r.sum/float64(r.cases)-1), 100*(r.worst-1))
	}
	all := rows["all"]
	t.Logf("predictions: %d by the search, %d by the exact solver", all.ours, all.exact)
	if share := float64(all.optimal) / float64(all.cases); share < 0.98 || all.worst > 1.01 {
		t.Errorf("%.1f %% of the stages are planned optimally, the worst %.2f %% over: want 98 %% and 1 %%", 100*share, 100*(all.worst-1))
	}
}

// seeds of random inputs: so many, some of them under the race detector, which is
// ten times as slow, or those that a variable names: "0-1000".
func seeds(t *testing.T, variable string, some uint64) (first, end uint64) {
	text := os.Getenv(variable)
	if text == "" {
		if raceEnabled {
			return 0, (some + 11) / 12
		}
		return 0, some
	}
	if n, err := fmt.Sscanf(text, "%d-%d", &first, &end); err != nil || n != 2 {
		t.Fatalf("%s=%q: write 0-1000", variable, text)
	}
	return first, end
}

func sortedKeys[V any](m map[string]V) []string {
	var keys []string
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
