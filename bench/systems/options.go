package systems

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/chiron-faas/chiron/bench/serving"
	"github.com/chiron-faas/chiron/plan/model"
	"github.com/chiron-faas/chiron/plan/pgp"
	"github.com/chiron-faas/chiron/workflow"
)

// Subject is a workflow that is measured.
type Subject struct {
	Project *workflow.Project
	// Ready says what the functions need that is not there: a store that is down,
	// data that nobody has put there. nil: they need nothing.
	Ready func(ctx context.Context) error
	// Check says what is wrong with an answer. nil: all answers must be the same
	// JSON value.
	Check func(answer []byte) error
}

// Names of all systems, in the order of reports.
func Names() []string {
	var names []string
	for _, m := range model.All() {
		names = append(names, string(m))
	}
	return append(names, pgp.Names()...)
}

// yardstick is the system whose mean sets the SLO, and subject of most targets.
const yardstick = string(model.Faastlane)

// Slack is what the SLO allows beyond Faastlane's mean latency (the paper's 6.2).
const Slack = 10 * time.Millisecond

// percentile that the SLO is searched for: at most 1 % of the requests may break
// it.
const percentile = 99

// margin of the SLO, percent, that plans are searched to leave: predictions err, by
// 12 % at the 95th percentile (docs/accuracy.md), and a shared machine serves in
// slower minutes than it profiles in. The paper estimates with larger constants to
// the same end (the text at its figure 14).
const margin = 15

// aim is what plans are searched for, so that the SLO is kept.
func aim(slo time.Duration) time.Duration { return slo * (100 - margin) / 100 }

// Options of Run. Programs and Subjects are needed.
type Options struct {
	Subjects []Subject
	// Systems of Names that are measured; nil: all. Faastlane and Chiron are in any
	// case, since everything is held against them.
	Systems []string
	// Programs serve and calibrate: chiron with its agent beside it.
	serving.Programs
	// Dir keeps what is measured; where it holds a run, that run goes on. Empty:
	// nothing is kept.
	Dir string
	// Rounds in which each system gets a timed request; 0: DefaultRounds.
	Rounds int
	// Load is how long the throughput of each system is measured at each number of
	// connections; 0: DefaultLoad.
	Load time.Duration
	// Runs of each function for its profile, as profiler.Options has them; 0:
	// DefaultRuns.
	Runs int
	// Budget bounds the time of a function's runs, as profiler.Options has it.
	Budget time.Duration
	// Calibration is a file with this machine's constants; empty: those in the
	// user's cache, measured where there are none.
	Calibration string
	// Prices is a table's name or file (internal/prices); empty: its default.
	Prices string
	// Progress, when set, is told each step as it begins, from the goroutine that
	// measures.
	Progress func(Step)
}

// Step is a step of the experiment.
type Step struct {
	Workflow, System string // empty where it is of none
	// What is being done.
	What string
	// Done of Of parts of it.
	Done, Of int
	// Share of the whole that is done, from 0 to 1.
	Share float64
}

// Defaults of Options.
const (
	// DefaultRounds show what one request in a hundred takes.
	DefaultRounds = 120
	DefaultLoad   = 4 * time.Second
	// DefaultRuns are fewer than the profiler's own: a plan needs no more.
	DefaultRuns = 10
)

// Quick are the options of a run that shows how things are, with the paper's
// workflows within five minutes: fewer rounds, shorter loads, shorter profiles.
func Quick() Options {
	return Options{Rounds: 7, Load: 600 * time.Millisecond, Budget: time.Second}
}

// ErrUse says that options cannot be.
var ErrUse = errors.New("systems")

func (o *Options) check() error {
	if len(o.Subjects) == 0 {
		return fmt.Errorf("%w: no workflow to measure", ErrUse)
	}
	if o.Chiron == "" || o.Agent == "" {
		return fmt.Errorf("%w: the path of chiron or of chiron-agent is missing", ErrUse)
	}
	if o.Rounds == 0 {
		o.Rounds = DefaultRounds
	}
	if o.Load == 0 {
		o.Load = DefaultLoad
	}
	if o.Runs == 0 {
		o.Runs = DefaultRuns
	}
	if o.Rounds < 2 || o.Load < 0 || o.Runs < 0 {
		return fmt.Errorf("%w: %d rounds, a load of %v, %d runs: give 2 rounds or more, and nothing negative", ErrUse, o.Rounds, o.Load, o.Runs)
	}
	seen := make(map[string]bool)
	for _, s := range o.Subjects {
		if seen[s.Project.Name] {
			return fmt.Errorf("%w: two workflows are called %q: rename one", ErrUse, s.Project.Name)
		}
		seen[s.Project.Name] = true
	}
	systems, err := chosen(o.Systems)
	if err != nil {
		return err
	}
	o.Systems = systems
	if o.Progress == nil {
		o.Progress = func(Step) {}
	}
	return nil
}

// chosen are the systems that are asked for, and those that are needed, in the
// order of Names.
func chosen(asked []string) ([]string, error) {
	all := Names()
	if len(asked) == 0 {
		return all, nil
	}
	for _, name := range asked {
		if !slices.Contains(all, name) {
			return nil, fmt.Errorf("%w: there is no system %q: choose from %s", ErrUse, name, strings.Join(all, ", "))
		}
	}
	return slices.DeleteFunc(all, func(name string) bool {
		return name != yardstick && name != pgp.Name && !slices.Contains(asked, name)
	}), nil
}
