package pgp

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/chiron-faas/chiron/plan"
)

// randomSets deals a stage's tasks out at random.
func randomSets(r *rand.Rand, st *stage, sh *shape) [][]int {
	sets := make([][]int, len(sh.slots))
	for _, strand := range st.strands {
		for _, t := range strand.tasks {
			j := r.IntN(len(sets))
			for sh.slots[j].group != strand.group {
				j = (j + 1) % len(sets)
			}
			sets[j] = append(sets[j], t)
		}
	}
	return sets
}

// randomShape has a CPU for each process.
func randomShape(r *rand.Rand, s *search, mode plan.Mode) *shape {
	of := make([]int, len(s.groups))
	for g := range of {
		of[g] = 1 + r.IntN(4)
	}
	return s.divided(of, mode, func(n int) []int { return composed(n, r.IntN(1<<n), n) })
}

// TestCompose: a stage put together from its processes takes as long as the
// simulation of the whole says, and no stage less than its bounds.
func TestCompose(t *testing.T) {
	count := 0
	for seed := range uint64(400) {
		r := rand.New(rand.NewPCG(seed, 11))
		p := randomProblem(t, r)
		if seed%2 == 1 { // whose times are round: much happens at the same moment
			p = smallProblem(t, r)
		}
		s, err := newSearch(p)
		if err != nil {
			t.Fatal(err)
		}
		w, err := s.newWorker()
		if err != nil {
			t.Fatal(err)
		}
		for _, mode := range []plan.Mode{plan.Fork, plan.Pool} {
			sh := randomShape(r, s, mode)
			sum := p.Calibration.Request
			for i := range s.stages {
				st := &s.stages[i]
				b, err := w.newBoard(st, sh, nil, randomSets(r, st, sh))
				if err != nil {
					t.Fatal(err)
				}
				sum += b.score.latency
				if b.score.latency < b.floor {
					t.Errorf("seed %d: stage %d takes %v, at least %v by its floor", seed, i, b.score.latency, b.floor)
				}
				if !b.composed {
					continue
				}
				count++
				sets := make([][]string, len(b.sets))
				for j, set := range b.sets {
					sets[j] = st.named(set)
				}
				want, err := w.predictor.StageLatency(st.index, s.plan(filled{sh, sets}))
				if err != nil {
					t.Fatal(err)
				}
				// Shares of a CPU are rounded to nanoseconds at every event, and a
				// whole stage has more of them.
				if d := want - b.score.latency; d.Abs() > 100*time.Nanosecond {
					t.Errorf("seed %d: put together %v, simulated %v", seed, b.score.latency, want)
				}
			}
			if bound := s.atLeast(sh.cpus()); sum < bound {
				t.Errorf("seed %d: %v with %d CPUs, the bound says %v", seed, sum, sh.cpus(), bound)
			}
			if floor := s.floor(sh); sum < floor {
				t.Errorf("seed %d: %v, the layout's floor says %v", seed, sum, floor)
			}
		}
	}
	if count < 400 {
		t.Errorf("only %d stages were put together", count)
	}
}
