package profiler

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/chiron-faas/chiron/host"
	"github.com/chiron-faas/chiron/profile"
	"github.com/chiron-faas/chiron/workflow"
)

// Run measures every function of the project that its workflow reaches. Its
// error is an *Error where a function failed, a *workflow.Failure where the
// workflow did, or one line on why it could not measure at all.
func Run(ctx context.Context, o Options) (_ *profile.Profile, err error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	usable, notes, err := choose(ctx, o.tracers(), o.Tracer)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "chiron-profile-")
	if err == nil {
		// Tracers report paths without links.
		dir, err = filepath.EvalSymlinks(dir)
	}
	if err != nil {
		return nil, fmt.Errorf("profile: %w", err)
	}
	s := &session{
		options: o, tracers: usable, notes: notes, dir: dir,
		interpreters: map[[2]string]host.Interpreter{},
		hosts:        map[string]*functionHost{}, bare: map[string]*functionHost{}, measured: map[string]*measurement{},
	}
	defer func() {
		s.close()
		err = errors.Join(err, os.RemoveAll(dir))
	}()
	if err := s.prepare(); err != nil {
		return nil, fmt.Errorf("profile: %w", err)
	}
	s.total = len(o.Project.Definition.Tasks())
	if _, err := workflow.Run(ctx, o.Project.Definition, o.Input, s); err != nil {
		return nil, err
	}
	p := &profile.Profile{
		Workflow: o.Project.Name,
		Machine:  profile.ThisMachine(),
		Created:  time.Now().UTC().Truncate(time.Second),
	}
	for _, key := range s.order {
		p.Functions = append(p.Functions, s.measured[key].function)
	}
	if err := p.Validate(); err != nil {
		return nil, fmt.Errorf("profile: the measurement contradicts itself, which is a fault of this program: %w", err)
	}
	return p, nil
}

// session is one Run. It is the workflow's executor: one goroutine, one task
// at a time.
type session struct {
	options Options
	tracers []profile.Tracer // that work here, the best first
	notes   []string         // why it is not a better one
	dir     string           // everything temporary
	total   int              // tasks
	done    int

	// interpreters that were found, by language and what was asked for: each
	// search starts some.
	interpreters map[[2]string]host.Interpreter

	hosts    map[string]*functionHost // by function
	bare     map[string]*functionHost // without a function, by interpreter
	measured map[string]*measurement  // by function and input
	order    []string                 // of measured
}

// measurement is a function's profile and what it returned.
type measurement struct {
	function profile.Function
	output   json.RawMessage
}

var _ workflow.Executor = (*session)(nil)

func (s *session) program() string { return filepath.Join(s.dir, "host") }

// workDir is shared by all functions of a run: one may read what another wrote,
// as in a wrap that holds them both.
func (s *session) workDir() string { return filepath.Join(s.dir, "work") }

func (s *session) prepare() error {
	if err := host.WriteProgram(s.program()); err != nil {
		return err
	}
	return os.MkdirAll(s.workDir(), 0o755)
}

func (s *session) close() {
	for _, h := range s.hosts {
		h.zygote.Close()
	}
	for _, h := range s.bare {
		h.zygote.Close()
	}
}

// Parallel runs the branches one after the other: each function is measured
// alone.
func (s *session) Parallel(ctx context.Context, state *workflow.State, input json.RawMessage) ([]json.RawMessage, error) {
	return workflow.RunInTurn(ctx, state, input, s)
}

// Task measures the function of a task on the input that it gets, unless that
// was done, and returns its output.
func (s *session) Task(ctx context.Context, state *workflow.State, input json.RawMessage) (json.RawMessage, error) {
	key := state.Function + "\x00" + string(input)
	m, ok := s.measured[key]
	if ok {
		// A loop may reach a task again.
		if !slices.Contains(m.function.Tasks, state.Name) {
			m.function.Tasks = append(m.function.Tasks, state.Name)
		}
		s.report(state, Progress{Phase: PhaseShared})
	} else {
		var err error
		if m, err = s.measure(ctx, state, input); err != nil {
			return nil, err
		}
		s.measured[key] = m
		s.order = append(s.order, key)
	}
	s.done++
	s.report(state, Progress{Phase: PhaseDone, Runs: m.function.Runs, MeanError: m.function.Wall.MeanError(m.function.Runs)})
	return m.output, nil
}

func (s *session) report(state *workflow.State, p Progress) {
	p.Function, p.Task, p.Done, p.Total = state.Function, state.Name, s.done, s.total
	s.options.report(p)
}
