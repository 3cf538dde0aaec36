package pipeline

import (
	"context"

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
	Binary      string
	Calibration string
	// SLO, Model and Explain as PlanOptions has them.
	SLO     workflow.SLO
	Model   string
	Explain bool
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
	var err error
	p.Profile, p.ProfileReused, err = Profile(ctx, ProfileOptions{
		Project: o.Project, Runs: o.Runs, Tracer: o.Tracer, Reuse: !o.Fresh, Progress: o.Progress,
	})
	if err != nil {
		return nil, err
	}
	lang, runtime := mainRuntime(o.Project)
	p.Calibrated, err = Calibrate(ctx, CalibrateOptions{
		Binary: o.Binary, Lang: lang, Runtime: runtime, File: o.Calibration, Reuse: true, Rough: true, Progress: o.Progress,
	})
	if err != nil {
		return nil, err
	}
	p.Planned, err = MakePlan(ctx, PlanOptions{
		Project: o.Project, Profile: p.Profile, Calibration: p.Calibrated.Constants,
		SLO: o.SLO, Model: o.Model, Explain: o.Explain, Progress: o.Progress,
	})
	if err != nil {
		return nil, err
	}
	return p, plan.Write(FilesOf(o.Project).Plan, p.Planned.Plan)
}
