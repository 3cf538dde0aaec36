package pgp

import (
	"context"
	"fmt"
	"time"

	"github.com/chiron-faas/chiron/plan"
	"github.com/chiron-faas/chiron/predict"
)

// predictor is what the search asks: a *predict.Predictor.
type predictor interface {
	Predict(*plan.Plan) (*predict.Prediction, error)
	Latency(*plan.Plan) (time.Duration, error)
	// StageLatency and PartLatency predict one stage, by index; the latter as if
	// tasks that the plan does not place did not exist.
	StageLatency(int, *plan.Plan) (time.Duration, error)
	PartLatency(int, *plan.Plan) (time.Duration, error)
}

// Search finds a plan. It is deterministic. It fails where the workflow has no
// task, the profile lacks one, or ctx ends; an SLO that no plan meets is no
// failure but Result.Met.
func Search(ctx context.Context, p Problem) (*Result, error) {
	s, err := newSearch(p)
	if err != nil {
		return nil, err
	}
	r := &Result{SLO: p.SLO}
	best, err := s.find(ctx, r)
	if err != nil {
		return nil, err
	}
	if r.Met {
		if best, err = s.pack(best); err != nil {
			return nil, err
		}
	}
	r.Plan = best.plan
	if err := plan.Check(r.Plan, p.Definition, p.Functions, p.Rules); err != nil {
		return nil, fmt.Errorf("the search made a plan that cannot be (this is a bug): %w", err)
	}
	if r.Prediction, err = s.predictor.Predict(r.Plan); err != nil {
		return nil, err
	}
	if err := s.alternatives(ctx, r); err != nil {
		return nil, err
	}
	r.Evaluations = s.evaluations
	return r, nil
}

// candidate is a plan with its predicted latency.
type candidate struct {
	plan    *plan.Plan
	shape   shape
	sets    [][]string // tasks by process, without those that stand apart
	latency time.Duration
}

// find is the outer loop (lines 3 to 13): more and more CPUs until a plan meets
// the SLO. Where none does, it returns the fastest.
func (s *search) find(ctx context.Context, r *Result) (*candidate, error) {
	var best *candidate
	for cpus := 1; cpus <= s.last; cpus++ {
		if bound := s.atLeast(cpus); !s.meets(bound) && !s.Literal {
			r.Skipped = append(r.Skipped, Skipped{CPUs: cpus + len(s.apart), AtLeast: bound})
			continue
		}
		found, err := s.try(ctx, r, cpus)
		if err != nil {
			return nil, err
		}
		if found != nil && s.meets(found.latency) {
			r.Met = true
			return found, nil
		}
		best = faster(best, found)
	}
	// Nothing meets it. What was skipped may still be the fastest: the most CPUs
	// most likely, few processes where forks are dear.
	for cpus := s.last; cpus >= 1; cpus /= 2 {
		if s.tried[cpus] != nil || best != nil && s.atLeast(cpus) >= best.latency {
			continue
		}
		found, err := s.try(ctx, r, cpus)
		if err != nil {
			return nil, err
		}
		best = faster(best, found)
	}
	return best, nil
}

// faster is the faster of two candidates, of which one may be nil; a on a tie.
func faster(a, b *candidate) *candidate {
	if a == nil || b != nil && b.latency < a.latency {
		return b
	}
	return a
}

func (s *search) meets(latency time.Duration) bool { return s.SLO == 0 || latency <= s.SLO }

// try finds the best plan with so many CPUs: the first layout that meets the
// SLO, or the fastest.
func (s *search) try(ctx context.Context, r *Result, cpus int) (*candidate, error) {
	for _, sh := range s.shapes(cpus) {
		c, err := s.partition(ctx, sh)
		if err != nil {
			return nil, err
		}
		r.Steps = append(r.Steps, s.step(c))
		s.tried[cpus] = faster(s.tried[cpus], c)
		if s.meets(c.latency) {
			return c, nil
		}
	}
	return s.tried[cpus], nil
}

func (s *search) step(c *candidate) Step {
	st := Step{
		Processes: len(c.sets), Mode: c.shape.mode, Wraps: len(c.plan.Wraps), CPUs: c.plan.CPUs(), Shared: !c.shape.pinned(),
		Memory: c.plan.MemoryEstimate(s.Profile), Latency: c.latency, Meets: s.meets(c.latency),
	}
	if !st.Meets {
		st.Why = fmt.Sprintf("%.2f ms too slow", ms(c.latency-s.SLO))
	}
	return st
}

// partition is lines 5 to 11: the tasks dealt out, then Kernighan-Lin, stage by
// stage. Where the first way of dealing does not lead to the SLO, the second is
// tried for every stage.
func (s *search) partition(ctx context.Context, sh shape) (*candidate, error) {
	deals := []func(*stage, shape) [][]int{s.longestFirst, s.inTurn}
	if s.Literal {
		deals = deals[1:]
	}
	boards := make([]*board, len(s.stages))
	var best *candidate
	for round, deal := range deals {
		for i := range s.stages {
			b, err := s.newBoard(&s.stages[i], sh, deal(&s.stages[i], sh))
			if err != nil {
				return nil, err
			}
			if err := b.improve(ctx); err != nil {
				return nil, err
			}
			if round == 0 || b.score.better(boards[i].score) {
				boards[i] = b
			}
		}
		sets := make([][]string, sh.processes)
		for _, b := range boards {
			for j, set := range b.sets {
				for _, t := range set {
					sets[j] = append(sets[j], b.st.names[t])
				}
			}
		}
		c, err := s.candidate(sh, sets)
		if err != nil {
			return nil, err
		}
		best = faster(best, c)
		if s.meets(best.latency) || sh.processes == 1 {
			break
		}
	}
	return best, nil
}

// candidate makes the plan of a partition and predicts it.
func (s *search) candidate(sh shape, sets [][]string) (*candidate, error) {
	sh, sets = sh.without(sets)
	p := s.build(sh, sets)
	s.evaluations++
	latency, err := s.predictor.Latency(p)
	if err != nil {
		return nil, err
	}
	return &candidate{plan: p, shape: sh, sets: sets, latency: latency}, nil
}

// pack puts the processes into as few wraps as the SLO allows (lines 13 to 16).
func (s *search) pack(c *candidate) (*candidate, error) {
	for n := 1; n < len(c.shape.sizes); n++ {
		sh := c.shape
		sh.sizes = even(sh.processes, n)
		packed, err := s.candidate(sh, c.sets)
		if err != nil {
			return nil, err
		}
		if s.meets(packed.latency) {
			return packed, nil
		}
	}
	return c, nil
}

// even divides n processes into wraps whose sizes differ by one at most.
func even(n, wraps int) []int {
	sizes := make([]int, wraps)
	for i := range n {
		sizes[i%wraps]++
	}
	return sizes
}
