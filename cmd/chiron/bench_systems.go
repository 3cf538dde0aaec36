package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/chiron-faas/chiron/bench/accuracy/shapes"
	"github.com/chiron-faas/chiron/bench/services"
	"github.com/chiron-faas/chiron/bench/systems"
	"github.com/chiron-faas/chiron/pipeline"
)

func newBenchSystems(a *app) *cobra.Command {
	var o systems.Options
	var quick bool
	var from systemSources
	var names string
	cmd := &cobra.Command{
		Use:   "systems [DIR…]",
		Short: "Measure every deployment model side by side",
		Long: `Serves workflows under every system that the paper compares, side by side on this
machine, and holds latency, memory, CPUs, throughput and money against Chiron's:
` + inTwoLines(systems.Names()) + `.

Without a DIR these are the paper's workflows (` + strings.Join(systems.PaperNames(true), ", ") + `;
without --quick also FINRA with 50, 100 and 200 functions), whose stores "make
services" starts; --workflows names some of them. --shapes are of the same form,
and need no stores.

The systems take turns, round by round; every answer is checked. With --out the
run can be interrupted at any time, and the same command again goes on with it;
the folder then has the report as text, CSV, pictures and one HTML page.
--quick shows within five minutes how things are.`,
		Example: `  chiron bench systems examples/finra-5 --quick
  chiron bench systems --workflows sn,mr --quick
  chiron bench systems --out systems-run`,
		RunE: func(cmd *cobra.Command, args []string) error {
			from.paths, from.quick = args, quick
			if err := checkSystems(&o, names, &from); err != nil {
				return err
			}
			if quick {
				fast := systems.Quick()
				if o.Rounds == 0 {
					o.Rounds = fast.Rounds
				}
				if o.Load == 0 {
					o.Load = fast.Load
				}
				o.Budget = fast.Budget
			}
			dir, err := os.MkdirTemp("", "chiron-systems-")
			if err != nil {
				return err
			}
			defer func() { _ = os.RemoveAll(dir) }()
			var report *systems.Report
			if o.Subjects, err = from.subjects(dir); err == nil {
				report, err = a.measureSystems(cmd.Context(), o)
			}
			if errors.Is(err, systems.ErrUse) {
				return usagef("%s", strings.TrimPrefix(err.Error(), "systems: "))
			}
			if err != nil {
				return err
			}
			if err := a.reportSystems(report, o.Dir); err != nil {
				return err
			}
			if report.Failed() != nil {
				return errSaid
			}
			return nil
		},
	}
	flags := cmd.Flags()
	flags.BoolVar(&quick, "quick", false, "few rounds, short loads")
	flags.StringVar(&from.workflows, "workflows", "", "`names` of the paper's workflows, with commas, or all")
	flags.StringVar(&from.services, "services", ".cache/services", "`folder` of what make services has started")
	flags.StringVar(&from.shapes, "shapes", "", "`names` of shapes to measure, with commas, or all")
	flags.StringVar(&names, "systems", "", "`names` of systems to measure, with commas; default: all")
	flags.StringVar(&o.Dir, "out", "", "`folder` that keeps what is measured and the reports")
	flags.IntVar(&o.Rounds, "rounds", 0, fmt.Sprintf("`number` of rounds of requests; 0: %d", systems.DefaultRounds))
	flags.DurationVar(&o.Load, "load", 0, fmt.Sprintf("`time` that each throughput is measured for; 0: %v", systems.DefaultLoad))
	flags.IntVar(&o.Runs, "runs", 0, fmt.Sprintf("least `number` of runs of each function, when they are measured; 0: %d", systems.DefaultRuns))
	flags.StringVar(&o.Calibration, "calibration", "", "`file` with this machine's constants; default: one in the cache")
	flags.StringVar(&o.Prices, "prices", "", "`table` of prices: a name or a file; default: as chiron plan")
	cmd.AddCommand(newBenchSystemsReport(a))
	return cmd
}

// inTwoLines lists names over lines that fit the help.
func inTwoLines(names []string) string {
	return strings.Join(names[:len(names)/2], ", ") + ",\n" + strings.Join(names[len(names)/2:], ", ")
}

// systemSources say which workflows are measured.
type systemSources struct {
	paths                       []string // of projects
	workflows, services, shapes string   // the flags' values
	quick                       bool
	assembled                   []string // names of shapes
	paper                       []string // names of workflows
}

// checkSystems finds wrong use before anything is measured.
func checkSystems(o *systems.Options, names string, from *systemSources) error {
	if names != "" {
		o.Systems = strings.Split(names, ",")
	}
	var err error
	if from.assembled, err = shapeNames(from.shapes); err != nil {
		return err
	}
	switch {
	case from.workflows == "all", from.workflows == "" && len(from.paths)+len(from.assembled) == 0:
		from.paper = systems.PaperNames(from.quick)
	case from.workflows != "":
		from.paper = strings.Split(from.workflows, ",")
	}
	if o.Rounds < 0 || o.Load < 0 || o.Runs < 0 {
		return usagef("--rounds, --load and --runs: give positive values, or 0 for the defaults")
	}
	return nil
}

// subjects loads projects, and shapes and the paper's workflows, which are written
// below dir.
func (from *systemSources) subjects(dir string) ([]systems.Subject, error) {
	paths := from.paths
	for _, name := range from.assembled {
		path := filepath.Join(dir, "shapes", name)
		if err := shapes.Write(name, path); err != nil {
			return nil, err
		}
		paths = append(paths, path)
	}
	projects, err := loadProjects(paths)
	if err != nil {
		return nil, err
	}
	var all []systems.Subject
	for _, p := range projects {
		all = append(all, systems.Subject{Project: p})
	}
	// Where none run, who needs them says so.
	ports := services.DefaultPorts()
	running, err := services.Attach(from.services)
	switch {
	case err == nil:
		ports = running.Ports
	case !errors.Is(err, services.ErrNotRunning):
		return nil, err
	}
	paper, err := systems.Paper(from.paper, filepath.Join(dir, "paper"), ports)
	return append(all, paper...), err
}

func newBenchSystemsReport(a *app) *cobra.Command {
	var out, prices string
	cmd := &cobra.Command{
		Use:   "report DIR",
		Short: "Report what a run has measured so far",
		Long: `Writes the reports of what was measured into DIR (chiron bench systems --out DIR),
there or to another folder. It measures nothing.`,
		Example: "  chiron bench systems report systems-run --out docs/results",
		Args:    one("DIR"),
		RunE: func(_ *cobra.Command, args []string) error {
			report, err := systems.Read(args[0], prices)
			if err != nil {
				return err
			}
			if out == "" {
				out = args[0]
			}
			return a.reportSystems(report, out)
		},
	}
	cmd.Flags().StringVar(&out, "out", "", "`folder` for the reports; default: DIR")
	cmd.Flags().StringVar(&prices, "prices", "", "`table` of prices: a name or a file; default: as chiron plan")
	return cmd
}

// reportSystems prints the report, and writes its files where there is a folder for
// them.
func (a *app) reportSystems(report *systems.Report, dir string) error {
	if dir != "" {
		if err := report.WriteFiles(dir); err != nil {
			return err
		}
	}
	return a.report(report, func(w io.Writer, _ style) {
		_ = report.WriteText(w) // a report's writer keeps its error
	})
}

// measureSystems runs the experiment.
func (a *app) measureSystems(ctx context.Context, o systems.Options) (*systems.Report, error) {
	var err error
	if o.Programs, err = a.programs(); err != nil {
		return nil, err
	}
	shown := a.progress()
	defer shown.end()
	begun := time.Now()
	first := -1.0
	o.Progress = func(s systems.Step) {
		if first < 0 {
			first = s.Share
		}
		text := fmt.Sprintf("%.0f %%", 100*s.Share)
		if gone := s.Share - first; gone > 0.02 {
			left := time.Duration(float64(time.Since(begun)) * (1 - s.Share) / gone)
			text += fmt.Sprintf(", about %v left", left.Round(10*time.Second))
		}
		for _, part := range []string{s.Workflow, s.System, s.What} {
			if part != "" {
				text += ": " + part
			}
		}
		shown.note(pipeline.Note{Step: "systems", Text: text, Done: s.Done, Total: s.Of, Passing: true})
	}
	return systems.Run(ctx, o)
}
