package profiler

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/chiron-faas/chiron/host"
	"github.com/chiron-faas/chiron/profile"
	"github.com/chiron-faas/chiron/workflow"
)

const (
	// warmUps are made between the cold call and the first that counts.
	warmUps = 3
	// tracedRuns that count; one more comes first, cold, for the files that
	// only a first call writes.
	tracedRuns = 10
	// coldRuns are first calls in processes forked for them. The first of all
	// does not count where there are more: it finds files that nobody has read
	// yet, which no later fork will.
	coldRuns = 10
	// Shares of the budget: warm-up, traced runs and first calls; the rest is for runs
	// without a tracer.
	warmUpShare = 0.1
	coldShare   = 0.1
	tracedShare = 0.3
	// queueWorthNoting and queueFloor: time in the queue for a CPU that is
	// less than this part of the wall time (half of what a mean may be off,
	// TargetError), or than this, is the kernel's ordinary wake-up.
	queueWorthNoting = 0.01
	queueFloor       = 50 * time.Microsecond
)

// subject is one function with one input in the course of being measured.
type subject struct {
	session *session
	host    *functionHost
	state   *workflow.State
	input   json.RawMessage
	begun   time.Time

	walls, cpus []time.Duration // of the runs that count, in order
	queued      time.Duration   // over them
}

func (s *session) measure(ctx context.Context, state *workflow.State, input json.RawMessage) (*measurement, error) {
	s.report(state, Progress{Phase: PhaseStart})
	fail := func(err error) error {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return &Error{Function: state.Function, State: state.Name, Err: err}
	}
	h, err := s.hostOf(ctx, state.Function)
	if err != nil {
		return nil, fail(err)
	}
	bare, err := s.bareHost(ctx, h.interpreter)
	if err != nil {
		return nil, fail(fmt.Errorf("start a host without functions: %w", err))
	}
	memory := ledger{bare: bare, host: h}
	memory.imported()
	m := &subject{session: s, host: h, state: state, input: input}
	worker, err := h.worker(ctx)
	if err != nil {
		return nil, fail(err)
	}
	defer worker.Close()
	m.begun = time.Now()
	s.report(state, Progress{Phase: PhaseCold})
	cold, err := m.call(ctx, worker)
	if err != nil {
		return nil, err
	}
	// What a reply holds may be reused for the next one.
	output := slices.Clone(cold.Body)
	f := profile.Function{
		Name: state.Function, Tasks: []string{state.Name},
		Lang: h.function.Lang, Version: h.interpreter.Version,
		InputBytes: len(input), OutputBytes: len(output),
		Notes: slices.Clone(s.notes),
	}
	if err := m.warmUp(ctx, worker); err != nil {
		return nil, err
	}
	// Half before the traced runs, half after: a machine that becomes slower
	// or faster meanwhile does so for both.
	if err := m.runs(ctx, worker, s.options.Runs/2); err != nil {
		return nil, err
	}
	seen, err := m.traced(ctx, &f)
	if err != nil {
		return nil, err
	}
	if err := m.colds(ctx, cold, &f); err != nil {
		return nil, err
	}
	// Those runs were elsewhere: get warm again.
	if _, err := m.call(ctx, worker); err != nil {
		return nil, err
	}
	servers, err := m.answered(ctx, worker, seen.Sockets)
	if err != nil {
		return nil, fail(err)
	}
	if err := m.runs(ctx, worker, s.options.Runs); err != nil {
		return nil, err
	}
	served := servers.perRun(len(m.walls))
	m.summarise(&f)
	if f.PeakRSS, err = peakRSS(worker.Pid()); err != nil {
		return nil, fail(err)
	}
	if err := memory.called(ctx, worker, f.PeakRSS, &f); err != nil {
		return nil, fail(err)
	}
	m.interpret(seen, &f)
	share(f.Periods, served)
	return &measurement{function: f, output: output}, nil
}

// call calls the function once; its error is an *Error.
func (m *subject) call(ctx context.Context, w *host.Worker) (host.Reply, error) {
	timeout := m.host.function.Timeout
	c := host.Call{Function: m.state.Function, Body: m.input, RequestID: "profile"}
	if timeout > 0 {
		c.Deadline = time.Now().Add(timeout)
	}
	reply, err := w.Call(ctx, c)
	if err == nil {
		return reply, nil
	}
	if ctx.Err() != nil {
		return reply, context.Cause(ctx)
	}
	e := &Error{Function: m.state.Function, State: m.state.Name, Err: err}
	if errors.Is(err, context.DeadlineExceeded) {
		e.Timeout = timeout
	}
	return reply, e
}

// colds makes first calls, each in a process of its own.
func (m *subject) colds(ctx context.Context, first host.Reply, f *profile.Function) error {
	walls, cpus := []time.Duration{first.Run}, []time.Duration{first.CPU}
	begin := time.Now()
	for n := 0; n < coldRuns && m.within(begin, coldShare); n++ {
		reply, err := m.cold(ctx)
		if err != nil {
			return err
		}
		walls, cpus = append(walls, reply.Run), append(cpus, reply.CPU)
		m.session.report(m.state, Progress{Phase: PhaseCold, Runs: n + 1})
	}
	if len(walls) > 1 {
		walls, cpus = walls[1:], cpus[1:]
	}
	f.Cold, f.ColdCPU = profile.NewStat(walls), profile.NewStat(cpus)
	return nil
}

func (m *subject) cold(ctx context.Context) (host.Reply, error) {
	w, err := m.host.worker(ctx)
	if err != nil {
		return host.Reply{}, &Error{Function: m.state.Function, State: m.state.Name, Err: err}
	}
	defer w.Close()
	return m.call(ctx, w)
}

// within says whether less than a share of the budget is spent since a moment.
func (m *subject) within(since time.Time, share float64) bool {
	return float64(time.Since(since)) < share*float64(m.session.options.Budget)
}

func (m *subject) warmUp(ctx context.Context, w *host.Worker) error {
	begin := time.Now()
	for n := 0; n < warmUps && (n == 0 || m.within(begin, warmUpShare)); n++ {
		if _, err := m.call(ctx, w); err != nil {
			return err
		}
	}
	return nil
}

// runs makes runs that count until there are as many as wanted and, where that
// is all of them, until the mean is known; less where the budget ends.
func (m *subject) runs(ctx context.Context, w *host.Worker, wanted int) error {
	all := wanted >= m.session.options.Runs
	most := m.session.options.Runs * maxRunsFactor
	fewest := fewestRuns
	if !all {
		fewest = 1
	}
	var spent time.Duration // in the handler
	for _, d := range m.walls {
		spent += d
	}
	before := queued(w.Pid())
	defer func() { m.queued += max(0, queued(w.Pid())-before) }()
	for {
		n := len(m.walls)
		known := !all || profile.NewStat(m.walls).MeanError(n) <= TargetError
		switch {
		case n >= wanted && known, n >= most && (spent >= shortRuns || n >= mostRuns):
			return nil
		case n >= fewest && !m.within(m.begun, m.share(all)):
			return nil
		}
		reply, err := m.call(ctx, w)
		if err != nil {
			return err
		}
		m.walls = append(m.walls, reply.Run)
		spent += reply.Run
		m.cpus = append(m.cpus, reply.CPU)
		m.session.report(m.state, Progress{
			Phase: PhaseRuns, Runs: len(m.walls), MeanError: profile.NewStat(m.walls).MeanError(len(m.walls)),
		})
	}
}

// share of the budget that may be spent by the end of the runs: of all of
// them, or of those before the traced ones.
func (m *subject) share(all bool) float64 {
	if all {
		return 1
	}
	return (1-tracedShare-coldShare-warmUpShare)/2 + warmUpShare
}

// traced makes traced runs in a worker of their own, so that what a tracer
// leaves behind in a process does not touch the others. A tracer that cannot
// cut them is replaced by the next best, unless it was asked for by name.
func (m *subject) traced(ctx context.Context, f *profile.Function) (*profile.Observation, error) {
	s := m.session
	for at := 0; ; at++ {
		tracer := s.tracers[at]
		seen, err := m.tracedWith(ctx, tracer, f)
		var failed *Error
		if err == nil {
			f.Tracer = tracer.Name()
			return seen, nil
		}
		if errors.As(err, &failed) || ctx.Err() != nil {
			return nil, err
		}
		if at+1 == len(s.tracers) {
			return nil, &Error{Function: m.state.Function, State: m.state.Name, Err: err}
		}
		f.Notes = append(f.Notes, fmt.Sprintf("not traced with %s: %v", tracer.Name(), err))
	}
}

func (m *subject) tracedWith(ctx context.Context, tracer profile.Tracer, f *profile.Function) (*profile.Observation, error) {
	worker, err := m.host.worker(ctx)
	if err != nil {
		return nil, err
	}
	defer worker.Close()
	pid := worker.Pid()
	// One lane, so the main thread serves it, whose number is the process'.
	trace, err := tracer.Start(ctx, profile.Target{
		PID: pid, TID: pid, Dir: m.session.workDir(), Probe: m.probe(worker),
	})
	if err != nil {
		return nil, err
	}
	defer trace.Abort()
	passes := []int{tracedRuns}
	several, ok := trace.(profile.Passes)
	if ok {
		passes = several.Passes()
	}
	var calls []profile.Call
	for pass, runs := range passes {
		if ok {
			if err := several.Pass(ctx, pass); err != nil {
				return nil, err
			}
		}
		made, err := m.tracedPass(ctx, worker, pass, runs, tracedShare/float64(len(passes)))
		if err != nil {
			return nil, err
		}
		calls = append(calls, made...)
	}
	now := profile.NewStat(m.walls)
	seen, err := trace.Stop(ctx, calls, profile.Untraced{Wall: now.Mean, CPU: profile.NewStat(m.cpus).Mean})
	if err != nil {
		return nil, err
	}
	var walls []time.Duration
	for _, c := range calls {
		if !c.Cold && c.Pass == len(passes)-1 {
			walls = append(walls, c.Run)
		}
	}
	// Medians: other programs that hold up one run are no tracer's doing.
	if now.P50 > 0 && len(walls) > 0 {
		f.Slowdown = math.Round(float64(profile.NewStat(walls).P50)/float64(now.P50)*1000) / 1000
	}
	return seen, nil
}

// tracedPass makes the calls of one pass, with a part of the budget: a first,
// which finds the process or the probes new and counts as cold, and as many as
// are wanted.
func (m *subject) tracedPass(ctx context.Context, w *host.Worker, pass, runs int, share float64) ([]profile.Call, error) {
	var calls []profile.Call
	begin := time.Now()
	for n := 0; n <= runs && (n < 2 || m.within(begin, share)); n++ {
		at := time.Now()
		reply, err := m.call(ctx, w)
		if err != nil {
			return nil, err
		}
		calls = append(calls, profile.Call{
			Start: at.Add(reply.Start), Run: reply.Run, CPU: reply.CPU, Cold: n == 0, Pass: pass,
		})
		m.session.report(m.state, Progress{Phase: PhaseTraced, Runs: n})
	}
	return calls, nil
}

func (m *subject) summarise(f *profile.Function) {
	n := len(m.walls)
	f.Runs = n
	f.Wall = profile.NewStat(m.walls)
	f.CPU = profile.NewStat(m.cpus)
	f.Walls = profile.NewWalls(m.walls)
	if wait := m.queued / time.Duration(n); wait > queueFloor && float64(wait) > queueWorthNoting*float64(f.Wall.Mean) {
		f.RunQueue = min(wait, max(0, f.Wall.Mean-f.CPU.Mean))
	}
	if f.RunQueue > queueFloor && float64(f.RunQueue) > queueWorthNoting*float64(f.Wall.Mean) {
		f.Notes = append(f.Notes, fmt.Sprintf("it waited for a CPU for %.0f %% of its time: other programs were running",
			100*float64(f.RunQueue)/float64(f.Wall.Mean)))
	}
	if n < m.session.options.Runs {
		f.Notes = append(f.Notes, fmt.Sprintf("only %d runs: more would take longer than the budget of %v", n, m.session.options.Budget))
	}
	if e := f.Wall.MeanError(n); e > TargetError {
		limit := ""
		if n >= m.session.options.Runs*maxRunsFactor {
			limit = ", the most that are made: ask for more with --runs"
		}
		f.Notes = append(f.Notes, fmt.Sprintf("its mean is known only within ±%.0f %% after %d runs%s", math.Ceil(100*e), n, limit))
	}
}

// interpret fills in what the tracer saw.
func (m *subject) interpret(seen *profile.Observation, f *profile.Function) {
	periods, notes := buildPeriods(seen, totals{wall: f.Wall, cpu: f.CPU.Mean, queued: f.RunQueue})
	f.Periods = periods
	for _, name := range seen.Files {
		if inside, ok := strings.CutPrefix(name, m.session.workDir()+"/"); ok {
			name = filepath.Clean(inside)
		}
		f.Files = append(f.Files, name)
	}
	slices.Sort(f.Files)
	f.Sockets = seen.Sockets
	f.Notes = append(f.Notes, seen.Notes...)
	f.Notes = append(f.Notes, notes...)
}
