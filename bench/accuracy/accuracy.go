package accuracy

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/chiron-faas/chiron/calibrate"
	"github.com/chiron-faas/chiron/deploy/local"
	"github.com/chiron-faas/chiron/pipeline"
	"github.com/chiron-faas/chiron/predict"
	"github.com/chiron-faas/chiron/profile"
	"github.com/chiron-faas/chiron/workflow"
)

// Options of Run. Projects and Binary are needed.
type Options struct {
	Projects []*workflow.Project
	// Binary is the chiron program whose "chiron wrap" runs the wraps.
	Binary string
	// Calibration of this machine; nil: it is measured.
	Calibration *predict.Calibration
	// Rounds in which every placement gets its requests; 0: DefaultRounds.
	Rounds int
	// ProfileRuns as profiler.Options.Runs has them; 0: its default.
	ProfileRuns int
	// Tracer as profiler.Options has it; empty: the best.
	Tracer string
	// Progress, when set, is told each step as it begins, from the goroutine
	// that measures.
	Progress func(Step)
}

// Step is a step of the experiment.
type Step struct {
	Workflow string // empty where it is of none
	// What is being done: "calibrate", "profile", "deploy", "measure".
	What     string
	Done, Of int
}

// DefaultRounds of Options: with requestsPerRound, 60 requests a placement.
const DefaultRounds = 30

// minRounds have a middle half.
const minRounds = 4

// Run does the experiment. When it returns, nothing of it runs on.
func Run(ctx context.Context, o Options) (_ *Report, err error) {
	switch {
	case len(o.Projects) == 0:
		return nil, errors.New("accuracy: no project to measure")
	case o.Binary == "":
		return nil, errors.New("accuracy: the path of the chiron program is missing")
	case o.Rounds == 0:
		o.Rounds = DefaultRounds
	case o.Rounds < minRounds:
		return nil, fmt.Errorf("accuracy: %d rounds are too few: give %d at least", o.Rounds, minRounds)
	}
	if o.Progress == nil {
		o.Progress = func(Step) {}
	}
	// Sockets lie in it: the shorter its path the better (unix(7): 107 bytes).
	dir, err := os.MkdirTemp("", "chiron-acc-")
	if err != nil {
		return nil, fmt.Errorf("accuracy: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	target, err := local.New(local.Options{Binary: o.Binary, Dir: filepath.Join(dir, "s"), BytecodeCache: filepath.Join(dir, "bytecode")})
	if err != nil {
		return nil, fmt.Errorf("accuracy: %w", err)
	}
	r := &Report{Machine: profile.ThisMachine(), Created: time.Now().UTC().Truncate(time.Second), Calibration: o.Calibration}
	if r.Calibration == nil {
		measured, err := calibrate.Run(ctx, calibrate.Options{
			Binary: o.Binary, SkipChecks: true, Force: true,
			Progress: func(s calibrate.Step) { o.Progress(Step{What: "calibrate", Done: s.Done, Of: s.Of}) },
		})
		if err != nil {
			return nil, fmt.Errorf("accuracy: %w", err)
		}
		r.Calibration = measured.Calibration
		r.Notes = append(r.Notes, measured.Notes...)
	}
	for i, p := range o.Projects {
		e := &experiment{
			Options: o, target: target, calibration: r.Calibration, cpus: runtime.NumCPU(),
			dir: filepath.Join(dir, fmt.Sprint(i)),
		}
		// Everything that is written goes there, nothing into the user's folder.
		copied := *p
		copied.Dir = e.dir
		e.project = &copied
		if err := os.Mkdir(e.dir, 0o700); err != nil {
			return nil, fmt.Errorf("accuracy: %w", err)
		}
		w, err := e.run(ctx)
		if err != nil {
			return nil, fmt.Errorf("accuracy: workflow %q: %w", p.Name, err)
		}
		r.Workflows = append(r.Workflows, *w)
	}
	return r, nil
}

// experiment is one workflow's.
type experiment struct {
	Options
	project     *workflow.Project
	dir         string
	target      *local.Target
	calibration *predict.Calibration
	cpus        int
}

func (e *experiment) run(ctx context.Context) (_ *Workflow, err error) {
	endStore, err := pipeline.ServeStore(ctx, e.project, nil)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, endStore()) }()
	before, err := e.profile(ctx)
	if err != nil {
		return nil, err
	}
	placements, notes, err := e.placements(ctx, before)
	if err != nil {
		return nil, err
	}
	disturbed, err := e.serve(ctx, placements)
	if err != nil {
		return nil, err
	}
	after, err := e.profile(ctx)
	if err != nil {
		return nil, err
	}
	w := &Workflow{Name: e.project.Name, Drift: drift(before, after), Others: disturbed, Notes: notes}
	for _, p := range placements {
		row, err := e.row(p, before, after)
		if err != nil {
			return nil, fmt.Errorf("model %s: %w", p.name, err)
		}
		w.Rows = append(w.Rows, *row)
	}
	return w, nil
}

func (e *experiment) profile(ctx context.Context) (*profile.Profile, error) {
	e.Progress(Step{Workflow: e.project.Name, What: "profile"})
	p, _, err := pipeline.Profile(ctx, pipeline.ProfileOptions{
		Project: e.project, Runs: e.ProfileRuns, Tracer: e.Tracer,
		Progress: func(n pipeline.Note) {
			if n.Total > 0 {
				e.Progress(Step{Workflow: e.project.Name, What: "profile", Done: n.Done, Of: n.Total})
			}
		},
	})
	return p, err
}
