package pipeline

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"time"

	"github.com/chiron-faas/chiron/internal/prices"
	"github.com/chiron-faas/chiron/plan"
	"github.com/chiron-faas/chiron/plan/model"
	"github.com/chiron-faas/chiron/plan/pgp"
	"github.com/chiron-faas/chiron/simulate"
)

// SimulateOptions of Simulate.
type SimulateOptions struct {
	// Prepare measures what is not known yet, and plans where the project has no
	// plan.json that fits, or Anew asks for another.
	Prepare PrepareOptions
	Anew    bool
	// Models to simulate: names of deployment models, and pgp.Name for the
	// project's plan. Empty: all.
	Models []string
	// Run is what is simulated, without Arrivals, which each model gets anew.
	Run      simulate.Options
	Arrivals func() simulate.Arrivals
	// Concurrency as simulate.DeploymentOptions has it.
	Concurrency int
}

// Simulated is what Simulate returns.
type Simulated struct {
	Models []SimulatedModel
	// Objective is nil where there is none.
	Objective *Objective
	Prices    *prices.Table
}

// SimulatedModel is what comes of one model.
type SimulatedModel struct {
	Name string
	// CPUs of one instance, and the most requests that it works on at once; 0 where
	// there is no plan.
	CPUs, Concurrency int
	// Result is nil where Err says why there is none.
	Result *simulate.Result
	Err    error
	// USDPerHour is what the CPUs and the memory that the instances have cost.
	USDPerHour float64
	// Took is the time that the simulation took.
	Took time.Duration
}

// Violations is how many of the answered requests took longer than the objective;
// 0 where there is none.
func (s *Simulated) Violations(m *SimulatedModel) int {
	if s.Objective == nil || m.Result == nil {
		return 0
	}
	return m.Result.Over(time.Duration(s.Objective.Latency))
}

// Simulate runs deployment models of a project on paper, as many at a time as the
// machine has CPUs. It fails where no model could be simulated.
func Simulate(ctx context.Context, o SimulateOptions) (*Simulated, error) {
	project := o.Prepare.Project
	if o.Prepare.Prices == "" {
		o.Prepare.Prices = project.PricesFile
	}
	out := &Simulated{Objective: objective(project.SLO)}
	if o.Prepare.SLO.Latency > 0 {
		out.Objective = objective(o.Prepare.SLO)
	}
	var err error
	if out.Prices, err = prices.Load(o.Prepare.Prices); err != nil {
		return nil, err
	}
	base := simulate.DeploymentOptions{Definition: project.Definition, Concurrency: o.Concurrency, Seed: o.Run.Seed}
	base.Profile, _, err = Profile(ctx, ProfileOptions{
		Project: project, Runs: o.Prepare.Runs, Tracer: o.Prepare.Tracer, Reuse: !o.Prepare.Fresh, Progress: o.Prepare.Progress,
	})
	if err != nil {
		return nil, err
	}
	lang, version := MainRuntime(project)
	calibrated, err := Calibrate(ctx, CalibrateOptions{
		Agent: o.Prepare.Agent, Lang: lang, Runtime: version, File: o.Prepare.Calibration, Reuse: true, Rough: true, Progress: o.Prepare.Progress,
	})
	if err != nil {
		return nil, err
	}
	base.Calibration = calibrated.Constants
	return out, out.run(ctx, &o, base)
}

// run simulates the models, with what is known of their functions.
func (s *Simulated) run(ctx context.Context, o *SimulateOptions, base simulate.DeploymentOptions) error {
	if o.Models == nil {
		o.Models = []string{pgp.Name}
		for _, m := range model.All() {
			o.Models = append(o.Models, string(m))
		}
	}
	s.Models = make([]SimulatedModel, len(o.Models))
	var all sync.WaitGroup
	places := make(chan struct{}, runtime.GOMAXPROCS(0))
	for i, name := range o.Models {
		m := &s.Models[i]
		m.Name = name
		one := base
		if one.Plan, m.Err = o.planOf(ctx, name, &base); m.Err != nil {
			continue
		}
		all.Go(func() {
			places <- struct{}{}
			defer func() { <-places }()
			m.simulate(ctx, one, o, s.Prices)
		})
	}
	all.Wait()
	if err := ctx.Err(); err != nil {
		return err
	}
	for i := range s.Models {
		if s.Models[i].Err == nil {
			return nil
		}
	}
	return fmt.Errorf("%s: %w", s.Models[0].Name, s.Models[0].Err)
}

// planOf is a model's plan, or the project's.
func (o *SimulateOptions) planOf(ctx context.Context, name string, base *simulate.DeploymentOptions) (*plan.Plan, error) {
	if name == pgp.Name {
		return PlanToServe(ctx, o.Prepare, o.Anew)
	}
	project := o.Prepare.Project
	made, err := model.Build(model.Model(name), model.Input{
		Workflow: project.Name, Definition: project.Definition, Functions: project.Functions, Profile: base.Profile, Rules: &project.Rules,
	})
	if err != nil {
		return nil, err
	}
	made.Bound(project.Definition, project.Rules.Limits.Memory, project.Scale.Concurrency)
	return made, nil
}

// simulate fills in what comes of the model.
func (m *SimulatedModel) simulate(ctx context.Context, d simulate.DeploymentOptions, o *SimulateOptions, table *prices.Table) {
	m.CPUs = d.Plan.CPUs()
	begun := time.Now()
	deployment, err := simulate.NewDeployment(d)
	if err != nil {
		m.Err = err
		return
	}
	m.Concurrency = deployment.Limit
	run := o.Run
	run.Arrivals = o.Arrivals()
	if m.Result, m.Err = simulate.Run(ctx, deployment, run); m.Err != nil {
		return
	}
	m.Took = time.Since(begun)
	each := planPrices(table)
	m.USDPerHour = time.Hour.Seconds() * (m.Result.CPUs.Mean*each.GHzPerCPU*each.GHzSecond + m.Result.Memory.Mean/1e9*each.GBSecond)
}
