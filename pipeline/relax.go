package pipeline

import (
	"context"
	"fmt"
	"time"

	"github.com/chiron-faas/chiron/plan"
	"github.com/chiron-faas/chiron/plan/pgp"
	"github.com/chiron-faas/chiron/workflow"
)

// Relaxed is what the plan would be without one of the project's rules: what the
// rule costs.
type Relaxed struct {
	// Without names the rule: "apart", "together", "limits".
	Without string
	Plan    *plan.Plan
	Latency time.Duration
	Met     bool
}

// relax searches again without each kind of rule that the project has.
func relax(ctx context.Context, problem pgp.Problem) ([]Relaxed, error) {
	if problem.Rules == nil {
		return nil, nil
	}
	var out []Relaxed
	for _, r := range []struct {
		name string
		has  bool
		drop func(*workflow.Rules)
	}{
		{"apart", len(problem.Rules.Apart) > 0, func(r *workflow.Rules) { r.Apart = nil }},
		{"together", len(problem.Rules.Together) > 0, func(r *workflow.Rules) { r.Together = nil }},
		{"limits", problem.Rules.Limits != workflow.Limits{}, func(r *workflow.Rules) { r.Limits = workflow.Limits{} }},
	} {
		if !r.has {
			continue
		}
		fewer := *problem.Rules
		r.drop(&fewer)
		p := problem
		p.Alternatives = false
		p.Rules = &fewer
		if r.name == "together" && plan.Feasible(p.Definition, p.Functions, p.Profile, &fewer) != nil {
			continue // together also vouches for packages: without it there may be no plan
		}
		found, err := pgp.Search(ctx, p)
		if err != nil {
			return nil, fmt.Errorf("without %s: %w", r.name, err)
		}
		out = append(out, Relaxed{Without: r.name, Plan: found.Plan, Latency: found.Prediction.Latency, Met: found.Met})
	}
	return out, nil
}
