package calibrate

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/chiron-faas/chiron/host"
	"github.com/chiron-faas/chiron/internal/affinity"
	"github.com/chiron-faas/chiron/predict"
	"github.com/chiron-faas/chiron/profile"
	"github.com/chiron-faas/chiron/workflow"
)

// Options of a measurement. Agent is needed.
type Options struct {
	// Agent is the file of chiron-agent, which runs the wraps.
	Agent string
	// Runtime is the Python to measure with, as a function declares it ("3.12",
	// "/usr/bin/python3"); empty: the machine's default.
	Runtime string
	// Dir is where a folder for bundles is made, and removed in the end; empty:
	// the system's for temporary files.
	Dir string
	// Runs is the number of rounds, each of which measures everything; 0:
	// DefaultRuns.
	Runs int
	// Budget ends the rounds early, but for the fewest that make sense (5), once
	// the measurement has taken that long; 0: DefaultBudget.
	Budget time.Duration
	// Force measures on where the machine is too busy, and leaves it to the
	// notes to say so.
	Force bool
	// SkipChecks leaves out the workloads that predictions are held against.
	SkipChecks bool
	// Progress, when set, is told each step as it begins, from the goroutine
	// that measures.
	Progress func(Step)
	// Log takes what a user should know of the measurement; nil discards.
	Log *slog.Logger
}

// Step is a step of a measurement.
type Step struct {
	// What is being done: "start wraps", "measure", "check".
	What string
	// Done of Of parts.
	Done, Of int
}

// Defaults of Options. The rounds are enough that the constants repeat within a
// tenth on a machine that does nothing else; there they end before the budget.
const (
	DefaultRuns   = 30
	DefaultBudget = 18 * time.Second
)

// minRuns is the fewest rounds that have a median and a spread.
const minRuns = 5

// ErrNoisy says that other programs disturb the measurement too much for its
// constants to mean anything.
var ErrNoisy = errors.New("the machine is too busy to calibrate: stop what else runs on it and calibrate again, or force it")

// Measure measures this machine's constants. It takes about 15 seconds on two
// CPUs; when it returns, nothing of it runs on. What a user should know of the
// result is in Log.
//
// Errors: ErrNoisy; ctx's; or what did not start, in one line.
func Measure(ctx context.Context, o Options) (*predict.Calibration, error) {
	r, err := Run(ctx, o)
	if err != nil {
		return nil, err
	}
	return r.Calibration, nil
}

// Run is Measure with all that was observed.
func Run(ctx context.Context, o Options) (*Report, error) {
	begin := time.Now()
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Progress == nil {
		o.Progress = func(Step) {}
	}
	if o.Runs == 0 {
		o.Runs = DefaultRuns
	}
	if o.Budget <= 0 {
		o.Budget = DefaultBudget
	}
	if o.Runs < minRuns {
		return nil, fmt.Errorf("calibrate: %d runs are too few: give %d at least", o.Runs, minRuns)
	}
	m, err := newMeasurer(ctx, o)
	if err != nil {
		return nil, fmt.Errorf("calibrate: %w", err)
	}
	defer m.close()
	m.until = begin.Add(o.Budget)
	r, err := m.measure(ctx)
	if err != nil {
		return nil, fmt.Errorf("calibrate: %w", err)
	}
	r.Took = time.Since(begin)
	for _, note := range r.Notes {
		o.Log.Warn("calibration: " + note)
	}
	return r, nil
}

// measurer is what a measurement works with.
type measurer struct {
	Options
	dir, code   string
	interpreter host.Interpreter
	// interval of the interpreter's lock, its own.
	interval  time.Duration
	functions map[string]*workflow.Function
	cpus      int
	first     int // CPU of those that this process may run on
	shapes    []*shape
	running   []*running
	until     time.Time // the budget's end
}

func newMeasurer(ctx context.Context, o Options) (m *measurer, err error) {
	if o.Agent == "" {
		return nil, errors.New("the path of chiron-agent is missing")
	}
	if o.Agent, err = exec.LookPath(o.Agent); err != nil {
		return nil, fmt.Errorf("the chiron-agent to start wraps with: %w", err)
	}
	m = &measurer{Options: o, cpus: runtime.NumCPU(), shapes: append(constantShapes(), togetherShape(), besideShape())}
	cpus, err := affinity.CPUs()
	if err != nil {
		return nil, err
	}
	m.first = cpus[0]
	if !o.SkipChecks {
		m.shapes = append(m.shapes, checkShapes()...)
	}
	if m.interpreter, err = host.FindInterpreter(ctx, "python", o.Runtime); err != nil {
		return nil, err
	}
	if m.interval, err = switchInterval(ctx, m.interpreter.Path); err != nil {
		return nil, err
	}
	if m.dir, err = os.MkdirTemp(o.Dir, "chiron-calibrate-"); err != nil {
		return nil, err
	}
	m.code = filepath.Join(m.dir, "code")
	if err = os.Mkdir(m.code, 0o700); err == nil {
		// The path: a name would be looked up again by each of the wraps.
		m.functions, err = writeHandlers(m.code, m.interpreter.Path)
	}
	if err != nil {
		m.close()
		return nil, err
	}
	return m, nil
}

// close stops all wraps and removes what was written.
func (m *measurer) close() {
	stopAll(m.running)
	_ = os.RemoveAll(m.dir) // what is left is in the system's temporary folder
}

// measure does all of it.
func (m *measurer) measure(ctx context.Context) (*Report, error) {
	if err := m.launchAll(ctx, m.shapes); err != nil {
		return nil, err
	}
	observed, err := m.rounds(ctx, m.running, m.Runs)
	if err != nil {
		return nil, err
	}
	r := &Report{Calibration: &predict.Calibration{
		Machine: profile.ThisMachine(), Created: time.Now().UTC().Truncate(time.Second),
		Version: m.interpreter.Version, SwitchInterval: m.interval,
	}}
	r.observe(observed)
	r.fit(observed)
	r.Calibration.Spread, r.Calibration.Together = factors(observed), together(observed)
	r.Calibration.Agent = agentTime(observed)
	if m.cpus > 1 {
		r.Calibration.Beside = beside(observed)
	}
	if err := r.refuse(observed); err != nil && !m.Force {
		return nil, err
	}
	if err := r.Calibration.Check(); err != nil {
		return nil, err
	}
	if m.SkipChecks {
		return r, nil
	}
	return r, r.check(observed, m.cpus)
}

// switchInterval asks the interpreter for its own (sys.getswitchinterval).
func switchInterval(ctx context.Context, python string) (time.Duration, error) {
	out, err := exec.CommandContext(ctx, python, "-I", "-S", "-c", "import sys; print(sys.getswitchinterval())").Output()
	if err != nil {
		if ctx.Err() != nil { // it was killed for that
			err = context.Cause(ctx)
		}
		return 0, fmt.Errorf("ask %s for its switch interval: %w", python, err)
	}
	seconds, err := strconv.ParseFloat(strings.TrimSpace(string(out)), 64)
	if err != nil || seconds <= 0 {
		return 0, fmt.Errorf("ask %s for its switch interval: it answered %.40q", python, out)
	}
	return time.Duration(seconds * float64(time.Second)), nil
}
