package pgp

import (
	"context"
	"slices"
	"time"

	"github.com/chiron-faas/chiron/plan"
)

// improve runs Kernighan-Lin between every pair of processes for the tasks of
// one stage (lines 9 to 11), changing the plan in place.
func (s *search) improve(ctx context.Context, st *stage, p *plan.Plan) error {
	var processes []*plan.Process
	for w := range len(p.Wraps) - len(s.apart) {
		for i := range p.Wraps[w].Processes {
			processes = append(processes, &p.Wraps[w].Processes[i])
		}
	}
	for a := range processes {
		for b := a + 1; b < len(processes); b++ {
			if err := s.kernighanLin(ctx, st, p, processes[a], processes[b]); err != nil {
				return err
			}
		}
	}
	return nil
}

// swap exchanges a task of one process with one of another, by position.
type swap struct{ a, b int }

// kernighanLin is the paper's function of that name (lines 18 to 25): it swaps
// the pair of tasks that leaves the stage fastest, again and again until one
// side has been swapped whole, and keeps the first k swaps, those after which
// the stage was fastest.
func (s *search) kernighanLin(ctx context.Context, st *stage, p *plan.Plan, a, b *plan.Process) error {
	left, right := st.positions(a), st.positions(b)
	if len(left) == 0 || len(right) == 0 {
		return nil
	}
	best, err := s.evaluate(st, p)
	if err != nil {
		return err
	}
	var done []swap
	kept := 0
	for len(left) > 0 && len(right) > 0 {
		if err := ctx.Err(); err != nil {
			return context.Cause(ctx)
		}
		chosen, latency, err := s.bestSwap(st, p, a, b, left, right)
		if err != nil {
			return err
		}
		if chosen == (swap{-1, -1}) {
			break // all that is left are tasks of one kind
		}
		a.Tasks[chosen.a], b.Tasks[chosen.b] = b.Tasks[chosen.b], a.Tasks[chosen.a]
		done = append(done, chosen)
		if latency < best {
			best, kept = latency, len(done)
		}
		left = slices.DeleteFunc(left, func(i int) bool { return i == chosen.a })
		right = slices.DeleteFunc(right, func(i int) bool { return i == chosen.b })
	}
	for _, undone := range slices.Backward(done[kept:]) {
		a.Tasks[undone.a], b.Tasks[undone.b] = b.Tasks[undone.b], a.Tasks[undone.a]
	}
	return nil
}

// bestSwap tries every pair of kinds once and returns the swap that leaves the
// stage fastest; {-1, -1} where all are of one kind.
func (s *search) bestSwap(st *stage, p *plan.Plan, a, b *plan.Process, left, right []int) (swap, time.Duration, error) {
	chosen, best := swap{-1, -1}, time.Duration(0)
	tried := make(map[[2]int]bool)
	for _, i := range left {
		for _, j := range right {
			x, y := st.kinds[a.Tasks[i]], st.kinds[b.Tasks[j]]
			if x == y || tried[[2]int{x, y}] {
				continue
			}
			tried[[2]int{x, y}] = true
			a.Tasks[i], b.Tasks[j] = b.Tasks[j], a.Tasks[i]
			latency, err := s.evaluate(st, p)
			a.Tasks[i], b.Tasks[j] = b.Tasks[j], a.Tasks[i]
			if err != nil {
				return swap{}, 0, err
			}
			if chosen.a < 0 || latency < best {
				chosen, best = swap{i, j}, latency
			}
		}
	}
	return chosen, best, nil
}

// positions of the stage's tasks in a process.
func (st *stage) positions(p *plan.Process) []int {
	var at []int
	for i, t := range p.Tasks {
		if _, ok := st.kinds[t]; ok {
			at = append(at, i)
		}
	}
	return at
}

// evaluate predicts one stage under the plan.
func (s *search) evaluate(st *stage, p *plan.Plan) (time.Duration, error) {
	s.evaluations++
	return s.predictor.StageLatency(st.index, p)
}
