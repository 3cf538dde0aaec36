package main

import (
	"io"

	"github.com/spf13/cobra"

	"github.com/chiron-faas/chiron/bench/serving"
	"github.com/chiron-faas/chiron/workflow"
)

// newBench is the parent of the experiments, one file each.
func newBench(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Measure this program itself, by experiments on this machine",
		Long: `Runs an experiment on this machine. Its figures are comparable within a run only:
an idle machine is asked for.`,
		Example: "  chiron bench accuracy examples/finra-5",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usagef("there is no experiment %q", args[0])
			}
			return usagef("name an experiment")
		},
		RunE: func(*cobra.Command, []string) error { return nil }, // Args never lets it come here
	}
	cmd.AddCommand(newBenchAccuracy(a), newBenchCold(a), newBenchPath(a), newBenchRuntime(a), newBenchSearch(a), newBenchSimulate(a), newBenchSystems(a), newBenchTransfer(a))
	return cmd
}

// textReport is an experiment's report, for people and as JSON.
type textReport interface {
	WriteText(w io.Writer) error
}

// programs are this one and its agent, for experiments that start them.
func (a *app) programs() (p serving.Programs, err error) {
	if p.Chiron, err = a.self(); err != nil {
		return p, err
	}
	p.Agent, err = a.agent(a)
	return p, err
}

// experiment runs one with these programs, shows what it is at, and prints its
// report.
func (a *app) experiment(run func(p serving.Programs, progress func(text string)) (textReport, error)) error {
	programs, err := a.programs()
	if err != nil {
		return err
	}
	shown := a.progress()
	report, err := run(programs, shown.passing("bench"))
	shown.end()
	if err != nil {
		return err
	}
	return a.report(report, func(w io.Writer, _ style) {
		_ = report.WriteText(w) // a report's writer keeps its error
	})
}

// loadProjects reads the projects that an experiment is given.
func loadProjects(paths []string) ([]*workflow.Project, error) {
	var all []*workflow.Project
	for _, path := range paths {
		p, err := loadProject(path)
		if err != nil {
			return nil, err
		}
		all = append(all, p)
	}
	return all, nil
}
