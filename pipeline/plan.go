package pipeline

import (
	"cmp"
	"context"
	"fmt"
	"runtime"
	"slices"
	"time"

	"github.com/chiron-faas/chiron/internal/prices"
	"github.com/chiron-faas/chiron/plan"
	"github.com/chiron-faas/chiron/plan/model"
	"github.com/chiron-faas/chiron/plan/pgp"
	"github.com/chiron-faas/chiron/predict"
	"github.com/chiron-faas/chiron/profile"
	"github.com/chiron-faas/chiron/workflow"
)

// PlanOptions of MakePlan.
type PlanOptions struct {
	Project     *workflow.Project
	Profile     *profile.Profile
	Calibration *predict.Calibration
	// SLO instead of the project's; zero: the project's.
	SLO workflow.SLO
	// Model is a fixed deployment model's name, or one of the search's (pgp.Names);
	// empty: pgp.Name.
	Model string
	// Explain fills Planned.Search for a fixed model too.
	Explain bool
	// Goal of the search; empty: the fewest CPUs that keep the SLO.
	Goal plan.Goal
	// Budget is the most CPUs that the plan may need; 0: the machine's.
	Budget int
	// Concurrency is the most requests that each wrap works on at once; 0: the
	// project's, or what Plan.SetConcurrency finds.
	Concurrency int
	// Exact looks at every partition of small stages.
	Exact bool
	// Frontier asks for Planned.Frontier.
	Frontier bool
	// Prices for Planned.Money; nil: the default's.
	Prices *prices.Table
	// CPUs of the machine that all wraps run on; 0: this one's.
	CPUs     int
	Progress Progress
}

// Planned is a plan and why it is that one.
type Planned struct {
	Plan       *plan.Plan
	Prediction *predict.Prediction
	// Distribution is how the latency is predicted to vary.
	Distribution *predict.Distribution
	// Objective is nil where there is none; Met says whether the distribution's
	// figure at its percentile keeps it.
	Objective *Objective
	Met       bool
	// Memory that the plan holds, bytes, as its profile lets expect.
	Memory int64
	// Money that a million requests cost, USD, by Prices.
	Money  float64
	Prices *prices.Table
	// Bound is what no plan can be faster than.
	Bound Bound
	// Search is what the search did and what else there is; nil for a fixed
	// model, unless PlanOptions.Explain asked for it.
	Search *pgp.Result
	// Relaxed are the plans without some of the project's rules, where
	// PlanOptions.Explain asked for them.
	Relaxed []Relaxed
	// Frontier are the plans that no other beats, where PlanOptions.Frontier asked
	// for them.
	Frontier []pgp.Point
	// Took is the time that planning took, without Distribution.
	Took time.Duration
}

// MakePlan searches the plan that keeps the objective with the fewest CPUs, or
// makes a fixed model's, and predicts it and how it varies. A plan that does not keep the
// objective is no error: see Planned.Met.
func MakePlan(ctx context.Context, o PlanOptions) (*Planned, error) {
	begun := time.Now()
	if o.CPUs == 0 {
		o.CPUs = runtime.NumCPU()
	}
	slo := o.SLO
	if slo.Latency == 0 {
		slo = o.Project.SLO
	}
	made := &Planned{Objective: objective(slo)}
	rules := &o.Project.Rules
	if err := plan.Feasible(o.Project.Definition, o.Project.Functions, o.Profile, rules); err != nil {
		return nil, fmt.Errorf("no plan can be: %w", err)
	}
	made.Bound = boundOf(o.Project.Definition, o.Profile)
	searched := o.Model == "" || slices.Contains(pgp.Names(), o.Model)
	var err error
	if o.Prices == nil {
		if o.Prices, err = prices.Load(prices.Default); err != nil {
			return nil, err
		}
	}
	problem, err := o.problem(slo)
	if err != nil {
		return nil, fmt.Errorf("plan: %w", err)
	}
	if searched || o.Explain {
		o.Progress.tell(Note{Step: "plan", Text: "searching", Passing: true})
		if made.Search, err = pgp.Search(ctx, problem); err != nil {
			return nil, fmt.Errorf("plan: %w", err)
		}
		if o.Explain {
			if made.Relaxed, err = relax(ctx, problem); err != nil {
				return nil, fmt.Errorf("plan: %w", err)
			}
		}
	}
	if o.Frontier {
		o.Progress.tell(Note{Step: "plan", Text: "looking for all plans that no other beats", Passing: true})
		if made.Frontier, err = pgp.Frontier(ctx, problem); err != nil {
			return nil, fmt.Errorf("plan: %w", err)
		}
	}
	if searched {
		made.Plan = made.Search.Plan
	} else if err := makeModel(made, o); err != nil {
		return nil, err
	}
	concurrency := cmp.Or(o.Concurrency, o.Project.Scale.Concurrency)
	made.Plan.Bound(o.Project.Definition, rules.Limits.Memory, concurrency)
	for i := range made.Frontier {
		made.Frontier[i].Plan.Bound(o.Project.Definition, rules.Limits.Memory, concurrency)
	}
	if err := made.Plan.Within(rules.Limits, o.Profile); err != nil {
		return nil, fmt.Errorf("plan: %w", err)
	}
	made.Took = time.Since(begun)
	if err := made.predict(o); err != nil {
		return nil, err
	}
	made.Met = slo.Latency == 0 || made.Predicted() <= slo.Latency
	if searched {
		made.Plan.Objective = made.objective(problem)
	}
	made.Memory = made.Plan.MemoryEstimate(o.Profile)
	made.price(o.Prices)
	return made, nil
}

// problem is what the search is asked.
func (o *PlanOptions) problem(slo workflow.SLO) (pgp.Problem, error) {
	p := pgp.Problem{
		Workflow: o.Project.Name, Definition: o.Project.Definition, Functions: o.Project.Functions,
		Profile: o.Profile, Calibration: o.Calibration, Rules: &o.Project.Rules,
		Goal: o.Goal, SLO: slo.Latency, CPUs: o.CPUs, Budget: o.Budget,
		Prices: planPrices(o.Prices), Alternatives: o.Explain,
	}
	if o.Exact {
		p.Method = pgp.Exact
	}
	p.As(o.Model) // a fixed model's is the search's usual one: MakePlan does not take its plan
	if slo.Latency == 0 {
		return p, nil
	}
	predictor, err := predict.New(o.Project.Definition, o.Profile, o.Calibration, predict.Options{CPUs: o.CPUs})
	p.AtPercentile = func(pl *plan.Plan) (time.Duration, error) {
		return predictor.Percentile(pl, slo.Percentile, predict.DistributionOptions{})
	}
	return p, err
}

// objective is what the search was asked for, and what is predicted of its plan,
// for the plan to say.
func (made *Planned) objective(p pgp.Problem) *plan.Objective {
	o := &plan.Objective{
		Goal: p.Goal, MostCPUs: p.CPUs,
		Predicted: made.Predicted().Round(time.Microsecond), Samples: made.Distribution.Samples, Seed: made.Distribution.Seed,
	}
	if o.Goal == "" {
		o.Goal = plan.FewestCPUs
	}
	if p.Budget > 0 {
		o.MostCPUs = min(o.MostCPUs, p.Budget)
	}
	if made.Objective != nil {
		o.SLO, o.Percentile = time.Duration(made.Objective.Latency), made.Objective.Percentile
	}
	return o
}

// price works out what the plan costs.
func (made *Planned) price(table *prices.Table) {
	made.Prices = table
	made.Money = planPrices(table).Money(plan.Usage{
		Latency: made.Prediction.Latency, CPUs: made.Plan.CPUs(), Memory: made.Memory,
	})
}

// planPrices is a table as plans are priced by.
func planPrices(t *prices.Table) plan.Prices {
	return plan.Prices{GBSecond: t.GBSecond, GHzSecond: t.GHzSecond, GHzPerCPU: t.GHzPerCPU, Transition: t.Transition}
}

// makeModel makes a fixed deployment model's plan.
func makeModel(made *Planned, o PlanOptions) error {
	var err error
	made.Plan, err = model.Build(model.Model(o.Model), model.Input{
		Workflow: o.Project.Name, Definition: o.Project.Definition, Functions: o.Project.Functions, Profile: o.Profile,
		Rules: &o.Project.Rules,
	})
	if err != nil {
		return fmt.Errorf("plan: %w", err)
	}
	return nil
}

// predict predicts the plan that was made.
func (made *Planned) predict(o PlanOptions) error {
	predictor, err := predict.New(o.Project.Definition, o.Profile, o.Calibration, predict.Options{CPUs: o.CPUs})
	if err != nil {
		return fmt.Errorf("plan: %w", err)
	}
	if made.Prediction, err = predictor.Predict(made.Plan); err != nil {
		return fmt.Errorf("plan: %w", err)
	}
	if made.Distribution, err = predictor.Distribution(made.Plan, predict.DistributionOptions{}); err != nil {
		return fmt.Errorf("plan: %w", err)
	}
	return nil
}

// Predicted is the predicted figure that the objective is about; the mean where
// there is none.
func (made *Planned) Predicted() time.Duration {
	if made.Objective == nil {
		return made.Distribution.Mean
	}
	return made.Distribution.Percentile(made.Objective.Percentile)
}
