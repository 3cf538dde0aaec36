package systems

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/chiron-faas/chiron/pipeline"
	"github.com/chiron-faas/chiron/plan"
	"github.com/chiron-faas/chiron/plan/model"
	"github.com/chiron-faas/chiron/plan/pgp"
	"github.com/chiron-faas/chiron/predict"
	"github.com/chiron-faas/chiron/profile"
	"github.com/chiron-faas/chiron/workflow"
)

// calibrate gets this machine's constants, once for a run.
func (s *session) calibrate(ctx context.Context) error {
	if s.archive.calibration != nil {
		return nil
	}
	lang, runtime := pipeline.MainRuntime(s.subjects[0].project)
	got, err := pipeline.Calibrate(ctx, pipeline.CalibrateOptions{
		Agent: s.Agent, Lang: lang, Runtime: runtime, File: s.Calibration, Reuse: true, Rough: true,
		Progress: func(n pipeline.Note) { s.tell(nil, "", "calibrate: "+n.Text, n.Done, n.Total) },
	})
	if err != nil {
		return err
	}
	note := fmt.Sprintf("the machine's constants are of %s", got.Constants.Created.Format(time.RFC3339))
	return errors.Join(s.archive.write(&line{Calibration: got.Constants}), s.archive.write(&line{Note: note}))
}

// sloRequests set the SLO that plans are searched for, after warmUps that do not
// count; where rounds are few, sloPerRound times as many as those are enough.
const (
	sloRequests = 30
	sloPerRound = 2
)

// prepare profiles a workflow, finds its SLO and makes the systems' plans.
func (s *session) prepare(ctx context.Context, w *subject) error {
	p := &prepared{Inputs: w.inputs}
	s.tell(w, "", "profile", 0, 0)
	measured, _, err := pipeline.Profile(ctx, pipeline.ProfileOptions{
		Project: w.project, Runs: s.Runs, Budget: s.Budget,
		Progress: func(n pipeline.Note) { s.tell(w, "", "profile", n.Done, n.Total) },
	})
	if err != nil {
		return err
	}
	if p.Profile, err = encoded(measured); err != nil {
		return err
	}
	if p.Definition, err = w.project.Definition.MarshalJSON(); err != nil {
		return err
	}
	for _, m := range model.All() {
		if !slices.Contains(s.Systems, string(m)) {
			continue
		}
		one, err := fixed(m, w.project, measured)
		if err != nil {
			return err
		}
		p.Plans = append(p.Plans, one)
	}
	at := slices.IndexFunc(p.Plans, func(m made) bool { return m.System == yardstick })
	if why := p.Plans[at].Excluded; why != "" {
		return fmt.Errorf("everything is held against %s, which cannot run it: %s", yardstick, why)
	}
	s.tell(w, yardstick, "its mean, for the SLO", 0, 0)
	if p.Aim, err = s.findAim(ctx, w, p.Plans[at].Plan, measured); err != nil {
		return err
	}
	for _, name := range pgp.Names() {
		if !slices.Contains(s.Systems, name) {
			continue
		}
		s.tell(w, name, "search a plan", 0, 0)
		one, err := searched(ctx, name, w.project, measured, s.archive.calibration, p.Aim, s.cpus, 0)
		if err != nil {
			return err
		}
		p.Plans = append(p.Plans, one)
	}
	return s.archive.write(&line{Workflow: w.name, Prepared: p})
}

// fixed is a deployment model's plan.
func fixed(m model.Model, project *workflow.Project, measured *profile.Profile) (made, error) {
	pl, err := model.Build(m, model.Input{
		Workflow: project.Name, Definition: project.Definition, Functions: project.Functions, Profile: measured,
	})
	if errors.Is(err, model.ErrConflict) {
		return made{System: string(m), Excluded: err.Error()}, nil
	}
	if err != nil {
		return made{}, err
	}
	pl.SetConcurrency(project.Definition, 0)
	return made{System: string(m), Plan: pl}, nil
}

// searched is a plan that is searched for an SLO on a machine with so many CPUs.
// The SLO is meant at a percentile, of so many drawn requests; 0: predict's default.
func searched(ctx context.Context, name string, project *workflow.Project, measured *profile.Profile, c *predict.Calibration, slo time.Duration, cpus, drawn int) (made, error) {
	p := pgp.Problem{
		Workflow: project.Name, Definition: project.Definition, Functions: project.Functions,
		Profile: measured, Calibration: c, SLO: slo, CPUs: cpus,
	}
	p.As(name)
	predictor, err := predict.New(p.Definition, p.Profile, p.Calibration, predict.Options{CPUs: cpus})
	if err != nil {
		return made{}, err
	}
	p.AtPercentile = func(pl *plan.Plan) (time.Duration, error) {
		return predictor.Percentile(pl, percentile, predict.DistributionOptions{Samples: drawn})
	}
	r, err := pgp.Search(ctx, p)
	if errors.Is(err, model.ErrConflict) {
		return made{System: name, Excluded: err.Error()}, nil
	}
	if err != nil {
		return made{}, err
	}
	r.Plan.SetConcurrency(project.Definition, 0)
	return made{System: name, Plan: r.Plan, Missed: !r.Met}, nil
}

// samePlans says that the fixed models would make another plan now than the one
// that was measured.
func (s *session) samePlans(w *subject) error {
	for _, m := range w.Plans {
		if m.Plan == nil || slices.Contains(pgp.Names(), m.System) {
			continue
		}
		now, err := fixed(model.Model(m.System), w.project, w.profile)
		if err != nil {
			return err
		}
		if now.Plan == nil || now.Plan.Digest() != m.Plan.Digest() {
			return fmt.Errorf("the plan of %s is another than the one that was measured: measure into another folder", m.System)
		}
	}
	return nil
}

// findAim is what plans are searched for: Faastlane's mean and what may come on top,
// less the margin. Plans are predicted from functions that were profiled a minute
// before: where the machine was faster then than it is now, what was predicted of
// Faastlane is the mean to keep up with.
func (s *session) findAim(ctx context.Context, w *subject, pl *plan.Plan, p *profile.Profile) (_ time.Duration, err error) {
	predictor, err := predict.New(w.project.Definition, p, s.archive.calibration, predict.Options{CPUs: s.cpus})
	if err != nil {
		return 0, err
	}
	predicted, err := predictor.Distribution(pl, predict.DistributionOptions{})
	if err != nil {
		return 0, err
	}
	up, err := s.up(ctx, w, pl)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, up.down()) }()
	var sum time.Duration
	requests := min(sloRequests, sloPerRound*s.Rounds)
	for i := range warmUps + requests {
		took, err := up.request(ctx, &w.check)
		if err != nil {
			return 0, err
		}
		if i >= warmUps {
			sum += took
		}
	}
	return aim(min(sum/time.Duration(requests), predicted.Mean) + Slack), nil
}
