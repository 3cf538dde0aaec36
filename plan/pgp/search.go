package pgp

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/chiron-faas/chiron/plan"
)

// Search finds a plan. It is deterministic. It fails where the workflow has no
// task, the profile lacks one, no plan keeps the limits, or ctx ends; an SLO that
// no plan meets is no failure but Result.Met.
func Search(ctx context.Context, p Problem) (*Result, error) {
	s, err := newSearch(p)
	if err != nil {
		return nil, err
	}
	return s.search(ctx)
}

func (s *search) search(ctx context.Context) (*Result, error) {
	if s.Method == Exact {
		for i := range s.stages {
			if n := len(s.stages[i].names); n > MaxExact {
				return nil, fmt.Errorf("a stage has %d tasks: the exact search takes at most %d; leave it out", n, MaxExact)
			}
		}
	}
	r := &Result{SLO: s.SLO, Target: s.SLO}
	known := make(map[int]*attempt)
	find := s.find
	if s.Method == SharedPool {
		find = s.shared
	}
	best, err := find(ctx, r, known)
	if err != nil {
		return nil, err
	}
	if best == nil {
		return nil, s.none()
	}
	r.Plan = best.plan
	if err := plan.Check(r.Plan, s.Definition, s.Functions, s.Rules); err != nil {
		return nil, fmt.Errorf("the search made a plan that cannot be (this is a bug): %w", err)
	}
	predictor, err := s.newPredictor()
	if err != nil {
		return nil, err
	}
	if r.Prediction, err = predictor.Predict(r.Plan); err != nil {
		return nil, err
	}
	r.Evaluations++
	if s.Alternatives {
		return r, s.alternatives(ctx, r, known)
	}
	return r, nil
}

// none says why there is no plan at all.
func (s *search) none() error {
	w, err := s.newWorker()
	if err != nil {
		return err
	}
	// The roomiest of all: each task in a process, each process in a wrap.
	sizes := func(n int) []int { return even(n, n) }
	of := s.deal(s.last)
	sh := s.divided(of, plan.Pool, sizes)
	sets := make([][]string, len(sh.slots))
	for i := range s.stages {
		for j, set := range w.longestFirst(&s.stages[i], sh, sets) {
			sets[j] = append(sets[j], s.stages[i].named(set)...)
		}
	}
	f := filled{sh, sets}.without()
	if err := s.allowed(s.plan(f)); err != nil {
		return fmt.Errorf("no plan keeps the project's limits: %w", err)
	}
	return errors.New("no plan that was tried keeps the project's limits: allow more wraps, CPUs or memory")
}

// find finds the best plan by the goal. Where nothing meets the SLO, it
// returns the fastest; nil where no plan can be.
func (s *search) find(ctx context.Context, r *Result, known map[int]*attempt) (*candidate, error) {
	switch s.Goal {
	case plan.FewestCPUs, "":
		return s.fewestCPUs(ctx, r, known)
	case plan.LowestLatency, plan.LowestMoney:
		return s.lowest(ctx, r, known)
	}
	return nil, fmt.Errorf("the search has no goal %q", s.Goal)
}

// maxTightened is how often the target is lowered for a percentile.
const maxTightened = 6

// fewestCPUs is the outer loop (lines 3 to 13): more and more CPUs until a plan
// meets the SLO. Where that is meant at a percentile, a plan that meets it on
// average only makes the search go on with as much a tighter target.
func (s *search) fewestCPUs(ctx context.Context, r *Result, known map[int]*attempt) (*candidate, error) {
	first := s.least
	for range maxTightened {
		target := r.Target
		if target == 0 { // anything will do
			target = hopeless.latency
		}
		a, err := s.first(ctx, r, first, target, known)
		if err != nil {
			return nil, err
		}
		if a == nil {
			break
		}
		best, err := s.finished(ctx, r, a, target)
		if err != nil {
			return nil, err
		}
		if r.Met, err = s.meets(r, best); err != nil {
			return nil, err
		}
		if r.Met {
			return best, nil
		}
		first = a.cpus
		r.tighten(s.tighter(r, best))
	}
	return s.fastest(ctx, r, known)
}

// tighter is the target after a plan that meets it, but not the SLO at its
// percentile: as much under the SLO as the percentile is over it; the next plan has
// another spread, so at least a little.
func (s *search) tighter(r *Result, c *candidate) time.Duration {
	under := time.Duration(float64(c.latency) / float64(r.AtPercentile) * float64(s.SLO))
	return min(under, c.latency-1, r.Target-r.Target/500)
}

// meets says whether a candidate meets the SLO, at its percentile.
func (s *search) meets(r *Result, c *candidate) (bool, error) {
	r.AtPercentile = 0
	if s.SLO == 0 {
		return true, nil
	}
	if s.AtPercentile == nil {
		return c.latency <= s.SLO, nil
	}
	if c.latency > s.SLO {
		return false, nil // nor does a slower one at a percentile over the mean
	}
	var err error
	r.Evaluations++
	r.AtPercentile, err = s.AtPercentile(c.plan)
	return r.AtPercentile <= s.SLO, err
}

// first attempt, by CPUs, that meets the target; nil where none does.
func (s *search) first(ctx context.Context, r *Result, from int, target time.Duration, known map[int]*attempt) (*attempt, error) {
	var counts []int
	for cpus := from; cpus <= s.last; cpus++ {
		if bound := s.atLeast(cpus); bound > target && s.Method != Algorithm2 {
			r.skip(cpus, bound)
			continue
		}
		counts = append(counts, cpus)
	}
	attempts, err := s.attempts(ctx, counts, target, func(a *attempt) bool { return a.best.within(target) })
	if err != nil {
		return nil, err
	}
	for _, a := range attempts {
		r.note(s, a, target, known)
	}
	if n := len(attempts); n > 0 && attempts[n-1].best.within(target) {
		return attempts[n-1], nil
	}
	return nil, nil
}

func (r *Result) skip(cpus int, bound time.Duration) {
	for i := range r.Skipped {
		if r.Skipped[i].CPUs == cpus {
			r.Skipped[i].AtLeast = bound
			return
		}
	}
	r.Skipped = append(r.Skipped, Skipped{CPUs: cpus, AtLeast: bound})
}

// tighten lowers the target, which some steps do not meet any more.
func (r *Result) tighten(target time.Duration) {
	r.Target = target
	for i := range r.Steps {
		if st := &r.Steps[i]; st.Latency > target && st.Latency <= r.SLO {
			st.Meets, st.Why = false, tooSlow(st.Latency, target, r.SLO)
		}
	}
}

// note takes an attempt into the result.
func (r *Result) note(s *search, a *attempt, target time.Duration, known map[int]*attempt) {
	r.Evaluations += a.evaluations
	if len(a.steps) == 0 && a.floor > target && target > 0 && s.SLO > 0 {
		r.skip(a.cpus, a.floor)
	}
	r.list(a.steps)
	if known[a.cpus] == nil || known[a.cpus].best == nil || a.best != nil && a.best.latency < known[a.cpus].best.latency {
		known[a.cpus] = a
	}
}

// list adds steps that are not listed yet: several attempts at one count of CPUs
// come by the same.
func (r *Result) list(steps []Step) {
	for _, st := range steps {
		if !slices.Contains(r.Steps, st) {
			r.Steps = append(r.Steps, st)
		}
	}
}

// finished packs the best of an attempt into few wraps.
func (s *search) finished(ctx context.Context, r *Result, a *attempt, target time.Duration) (*candidate, error) {
	w, err := s.newWorker()
	if err != nil {
		return nil, err
	}
	defer s.letGo(w)
	defer func() { r.Evaluations += w.evaluations }()
	packed, err := w.pack(a.best, target)
	if err != nil {
		return nil, err
	}
	if packed != a.best {
		a.add(s, packed, target)
		r.list(a.steps)
	}
	return packed, nil
}

// fastest is the fastest plan of all that were tried and of some that were not,
// since they cannot meet the SLO: the most CPUs most likely, few processes where
// forks are dear.
func (s *search) fastest(ctx context.Context, r *Result, known map[int]*attempt) (*candidate, error) {
	var best *candidate
	for cpus := s.least; cpus <= s.last; cpus++ {
		if a := known[cpus]; a != nil {
			best = faster(best, a.best)
		}
	}
	for cpus := s.last; cpus >= s.least; cpus /= 2 {
		if a := known[cpus]; a != nil && a.best != nil || best != nil && s.atLeast(cpus) >= best.latency {
			continue
		}
		a, err := s.try(ctx, cpus, asFastAsCanBe)
		if err != nil {
			return nil, err
		}
		r.note(s, a, asFastAsCanBe, known)
		best = faster(best, a.best)
	}
	r.Met = false
	if best == nil {
		return nil, nil
	}
	var err error
	r.Met, err = s.meets(r, best)
	return best, err
}
