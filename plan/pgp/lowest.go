package pgp

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/chiron-faas/chiron/plan"
)

// Point is a plan with all that plans are compared by.
type Point struct {
	Plan    *plan.Plan
	CPUs    int
	Memory  int64   // bytes
	Money   float64 // USD for a million requests, by Problem.Prices
	Latency time.Duration
	Meets   bool
}

// dominates says whether a is no worse than b in anything.
func (a *Point) dominates(b *Point) bool {
	return a.CPUs <= b.CPUs && a.Memory <= b.Memory && a.Money <= b.Money && a.Latency <= b.Latency
}

// Frontier finds the plans that no other beats: of any two, each is better in
// something of CPUs, memory, money and latency. Those with the fewest CPUs come
// first. The SLO only says which of them meet it.
func Frontier(ctx context.Context, p Problem) ([]Point, error) {
	s, err := newSearch(p)
	if err != nil {
		return nil, err
	}
	var front []Point
	var fastest *candidate
	err = s.waves(ctx, &Result{}, map[int]*attempt{}, func(cpus int) bool {
		return fastest != nil && s.atLeast(cpus) >= fastest.latency // so are all that have more
	}, func(a *attempt) {
		fastest = faster(fastest, a.best)
		for _, c := range a.found {
			front = join(front, s.point(c))
		}
	})
	if err != nil {
		return nil, err
	}
	if len(front) == 0 {
		return nil, s.none()
	}
	slices.SortStableFunc(front, func(a, b Point) int {
		return cmp.Or(cmp.Compare(a.CPUs, b.CPUs), cmp.Compare(a.Memory, b.Memory), cmp.Compare(a.Latency, b.Latency))
	})
	return front, nil
}

func (s *search) point(c *candidate) Point {
	pt := Point{Plan: c.plan, CPUs: c.plan.CPUs(), Memory: c.memory, Latency: c.latency, Meets: s.SLO == 0 || c.latency <= s.SLO}
	pt.Money = s.Prices.Money(plan.Usage{Latency: pt.Latency, CPUs: pt.CPUs, Memory: pt.Memory})
	return pt
}

// join adds a point that none dominates, and drops those that it dominates.
func join(front []Point, p Point) []Point {
	if slices.ContainsFunc(front, func(other Point) bool { return other.dominates(&p) }) {
		return front
	}
	return append(slices.DeleteFunc(front, func(other Point) bool { return p.dominates(&other) }), p)
}

// wave is how many counts of CPUs are tried before it is asked again which are
// worth it. It does not depend on the machine, so neither does the result.
const wave = 4

// waves tries all counts of CPUs, each as fast as can be, but those that are
// hopeless by what has been found so far.
func (s *search) waves(ctx context.Context, r *Result, known map[int]*attempt, hopeless func(cpus int) bool, found func(*attempt)) error {
	for cpus := s.least; cpus <= s.last; {
		var counts []int
		for ; cpus <= s.last && len(counts) < wave; cpus++ {
			if !hopeless(cpus) {
				counts = append(counts, cpus)
			}
		}
		attempts, err := s.attempts(ctx, counts, asFastAsCanBe, func(*attempt) bool { return false })
		if err != nil {
			return err
		}
		for _, a := range attempts {
			r.note(s, a, asFastAsCanBe, known)
			found(a)
		}
	}
	return nil
}

// lowest finds the plan of the lowest latency, or of the lowest money of those
// that meet the SLO. Of equals it is the one with the fewest CPUs.
func (s *search) lowest(ctx context.Context, r *Result, known map[int]*attempt) (*candidate, error) {
	type ranked struct {
		*candidate
		value float64
	}
	var all []ranked
	best := -1.0
	value := func(latency time.Duration, cpus int, memory int64) float64 {
		if s.Goal == plan.LowestMoney {
			return s.Prices.Money(plan.Usage{Latency: latency, CPUs: cpus, Memory: memory})
		}
		return float64(latency)
	}
	err := s.waves(ctx, r, known, func(cpus int) bool {
		bound := s.atLeast(cpus)
		if s.SLO > 0 && bound > s.SLO {
			r.skip(cpus, bound)
			return true
		}
		return best >= 0 && value(bound, cpus, 0) >= best
	}, func(a *attempt) {
		for _, c := range a.found {
			v := value(c.latency, c.plan.CPUs(), c.memory)
			if s.SLO == 0 || c.latency <= s.SLO {
				all = append(all, ranked{c, v})
				// A plan that may still turn out too slow at the percentile does not
				// rule others out.
				if s.AtPercentile == nil && (best < 0 || v < best) {
					best = v
				}
			}
		}
	})
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(all, func(a, b ranked) int { return cmp.Compare(a.value, b.value) })
	for _, c := range all {
		if r.Met, err = s.meets(r, c.candidate); err != nil || r.Met {
			return c.candidate, err
		}
	}
	return s.fastest(ctx, r, known)
}
