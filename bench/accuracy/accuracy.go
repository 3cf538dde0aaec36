package accuracy

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/chiron-faas/chiron/bench/accuracy/shapes"
	"github.com/chiron-faas/chiron/calibrate"
	"github.com/chiron-faas/chiron/host"
	"github.com/chiron-faas/chiron/internal/affinity"
	"github.com/chiron-faas/chiron/pipeline"
	"github.com/chiron-faas/chiron/predict"
	"github.com/chiron-faas/chiron/profile"
	"github.com/chiron-faas/chiron/profile/strace"
	"github.com/chiron-faas/chiron/workflow"
)

// Options of Run. Agent is needed, and something to measure: Projects, Shapes
// or SwitchInterval.
type Options struct {
	// Projects are measured under the deployment models and the searched plans,
	// and a sample of all placements.
	Projects []*workflow.Project
	// Shapes, by their names in package shapes, are measured as Projects.
	Shapes []string
	// SwitchInterval measures what a shorter switch interval gains.
	SwitchInterval bool
	// Agent is the file of chiron-agent, which runs the wraps.
	Agent string
	// Dir keeps what is measured; where it holds a run, that run goes on. Empty:
	// nothing is kept.
	Dir string
	// Sample of all placements of a workflow, drawn with Seed; all where there
	// are no more. 0: none.
	Sample int
	Seed   int64
	// Rounds in which every placement gets its requests; 0: DefaultRounds.
	Rounds int
	// Batch is how many placements are up, and take turns; 0: DefaultBatch.
	Batch int
	// CalibrateEvery so often the machine's constants are measured anew;
	// 0: DefaultCalibrateEvery.
	CalibrateEvery time.Duration
	// Calibration of this machine; nil: it is measured in the run.
	Calibration *predict.Calibration
	// ProfileRuns as profiler.Options.Runs has them; 0: DefaultProfileRuns.
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
	What string
	// Done of Of parts of it.
	Done, Of int
	// Placed of Placements are measured, of all workflows.
	Placed, Placements int
}

// Defaults of Options.
const (
	// DefaultRounds are as many requests of each placement.
	DefaultRounds         = 30
	DefaultBatch          = 24
	DefaultSample         = 150
	DefaultCalibrateEvery = 5 * time.Minute
	// DefaultProfileRuns are fewer than the profiler's own: how long the functions
	// take is measured in every round.
	DefaultProfileRuns = 10
)

const (
	// minRounds have a middle half.
	minRounds = 4
	// batchesPerVisit of one workflow follow each other, and so share a profile
	// between them; then another workflow has its turn, so that a run that is
	// cut short has measured some of all.
	batchesPerVisit = 3
)

func (o *Options) check() error {
	switch {
	case len(o.Projects) == 0 && len(o.Shapes) == 0 && !o.SwitchInterval:
		return errors.New("accuracy: no project to measure")
	case o.Agent == "":
		return errors.New("accuracy: the path of chiron-agent is missing")
	case o.Sample < 0:
		return fmt.Errorf("accuracy: a sample of %d placements: give 0 or more", o.Sample)
	}
	for value, standard := range map[*int]int{&o.Rounds: DefaultRounds, &o.Batch: DefaultBatch, &o.ProfileRuns: DefaultProfileRuns} {
		if *value == 0 {
			*value = standard
		}
	}
	if o.CalibrateEvery == 0 {
		o.CalibrateEvery = DefaultCalibrateEvery
	}
	if o.Rounds < minRounds {
		return fmt.Errorf("accuracy: %d rounds are too few: give %d at least", o.Rounds, minRounds)
	}
	if o.Batch < 1 {
		return fmt.Errorf("accuracy: batches of %d placements: give 1 or more", o.Batch)
	}
	if o.Progress == nil {
		o.Progress = func(Step) {}
	}
	return nil
}

// Run does the experiment, or what is left of it. When it returns, nothing of it
// runs on. Where it fails or ctx ends, what was measured until then is in Dir:
// Read reports it, and another Run goes on.
func Run(ctx context.Context, o Options) (_ *Report, err error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	// Sockets lie in it: the shorter its path the better (unix(7): 107 bytes).
	dir, err := os.MkdirTemp("", "chiron-acc-")
	if err != nil {
		return nil, fmt.Errorf("accuracy: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if o.Dir == "" {
		o.Dir = filepath.Join(dir, "run")
	}
	s := &session{Options: o, dir: dir, interpreters: make(map[[2]string]string)}
	if s.cpus, err = affinity.CPUs(); err != nil {
		return nil, fmt.Errorf("accuracy: %w", err)
	}
	s.cpus = s.cpus[:min(len(s.cpus), slices.Max(cpuCounts()))]
	s.archive, err = openArchive(o.Dir, setup{Machine: profile.ThisMachine(), Seed: o.Seed, Sample: o.Sample, Tracer: o.Tracer})
	if err != nil {
		return nil, fmt.Errorf("accuracy: %w", err)
	}
	if err := errors.Join(s.run(ctx), s.archive.file.Close()); err != nil {
		return nil, fmt.Errorf("accuracy: %w", err)
	}
	return Read(o.Dir)
}

// Read reports what a run has measured so far, with the predictions of this
// program: what was measured is predicted anew.
func Read(dir string) (*Report, error) {
	a, err := readArchive(dir)
	if err != nil {
		return nil, fmt.Errorf("accuracy: %w", err)
	}
	r, err := a.report(dir)
	if err != nil {
		return nil, fmt.Errorf("accuracy: %w", err)
	}
	return r, nil
}

// session is one Run.
type session struct {
	Options
	dir     string // everything temporary
	cpus    []int  // the machine's that are used
	archive *recorder
	// interpreters that were found, by language and what was asked for.
	interpreters map[[2]string]string
	subjects     []*subject
	batches      int
}

// subject is one workflow.
type subject struct {
	project *workflow.Project
	dir     string // temporary, its own
	// switching: its placements differ in their switch interval.
	switching bool
	*measuredWorkflow
}

func (s *session) run(ctx context.Context) (err error) {
	if err := s.assemble(); err != nil {
		return err
	}
	for _, w := range s.subjects {
		end, err2 := pipeline.ServeStore(ctx, w.project, nil)
		if err2 != nil {
			return fmt.Errorf("workflow %q: %w", w.name, err2)
		}
		defer func() { err = errors.Join(err, end()) }()
	}
	for {
		went := false
		for _, w := range s.subjects {
			if w.definition != nil && len(w.pending()) == 0 {
				continue
			}
			went = true
			if err := s.visit(ctx, w); err != nil {
				return fmt.Errorf("workflow %q: %w", w.name, err)
			}
		}
		if !went {
			break
		}
	}
	// The constants are known on both sides of the last placements too.
	return s.calibrate(ctx, s.CalibrateEvery/4)
}

// assemble makes the subjects. What they write goes below the session's folder,
// nothing into the user's.
func (s *session) assemble() error {
	add := func(p *workflow.Project, switching bool) {
		own := *p
		w := &subject{project: &own, switching: switching, dir: filepath.Join(s.dir, fmt.Sprint(len(s.subjects)))}
		own.Dir = filepath.Join(w.dir, "p")
		w.measuredWorkflow = s.archive.workflow(p.Name)
		s.subjects = append(s.subjects, w)
	}
	for _, p := range s.Projects {
		add(p, false)
	}
	names := slices.Clone(s.Shapes)
	if s.SwitchInterval {
		names = append(names, shapes.Switch()...)
	}
	for i, name := range names {
		p, err := shapes.Assemble(name, filepath.Join(s.dir, "shapes", name))
		if err != nil {
			return err
		}
		add(p, i >= len(s.Shapes))
	}
	for i, w := range s.subjects {
		for _, other := range s.subjects[:i] {
			if other.name == w.name {
				return fmt.Errorf("two workflows are called %q: rename one", w.name)
			}
		}
		if w.definition != nil && !w.definition.Equal(w.project.Definition) {
			return fmt.Errorf("workflow %q has changed since it was measured: measure into another folder", w.name)
		}
		if err := os.MkdirAll(w.project.Dir, 0o700); err != nil {
			return err
		}
	}
	return nil
}

// pending are the placements that are not measured yet.
func (w *measuredWorkflow) pending() []*Placement {
	var all []*Placement
	for _, p := range w.placements {
		if w.done[p.ID] == nil {
			all = append(all, p)
		}
	}
	return all
}

// visit measures some of a workflow's placements.
func (s *session) visit(ctx context.Context, w *subject) error {
	if err := s.calibrate(ctx, s.CalibrateEvery); err != nil {
		return err
	}
	before, err := s.profile(ctx, w, s.Tracer)
	if err != nil {
		return err
	}
	if err := s.archive.writeProfile(w.name, s.Tracer, before); err != nil {
		return err
	}
	if w.definition == nil {
		if err := s.plan(ctx, w, before); err != nil {
			return err
		}
	}
	if err := s.paperProfile(ctx, w, before); err != nil {
		return err
	}
	for range batchesPerVisit {
		batch := w.pending()
		if len(batch) == 0 {
			return nil
		}
		batch = batch[:min(len(batch), s.Batch)]
		measured, alone, err := s.measure(ctx, w, batch)
		if err != nil {
			return err
		}
		for _, runs := range alone {
			if err := s.archive.write(&line{Workflow: w.name, Solo: runs}); err != nil {
				return err
			}
		}
		for _, m := range measured {
			if err := s.archive.write(&line{Workflow: w.name, Measurement: m}); err != nil {
				return err
			}
		}
	}
	return nil
}

// plan makes the list of the workflow's placements.
func (s *session) plan(ctx context.Context, w *subject, p *profile.Profile) error {
	var placements []*Placement
	var notes []string
	if w.switching {
		placements = switchPlacements(w.project)
	} else {
		var err error
		if placements, notes, err = s.models(ctx, w.project, p); err != nil {
			return err
		}
		placements = append(placements, sample(w.project, s.Sample, s.Seed)...)
	}
	definition, err := w.project.Definition.MarshalJSON()
	if err != nil {
		return err
	}
	return s.archive.write(&line{Workflow: w.name, Definition: definition, Placements: placements, Notes: notes})
}

// calibrate measures the machine's constants, where those that are known are
// older than a time, or of an earlier session.
func (s *session) calibrate(ctx context.Context, older time.Duration) error {
	known := s.archive.calibrated
	if s.Calibration != nil {
		if len(known) > 0 {
			return nil
		}
		return s.archive.write(&line{Calibration: s.Calibration})
	}
	if len(known) > 0 && time.Since(known[len(known)-1]) < older {
		return nil
	}
	s.tell(nil, "calibrate", 0, 0)
	measured, err := calibrate.Run(ctx, calibrate.Options{
		Agent: s.Agent, SkipChecks: true, Force: true,
		Progress: func(step calibrate.Step) { s.tell(nil, "calibrate", step.Done, step.Of) },
	})
	if err != nil {
		return err
	}
	for _, n := range measured.Notes {
		if !slices.Contains(s.archive.notes, n) {
			if err := s.archive.write(&line{Note: n}); err != nil {
				return err
			}
		}
	}
	return s.archive.write(&line{Calibration: measured.Calibration})
}

func (s *session) profile(ctx context.Context, w *subject, tracer string) (*profile.Profile, error) {
	s.tell(w, "profile", 0, 0)
	p, _, err := pipeline.Profile(ctx, pipeline.ProfileOptions{
		Project: w.project, Runs: s.ProfileRuns, Tracer: tracer,
		Progress: func(n pipeline.Note) {
			if n.Total > 0 {
				s.tell(w, "profile", n.Done, n.Total)
			}
		},
	})
	return p, err
}

// paperProfile measures as the paper does, for its model. Where that is how the
// other profiles are made, or strace does not work here, there is nothing to do.
func (s *session) paperProfile(ctx context.Context, w *subject, other *profile.Profile) error {
	if w.switching || s.Tracer != "" || allBy(other, strace.Name) || (strace.Tracer{}).Available(ctx) != nil {
		return nil
	}
	p, err := s.profile(ctx, w, strace.Name)
	if err != nil {
		return err
	}
	return s.archive.writeProfile(w.name, strace.Name, p)
}

func allBy(p *profile.Profile, tracer string) bool {
	for _, f := range p.Functions {
		if f.Tracer != tracer {
			return false
		}
	}
	return true
}

// tell reports a step.
func (s *session) tell(w *subject, what string, done, of int) {
	step := Step{What: what, Done: done, Of: of}
	if w != nil {
		step.Workflow = w.name
	}
	for _, w := range s.subjects {
		step.Placements += len(w.placements)
		step.Placed += len(w.placements) - len(w.pending())
	}
	s.Progress(step)
}

// interpreter finds one, once: each search starts some.
func (s *session) interpreter(ctx context.Context, lang, runtime string) (string, error) {
	key := [2]string{lang, runtime}
	if path, ok := s.interpreters[key]; ok {
		return path, nil
	}
	found, err := host.FindInterpreter(ctx, lang, runtime)
	if err == nil {
		s.interpreters[key] = found.Path
	}
	return found.Path, err
}
