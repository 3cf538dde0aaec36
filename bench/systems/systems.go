package systems

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"

	"github.com/chiron-faas/chiron/bench/journal"
	"github.com/chiron-faas/chiron/internal/affinity"
	"github.com/chiron-faas/chiron/pipeline"
	"github.com/chiron-faas/chiron/profile"
	"github.com/chiron-faas/chiron/workflow"
)

// Run does the experiment, or what is left of it. When it returns, nothing of it
// runs on. Where it fails or ctx ends, what was measured until then is in Dir: Read
// reports it, and another Run goes on.
func Run(ctx context.Context, o Options) (_ *Report, err error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	// Sockets lie in it: the shorter its path the better (unix(7): 107 bytes).
	dir, err := os.MkdirTemp("", "chs-")
	if err != nil {
		return nil, fmt.Errorf("systems: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if o.Dir == "" {
		o.Dir = filepath.Join(dir, "run")
	}
	s := &session{Options: o, dir: dir}
	cpus, err := affinity.CPUs()
	if err != nil {
		return nil, fmt.Errorf("systems: %w", err)
	}
	s.cpus = len(cpus)
	now := setup{Machine: profile.ThisMachine(), Systems: o.Systems, Rounds: o.Rounds, Load: o.Load}
	if now.Binary, err = digest(o.Chiron, o.Agent); err != nil {
		return nil, fmt.Errorf("systems: %w", err)
	}
	if s.archive, err = openArchive(o.Dir, now); err != nil {
		return nil, fmt.Errorf("systems: %w", err)
	}
	if err := errors.Join(s.run(ctx), s.archive.file.Close()); err != nil {
		return nil, fmt.Errorf("systems: %w", err)
	}
	return Read(o.Dir, o.Prices)
}

// Read reports what a run has measured so far, with money by a table of prices.
func Read(dir, table string) (*Report, error) {
	a := &archive{}
	if _, err := journal.Read(dir, a.read); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("systems: %s holds no run: %w", dir, err)
		}
		return nil, fmt.Errorf("systems: %w", err)
	}
	r, err := a.report(table)
	if err != nil {
		return nil, fmt.Errorf("systems: %w", err)
	}
	return r, nil
}

// session is one Run.
type session struct {
	Options
	dir      string // everything temporary
	cpus     int    // the machine's
	archive  *recorder
	subjects []*subject
	starts   atomic.Int64 // of deployments, for names that are free
}

// subject is one workflow.
type subject struct {
	Subject
	// project is a copy of the Subject's, whose folder is the session's.
	project *workflow.Project
	dir     string // temporary, its own
	inputs  string // digest of its files
	check   checker
	*measured
}

func (s *session) run(ctx context.Context) error {
	// All that can be found wrong is, before anything takes time.
	for _, given := range s.Subjects {
		w, err := s.assemble(given)
		if err != nil {
			return fmt.Errorf("workflow %q: %w", given.Project.Name, err)
		}
		s.subjects = append(s.subjects, w)
	}
	for _, w := range s.subjects {
		if w.done(s.Systems) {
			continue
		}
		if err := w.ready(ctx); err != nil {
			return fmt.Errorf("workflow %q: %w", w.name, err)
		}
	}
	if err := s.calibrate(ctx); err != nil {
		return err
	}
	for _, w := range s.subjects {
		if w.done(s.Systems) {
			continue
		}
		if err := s.measure(ctx, w); err != nil {
			return fmt.Errorf("workflow %q: %w", w.name, err)
		}
	}
	return nil
}

// done says that nothing of the workflow is left to measure.
func (w *measured) done(systems []string) bool {
	if w.prepared == nil || w.rounds == nil {
		return false
	}
	for _, name := range systems {
		if w.plan(name) != nil && w.alone[name] == nil {
			return false
		}
	}
	return true
}

// ready says what the workflow needs that is not there, or in the way.
func (w *subject) ready(ctx context.Context) error {
	end, err := pipeline.ServeStore(ctx, w.project, nil)
	if err == nil {
		err = end()
	}
	if err != nil || w.Ready == nil {
		return err
	}
	return w.Ready(ctx)
}

// assemble copies a workflow's project, so that nothing is written to the user's,
// and looks whether it is the one that was measured before.
func (s *session) assemble(given Subject) (*subject, error) {
	w := &subject{Subject: given, dir: filepath.Join(s.dir, fmt.Sprint(len(s.subjects)))}
	w.check = checker{check: given.Check}
	copied := filepath.Join(w.dir, "p")
	var err error
	if w.inputs, err = copyProject(given.Project, copied); err != nil {
		return nil, err
	}
	if w.project, err = workflow.Load(copied); err != nil {
		return nil, fmt.Errorf("a copy of its folder is no project: everything that it needs must be in its folder: %w", err)
	}
	w.measured = s.archive.workflow(w.project.Name)
	if w.prepared != nil && w.Inputs != w.inputs {
		return nil, errors.New("its files have changed since it was measured: measure into another folder")
	}
	if w.prepared != nil {
		if err := s.samePlans(w); err != nil {
			return nil, err
		}
	}
	return w, nil
}

// measure does what is left of a workflow.
func (s *session) measure(ctx context.Context, w *subject) (err error) {
	end, err := pipeline.ServeStore(ctx, w.project, nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, end()) }()
	if w.prepared == nil {
		if err := s.prepare(ctx, w); err != nil {
			return err
		}
	}
	if w.rounds == nil {
		r, err := s.takeTurns(ctx, w)
		if err != nil {
			return err
		}
		if err := s.archive.write(&line{Workflow: w.name, Rounds: r}); err != nil {
			return err
		}
	}
	for i, name := range s.Systems {
		if w.plan(name) == nil || w.alone[name] != nil {
			continue
		}
		s.tell(w, name, "alone: memory", i, len(s.Systems))
		a, err := s.measureAlone(ctx, w, name)
		if err != nil {
			return err
		}
		if err := s.archive.write(&line{Workflow: w.name, Alone: a}); err != nil {
			return err
		}
	}
	return nil
}

// tell reports a step. The parts of a workflow are taken to take as long as each
// other: its preparation, its rounds, and each system alone.
func (s *session) tell(w *subject, system, what string, done, of int) {
	step := Step{System: system, What: what, Done: done, Of: of}
	parts, finished := 0.0, 0.0
	for _, other := range s.subjects {
		n := float64(2 + len(s.Systems))
		parts += n
		if other.prepared != nil {
			finished++
		}
		if other.rounds != nil {
			finished++
		}
		finished += float64(len(other.alone))
	}
	if parts > 0 {
		step.Share = finished / parts
	}
	if w != nil {
		step.Workflow = w.name
	}
	s.Progress(step)
}

// checker checks answers.
type checker struct {
	check func([]byte) error
	first any
	seen  bool
	// good are answers that were found right, so that the same bytes are not looked
	// at again.
	good map[string]bool
}

// maxGood bounds the answers that are remembered.
const maxGood = 1000

// answer says what is wrong with an answer.
func (c *checker) answer(body []byte) error {
	if c.good[string(body)] {
		return nil
	}
	if err := c.look(body); err != nil {
		return fmt.Errorf("a wrong answer: %w: %.300s", err, body)
	}
	if c.good == nil {
		c.good = make(map[string]bool)
	}
	if len(c.good) < maxGood {
		c.good[string(body)] = true
	}
	return nil
}

func (c *checker) look(body []byte) error {
	if c.check != nil {
		return c.check(body)
	}
	var value any
	d := json.NewDecoder(strings.NewReader(string(body)))
	d.UseNumber()
	if err := d.Decode(&value); err != nil {
		return fmt.Errorf("it is no JSON: %w", err)
	}
	if !c.seen {
		c.first, c.seen = value, true
		return nil
	}
	if !equalJSON(c.first, value) {
		return errors.New("it is not what the workflow answered before")
	}
	return nil
}
