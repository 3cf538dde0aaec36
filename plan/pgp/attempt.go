package pgp

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/chiron-faas/chiron/plan"
)

// candidate is a plan with its predicted latency.
type candidate struct {
	plan    *plan.Plan
	layout  filled
	latency time.Duration
	memory  int64
}

// within says whether there is a candidate that takes no longer than target.
func (c *candidate) within(target time.Duration) bool { return c != nil && c.latency <= target }

// faster is the faster of two candidates, of which one may be nil; a on a tie.
func faster(a, b *candidate) *candidate {
	if a == nil || b != nil && b.latency < a.latency {
		return b
	}
	return a
}

// attempt is what came of a count of CPUs.
type attempt struct {
	cpus  int
	steps []Step
	// found are the candidates of the steps.
	found []*candidate
	// best meets the target, or is the fastest; nil: no layout could be.
	best        *candidate
	evaluations int
	// floor is the least that any layout takes; none was tried where that is over
	// the target.
	floor time.Duration
}

// asFastAsCanBe is a target that nothing meets.
const asFastAsCanBe = time.Duration(0)

// try finds the best plan with so many CPUs: the first layout that takes no
// longer than target, or the fastest.
func (s *search) try(ctx context.Context, cpus int, target time.Duration) (*attempt, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	w, err := s.newWorker()
	if err != nil {
		return nil, err
	}
	defer s.letGo(w)
	a := &attempt{cpus: cpus, floor: hopeless.latency}
	defer func() { a.evaluations = w.evaluations }()
	for _, l := range s.layouts(cpus) {
		if s.Mode != "" {
			if err := a.tryShapes(ctx, w, l.only(s.Mode), target); err != nil {
				return nil, err
			}
			if a.best.within(target) {
				return a, nil
			}
			continue
		}
		if err := a.tryShapes(ctx, w, l(plan.Pool), target); err != nil {
			return nil, err
		}
		// Making a process takes longer than calling one that is there: where that is
		// too slow, or all that counts is speed, nothing else is tried.
		if s.Method == Algorithm2 || s.Calibration.Startup < s.Calibration.Dispatch || a.best.within(target) {
			for _, mode := range s.fresh() {
				before := a.best
				a.best = nil
				if err := a.tryShapes(ctx, w, l(mode), target); err != nil {
					return nil, err
				}
				if a.best.within(target) {
					return a, nil
				}
				a.best = faster(before, a.best)
			}
		}
		if a.best.within(target) {
			return a, nil
		}
	}
	if s.Method != Algorithm2 && a.best != nil {
		c, err := w.switchSooner(a.best, target)
		if err != nil {
			return nil, err
		}
		if c != nil {
			a.add(s, c, target)
		}
	}
	return a, nil
}

// tryShapes tries shapes until one takes no longer than target. Shapes that cannot,
// or cannot be faster than the best, are left out.
func (a *attempt) tryShapes(ctx context.Context, w *worker, shapes []*shape, target time.Duration) error {
	shapes, err := w.leading(ctx, shapes, target)
	if err != nil {
		return err
	}
	for _, sh := range shapes {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		floor := w.s.floor(sh)
		a.floor = min(a.floor, floor)
		if w.s.Method != Algorithm2 && (target > 0 && floor > target || a.best != nil && floor >= a.best.latency) {
			continue
		}
		if w.bar = 0; a.best != nil {
			w.bar = a.best.latency
		}
		c, err := w.partition(ctx, sh, target)
		if err != nil {
			return err
		}
		if c == nil {
			continue // it breaks a limit
		}
		a.add(w.s, c, target)
		if c.latency <= target {
			return nil
		}
	}
	return nil
}

// add takes in a candidate, as a step.
func (a *attempt) add(s *search, c *candidate, target time.Duration) {
	a.best = faster(a.best, c)
	a.found = append(a.found, c)
	st := Step{
		Processes: len(c.layout.slots), Mode: c.layout.mode, Wraps: len(c.plan.Wraps), CPUs: c.plan.CPUs(), Shared: !c.layout.pinned(),
		Interval: shortestInterval(c.plan), Memory: c.memory, Latency: c.latency, Meets: s.SLO == 0 || c.latency <= s.SLO && (target == 0 || c.latency <= target),
	}
	if !st.Meets {
		st.Why = tooSlow(c.latency, target, s.SLO)
	}
	if !slices.Contains(a.steps, st) { // several layouts lead to one plan
		a.steps = append(a.steps, st)
	}
}

// tooSlow says by how much a plan misses the SLO, or the target that stands for it
// at its percentile.
func tooSlow(latency, target, slo time.Duration) string {
	if latency <= slo {
		return fmt.Sprintf("%.2f ms too slow at the percentile", ms(latency-target))
	}
	return fmt.Sprintf("%.2f ms too slow", ms(latency-slo))
}

// ms is for text only.
func ms(d time.Duration) float64 { return float64(d) / 1e6 }
