package controller

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/chiron-faas/chiron/deploy/kubernetes/v1alpha1"
	"github.com/chiron-faas/chiron/plan"
	"github.com/chiron-faas/chiron/plan/pgp"
	"github.com/chiron-faas/chiron/predict"
	"github.com/chiron-faas/chiron/profile"
)

// makePlan searches the plan that keeps a request's SLO with the fewest CPUs. It is
// deterministic. The error is a *Refusal where there is none.
//
// Every wrap has CPUs of its own, as its pods do: nothing bounds their sum but the
// request's limits.
func makePlan(ctx context.Context, r *request, measured *profile.Profile, constants *predict.Calibration) (*plan.Plan, error) {
	if err := plan.Feasible(r.definition, r.functions, measured, &r.rules); err != nil {
		if missing, ok := errors.AsType[*plan.MissingError](err); ok {
			return nil, refuse(v1alpha1.ReasonProfileIncomplete, "%v", missing)
		}
		return nil, refuse(v1alpha1.ReasonInfeasible, "no plan can be: %v", err)
	}
	predictor, err := newPredictor(r, measured, constants)
	if err != nil {
		return nil, err
	}
	problem := pgp.Problem{
		Workflow: r.name, Definition: r.definition, Functions: r.functions, Profile: measured, Calibration: constants,
		Rules: &r.rules, SLO: r.slo.Latency,
	}
	if r.slo.Latency > 0 {
		problem.AtPercentile = func(p *plan.Plan) (time.Duration, error) {
			return predictor.Percentile(p, r.slo.Percentile, predict.DistributionOptions{})
		}
	}
	found, err := pgp.Search(ctx, problem)
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case err != nil:
		return nil, refuse(v1alpha1.ReasonInfeasible, "no plan can be: %v", err)
	}
	made := found.Plan
	made.Bound(r.definition, r.rules.Limits.Memory, r.concurrency)
	if err := made.Within(r.rules.Limits, measured); err != nil {
		return nil, refuse(v1alpha1.ReasonInfeasible, "no plan keeps the limits: %v", err)
	}
	made.Objective, err = objective(r, predictor, made)
	if err != nil {
		return nil, err
	}
	if over := made.Objective.Predicted - r.slo.Latency; r.slo.Latency > 0 && over > 0 {
		return nil, refuse(v1alpha1.ReasonObjectiveUnreachable,
			"no plan keeps %s within %v: that of the fastest, %s, is predicted to be %v, %v over: allow more time, or make the functions faster",
			plan.AtPercentile(r.slo.Percentile), r.slo.Latency, shapeOf(made), shown(made.Objective.Predicted), shown(over))
	}
	return made, nil
}

func newPredictor(r *request, measured *profile.Profile, constants *predict.Calibration) (*predict.Predictor, error) {
	p, err := predict.New(r.definition, measured, constants, predict.Options{})
	if err != nil {
		return nil, fmt.Errorf("plan: %w", err)
	}
	return p, nil
}

// objective is what a plan is for, and what is predicted of it.
func objective(r *request, predictor *predict.Predictor, p *plan.Plan) (*plan.Objective, error) {
	drawn, err := predictor.Distribution(p, predict.DistributionOptions{})
	if err != nil {
		return nil, fmt.Errorf("plan: %w", err)
	}
	return &plan.Objective{
		Goal: plan.FewestCPUs, SLO: r.slo.Latency, Percentile: r.slo.Percentile,
		Predicted: drawn.Percentile(r.slo.Percentile).Round(time.Microsecond), Samples: drawn.Samples, Seed: drawn.Seed,
	}, nil
}

// shown rounds a latency for people.
func shown(d time.Duration) time.Duration { return d.Round(10 * time.Microsecond) }

// shapeOf says what a plan needs: "3 CPUs in 1 wrap".
func shapeOf(p *plan.Plan) string {
	return counted(p.CPUs(), "CPU") + " in " + counted(len(p.Wraps), "wrap")
}

func counted(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}
