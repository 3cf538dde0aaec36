package pgp

import (
	"context"
	"errors"
	"fmt"

	"github.com/chiron-faas/chiron/plan"
	"github.com/chiron-faas/chiron/plan/model"
)

// alternatives are the plans that a reader of the answer asks about next.
func (s *search) alternatives(ctx context.Context, r *Result, known map[int]*attempt) error {
	predictor, err := s.newPredictor()
	if err != nil {
		return err
	}
	add := func(name string, p *plan.Plan) error {
		r.Evaluations++
		latency, err := predictor.Latency(p)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		r.Alternatives = append(r.Alternatives, Alternative{
			Name: name, Plan: p, Latency: latency, CPUs: p.CPUs(),
			Memory: p.MemoryEstimate(s.Profile), Meets: s.SLO == 0 || latency <= r.Target,
		})
		return nil
	}
	chosen := r.Plan.CPUs()
	for _, cpus := range []int{chosen - 1, chosen + 1} {
		if cpus < s.least || cpus > s.last {
			continue
		}
		a := known[cpus]
		if a == nil || a.best == nil {
			if a, err = s.try(ctx, cpus, asFastAsCanBe); err != nil {
				return err
			}
			r.Evaluations += a.evaluations
		}
		if a.best == nil || a.best.plan.CPUs() == chosen {
			continue
		}
		if err := add(fewerOrMore(a.best.plan.CPUs()-chosen), a.best.plan); err != nil {
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
