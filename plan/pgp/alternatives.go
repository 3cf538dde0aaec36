package pgp

import (
	"context"
	"errors"
	"fmt"

	"github.com/chiron-faas/chiron/plan"
	"github.com/chiron-faas/chiron/plan/model"
)

// alternatives are the plans that a reader of the answer asks about next.
func (s *search) alternatives(ctx context.Context, r *Result) error {
	add := func(name string, p *plan.Plan) error {
		s.evaluations++
		latency, err := s.predictor.Latency(p)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		r.Alternatives = append(r.Alternatives, Alternative{
			Name: name, Plan: p, Latency: latency, CPUs: p.CPUs(),
			Memory: p.MemoryEstimate(s.Profile), Meets: s.meets(latency),
		})
		return nil
	}
	chosen := r.Plan.CPUs()
	for _, cpus := range []int{chosen - 1, chosen + 1} {
		c, err := s.fastest(ctx, cpus-len(s.apart))
		if err != nil {
			return err
		}
		if c == nil || c.plan.CPUs() == chosen {
			continue
		}
		if err := add(fewerOrMore(c.plan.CPUs()-chosen), c.plan); err != nil {
			return err
		}
	}
	for _, m := range model.All() {
		p, err := model.Build(m, model.Input{Workflow: s.Workflow, Definition: s.Definition, Functions: s.Functions, Profile: s.Profile, Rules: s.Rules})
		if errors.Is(err, model.ErrConflict) {
			r.Excluded = append(r.Excluded, Excluded{Model: m, Why: err.Error()})
			continue
		}
		if err != nil {
			return err
		}
		if err := add(string(m), p); err != nil {
			return err
		}
	}
	return nil
}

// fastest is the fastest plan with so many CPUs, or nil where there can be none.
func (s *search) fastest(ctx context.Context, cpus int) (*candidate, error) {
	if cpus < 1 || cpus > s.last {
		return nil, nil
	}
	if c := s.tried[cpus]; c != nil {
		return c, nil
	}
	var best *candidate
	for _, sh := range s.shapes(cpus) {
		if !sh.pinned() {
			continue
		}
		c, err := s.partition(ctx, sh)
		if err != nil {
			return nil, err
		}
		best = faster(best, c)
	}
	return best, nil
}

// fewerOrMore names an alternative by how many CPUs more it needs.
func fewerOrMore(more int) string {
	switch {
	case more == -1:
		return "one CPU fewer"
	case more < 0:
		return fmt.Sprintf("%d CPUs fewer", -more)
	case more == 1:
		return "one CPU more"
	default:
		return fmt.Sprintf("%d CPUs more", more)
	}
}
