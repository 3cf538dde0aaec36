package runtime

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/chiron-faas/chiron/bench/serving"
)

// Options of Run. Programs are needed.
type Options struct {
	// Programs serve: chiron with its agent beside it, and wraps by themselves.
	serving.Programs
	// Only these experiments; empty: all.
	Only []string
	// Rounds of each figure; 0: the experiment's own.
	Rounds int
	// Runtime is the Python to measure with, as a function declares it; empty:
	// the machine's default.
	Runtime string
	// Progress, when set, is told what is being done.
	Progress func(string)

	// connections are the numbers that throughput has, processes those of memory;
	// nil: theirs.
	connections, processes []int
}

// Experiment is one of the package's.
type Experiment struct {
	Name string
	// Short says in a line what it measures.
	Short string
	// Run makes its tables. dir is a folder of its own, which is removed after it.
	Run func(ctx context.Context, o Options, dir string) ([]Table, error)
}

// All are the experiments, in the order in which they run.
func All() []Experiment {
	return []Experiment{
		{"first-reply", "the first reply of a process by mode and heap size", firstReply},
		{"path", "the whole path of 10 functions in 4 stages, less their own time", wholePath},
		{"throughput", "requests a second by mode and number of connections", throughput},
		{"memory", "a wrap by mode and number of processes, beside interpreters", memory},
	}
}

// Names of the experiments.
func Names() []string {
	var names []string
	for _, e := range All() {
		names = append(names, e.Name)
	}
	return names
}

// Report is what Run measured.
type Report struct {
	Tables []Table `json:"tables"`
}

// Run runs the experiments. It leaves nothing running.
func Run(ctx context.Context, o Options) (*Report, error) {
	for _, name := range o.Only {
		if !slices.Contains(Names(), name) {
			return nil, fmt.Errorf("bench runtime: there is no experiment %q: it has %s", name, strings.Join(Names(), ", "))
		}
	}
	if o.Progress == nil {
		o.Progress = func(string) {}
	}
	report := &Report{}
	for _, e := range All() {
		if len(o.Only) > 0 && !slices.Contains(o.Only, e.Name) {
			continue
		}
		tables, err := within(func(dir string) ([]Table, error) { return e.Run(ctx, o, dir) })
		if err != nil {
			return nil, fmt.Errorf("bench runtime: %s: %w", e.Name, err)
		}
		report.Tables = append(report.Tables, tables...)
	}
	return report, nil
}

// within gives an experiment a folder. Its name is short: sockets lie in it.
func within(run func(dir string) ([]Table, error)) (_ []Table, err error) {
	dir, err := os.MkdirTemp("", "cb")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	return run(dir)
}
