package profiler

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/chiron-faas/chiron/profile"
	"github.com/chiron-faas/chiron/workflow"
)

// Bounds and defaults of Options: chosen, not measured, so that a function that
// varies by 4 % is known within TargetError after DefaultRuns (2.09 · 4 / √20 = 1.9).
const (
	// MinRuns is the least that Options.Runs may ask for.
	MinRuns = 10
	// DefaultRuns of a function without a tracer.
	DefaultRuns = 20
	// DefaultBudget of one function's calls.
	DefaultBudget = 10 * time.Second
	// DefaultImportTimeout of one function.
	DefaultImportTimeout = time.Minute
	// TargetError is how well the mean has to be known, 95 % confidence.
	TargetError = 0.02
	// maxRunsFactor times Runs is where the runs end, however uncertain the
	// mean; but those of a short function go on until they have taken
	// shortRuns in all, or are mostRuns.
	maxRunsFactor = 5
	shortRuns     = 200 * time.Millisecond
	mostRuns      = 1000
	// fewestRuns are made however long a function takes.
	fewestRuns = 3
)

// Options of Run.
type Options struct {
	Project *workflow.Project
	// Input of the workflow; nil: the project's sample.
	Input json.RawMessage
	// Runs is the least number of warm runs of each function without a tracer;
	// 0: DefaultRuns. More follow until the mean is known within TargetError,
	// at most five times as many (short functions: for a fifth of a second). A
	// function for which Budget does not suffice gets fewer, and a note.
	Runs int
	// Budget bounds the time of one function's calls; 0: DefaultBudget. The
	// cold call, and three runs of each kind, are made in any case.
	Budget time.Duration
	// ImportTimeout bounds the time that a function takes to import;
	// 0: DefaultImportTimeout.
	ImportTimeout time.Duration
	// Tracer by name; empty: the best that this machine permits, and a lesser
	// one for a function that it cannot cut.
	Tracer string
	// Sites are the folders of the functions' installed requirements, by function;
	// those that require nothing have none.
	Sites map[string]string
	// Progress is told of each step, from Run's own goroutine; nil: nobody.
	Progress func(Progress)

	// only are the tracers to choose from; nil: all. It is for tests.
	only []profile.Tracer
}

func (o *Options) tracers() []profile.Tracer {
	if o.only != nil {
		return o.only
	}
	return tracers()
}

// Progress is one step of Run.
type Progress struct {
	Phase Phase
	// Function and Task that are being measured.
	Function string
	Task     string
	// Tasks that are done, of how many.
	Done, Total int
	// Runs made so far in this phase, and MeanError as Stat.MeanError has it,
	// of the runs without a tracer.
	Runs      int
	MeanError float64
	// Message in words, where there is more to say.
	Message string
}

// Phase is a kind of step.
type Phase string

// The phases, in order.
const (
	PhaseStart  Phase = "start"  // its host starts
	PhaseCold   Phase = "cold"   // its first call
	PhaseRuns   Phase = "runs"   // runs without a tracer
	PhaseTraced Phase = "traced" // runs with one
	PhaseShared Phase = "shared" // measured for an earlier task already
	PhaseDone   Phase = "done"
)

func (o *Options) check() error {
	if o.Project == nil || o.Project.Definition == nil {
		return errors.New("profile: there is no project")
	}
	if o.Runs == 0 {
		o.Runs = DefaultRuns
	}
	if o.Runs < MinRuns {
		return fmt.Errorf("profile: %d runs are too few to tell a mean and its spread: ask for at least %d", o.Runs, MinRuns)
	}
	if o.Budget == 0 {
		o.Budget = DefaultBudget
	}
	if o.ImportTimeout <= 0 {
		o.ImportTimeout = DefaultImportTimeout
	}
	if o.Budget < 0 {
		return fmt.Errorf("profile: a budget of %v is none: give each function some seconds", o.Budget)
	}
	if o.Input == nil {
		o.Input = o.Project.Input
	}
	return nil
}

func (o *Options) report(p Progress) {
	if o.Progress != nil {
		o.Progress(p)
	}
}
