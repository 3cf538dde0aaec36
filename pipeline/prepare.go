package pipeline

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/chiron-faas/chiron/internal/prices"
	"github.com/chiron-faas/chiron/plan"
	"github.com/chiron-faas/chiron/profile"
	"github.com/chiron-faas/chiron/workflow"
)

// PrepareOptions of Prepare.
type PrepareOptions struct {
	Project *workflow.Project
	// Profile and Calibrate, without what Prepare sets itself.
	Runs        int
	Tracer      string
	Agent       string
	Calibration string
	// SLO, Model and Explain as PlanOptions has them.
	SLO     workflow.SLO
	Model   string
	Explain bool
	// Goal, Budget, Exact and Frontier as PlanOptions has them.
	Goal     plan.Goal
	Budget   int
	Exact    bool
	Frontier bool
	// Concurrency as PlanOptions has it.
	Concurrency int
	// Prices is the name of a built-in table or a file; empty: the project's, or
	// the default.
	Prices string
	// Fresh measures the functions anew even where their profile is up to date.
	Fresh    bool
	Progress Progress
}

// Prepared is a plan and what it was made from.
type Prepared struct {
	Profile       *profile.Profile
	ProfileReused bool
	Calibrated    *Calibrated
	Planned       *Planned
}

// Prepare measures what is not known yet, plans, and writes plan.json.
func Prepare(ctx context.Context, o PrepareOptions) (*Prepared, error) {
	p := &Prepared{}
	// What can be wrong is looked at before what takes long.
	if o.Prices == "" {
		o.Prices = o.Project.PricesFile
	}
	table, err := prices.Load(o.Prices)
	if err != nil {
		return nil, err
	}
	p.Profile, p.ProfileReused, err = Profile(ctx, ProfileOptions{
		Project: o.Project, Runs: o.Runs, Tracer: o.Tracer, Reuse: !o.Fresh, Progress: o.Progress,
	})
	if err != nil {
		return nil, err
	}
	lang, runtime := MainRuntime(o.Project)
	p.Calibrated, err = Calibrate(ctx, CalibrateOptions{
		Agent: o.Agent, Lang: lang, Runtime: runtime, File: o.Calibration, Reuse: true, Rough: true, Progress: o.Progress,
	})
	if err != nil {
		return nil, err
	}
	p.Planned, err = MakePlan(ctx, PlanOptions{
		Project: o.Project, Profile: p.Profile, Calibration: p.Calibrated.Constants,
		SLO: o.SLO, Model: o.Model, Explain: o.Explain, Prices: table, Progress: o.Progress,
		Goal: o.Goal, Budget: o.Budget, Exact: o.Exact, Frontier: o.Frontier, Concurrency: o.Concurrency,
	})
	if err != nil {
		return nil, err
	}
	return p, plan.Write(FilesOf(o.Project).Plan, p.Planned.Plan)
}

// PlanToServe is the plan to deploy: that of the project's plan.json, where it is
// a plan of the workflow as it is now and none is asked for anew; else one that
// Prepare makes. A Concurrency that is asked for holds for either.
func PlanToServe(ctx context.Context, o PrepareOptions, anew bool) (*plan.Plan, error) {
	if !anew {
		kept, why := keptPlan(o.Project)
		if kept != nil {
			if o.Concurrency > 0 {
				kept.SetConcurrency(o.Project.Definition, o.Concurrency)
			}
			return kept, nil
		}
		o.Progress.tell(Note{Step: "plan", Text: "making a plan: " + why})
	}
	p, err := Prepare(ctx, o)
	if err != nil {
		return nil, err
	}
	if made := p.Planned; !made.Met {
		o.Progress.tell(Note{Step: "plan", Text: fmt.Sprintf(
			"no plan meets the SLO of %v: the best one is predicted to take %v", time.Duration(made.Objective.Latency), made.Prediction.Latency.Round(10*time.Microsecond),
		)})
	}
	return p.Planned.Plan, nil
}

// keptPlan reads the project's plan.json; nil and why where it does not fit.
func keptPlan(p *workflow.Project) (*plan.Plan, string) {
	file := FilesOf(p).Plan
	if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) {
		return nil, "there is none yet"
	}
	kept, err := plan.Read(file)
	if err == nil {
		err = plan.Check(kept, p.Definition, p.Functions, &p.Rules)
	}
	if err != nil {
		return nil, "plan.json does not fit: " + strings.ReplaceAll(err.Error(), "\n", "; ")
	}
	return kept, ""
}
