package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/chiron-faas/chiron/bench/accuracy"
	"github.com/chiron-faas/chiron/bench/accuracy/shapes"
	"github.com/chiron-faas/chiron/pipeline"
)

// accuracyFiles are where a report of the accuracy goes besides the output.
type accuracyFiles struct {
	csv      string
	markdown bool
}

func newBenchAccuracy(a *app) *cobra.Command {
	var o accuracy.Options
	var files accuracyFiles
	var names string
	cmd := &cobra.Command{
		Use:   "accuracy [DIR…]",
		Short: "Hold predictions against served placements",
		Long: `Serves each project, and each of the shapes that --shapes names, under every
deployment model, under searched plans and under a sample of all placements, in
batches that take turns, and holds the measured latencies against predictions
from what the functions took alone in the same minutes.

The shapes (` + strings.Join(shapes.All(), ", ") + `) are the workflows that the paper's
predictor is judged on. All of them with the default sample take about an hour on
two CPUs; --sample 8 about 10 minutes. With --out the run can be interrupted at any time:
what it measured is reported by "chiron bench accuracy report DIR", and the same
command again goes on with it.`,
		Example: `  chiron bench accuracy examples/finra-5 --sample 20 --csv accuracy.csv
  chiron bench accuracy --shapes all --switch-interval --out accuracy-run`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkAccuracy(&o, names, args); err != nil {
				return err
			}
			var err error
			if o.Projects, err = loadProjects(args); err != nil {
				return err
			}
			report, err := a.measureAccuracy(cmd.Context(), o)
			if err != nil {
				return err
			}
			return a.reportAccuracy(report, o.Dir, files)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&names, "shapes", "", "`names` of shapes to measure, with commas, or all")
	flags.BoolVar(&o.SwitchInterval, "switch-interval", false, "measure what a shorter switch interval gains, too")
	flags.StringVar(&o.Dir, "out", "", "`folder` that keeps what is measured and the reports")
	flags.IntVar(&o.Sample, "sample", accuracy.DefaultSample, "`number` of placements drawn of each workflow")
	flags.Int64Var(&o.Seed, "seed", 1, "`number` that decides which")
	flags.IntVar(&o.Rounds, "rounds", 0, fmt.Sprintf("`number` of rounds of requests; 0: %d", accuracy.DefaultRounds))
	flags.IntVar(&o.Batch, "batch", 0, fmt.Sprintf("`number` of placements that are up together; 0: %d", accuracy.DefaultBatch))
	flags.DurationVar(&o.CalibrateEvery, "calibrate-every", 0, fmt.Sprintf("`time` after which the machine's constants are measured anew; 0: %v", accuracy.DefaultCalibrateEvery))
	flags.IntVar(&o.ProfileRuns, "runs", 0, fmt.Sprintf("least `number` of runs of each function, when they are measured; 0: %d", accuracy.DefaultProfileRuns))
	flags.StringVar(&o.Tracer, "tracer", "", "`name` of the profiles' tracer; default: the best that works here")
	addAccuracyFiles(cmd, &files)
	cmd.AddCommand(newBenchAccuracyReport(a))
	return cmd
}

func addAccuracyFiles(cmd *cobra.Command, files *accuracyFiles) {
	cmd.Flags().StringVar(&files.csv, "csv", "", "`file` to write the figures to as well")
	cmd.Flags().BoolVar(&files.markdown, "markdown", false, "print the report's tables as Markdown")
}

// checkAccuracy finds wrong use before anything is measured.
func checkAccuracy(o *accuracy.Options, names string, args []string) error {
	var err error
	if o.Shapes, err = shapeNames(names); err != nil {
		return err
	}
	switch {
	case len(args) == 0 && len(o.Shapes) == 0 && !o.SwitchInterval:
		return usagef("DIR is missing: name a project, or --shapes all")
	case o.Rounds < 0 || o.Batch < 0 || o.ProfileRuns < 0 || o.CalibrateEvery < 0:
		return usagef("--rounds, --batch, --runs and --calibrate-every: give positive values, or 0 for the defaults")
	case o.Sample < 0:
		return usagef("--sample %d: give a positive number, or 0 for the models' placements alone", o.Sample)
	}
	return nil
}

// shapeNames reads the value of --shapes.
func shapeNames(names string) ([]string, error) {
	switch names {
	case "":
		return nil, nil
	case "all":
		return shapes.All(), nil
	}
	all := strings.Split(names, ",")
	for _, name := range all {
		if !slices.Contains(shapes.All(), name) {
			return nil, usagef("--shapes: there is no shape %q: choose from %s, or all", name, strings.Join(shapes.All(), ", "))
		}
	}
	return all, nil
}

func newBenchAccuracyReport(a *app) *cobra.Command {
	var files accuracyFiles
	cmd := &cobra.Command{
		Use:   "report DIR",
		Short: "Report what a run has measured so far",
		Long: `Predicts what was measured into DIR (chiron bench accuracy --out DIR), with this
program's model, and writes the reports there. It measures nothing.`,
		Example: "  chiron bench accuracy report accuracy-run --markdown",
		Args:    one("DIR"),
		RunE: func(_ *cobra.Command, args []string) error {
			report, err := accuracy.Read(args[0])
			if err != nil {
				return err
			}
			return a.reportAccuracy(report, args[0], files)
		},
	}
	addAccuracyFiles(cmd, &files)
	return cmd
}

// reportAccuracy prints the report, and writes its files where there is a folder
// for them.
func (a *app) reportAccuracy(report *accuracy.Report, dir string, files accuracyFiles) error {
	if dir != "" {
		if err := report.WriteFiles(dir); err != nil {
			return err
		}
	}
	if files.csv != "" {
		if err := writeFile(files.csv, report.WriteCSV); err != nil {
			return err
		}
	}
	return a.report(report, func(w io.Writer, _ style) {
		if files.markdown {
			_ = report.WriteMarkdown(w) // a report's writer keeps its error
			return
		}
		_ = report.WriteTable(w)
	})
}

// measureAccuracy runs the experiment.
func (a *app) measureAccuracy(ctx context.Context, o accuracy.Options) (*accuracy.Report, error) {
	var err error
	if o.Agent, err = a.agent(a); err != nil {
		return nil, err
	}
	shown := a.progress()
	defer shown.end()
	o.Progress = func(s accuracy.Step) {
		text := fmt.Sprintf("%d of %d placements: ", s.Placed, s.Placements)
		if s.Workflow != "" {
			text += s.Workflow + ": "
		}
		shown.note(pipeline.Note{Step: "accuracy", Text: text + s.What, Done: s.Done, Total: s.Of, Passing: true})
	}
	return accuracy.Run(ctx, o)
}

// writeFile writes a file by a function that writes.
func writeFile(name string, write func(io.Writer) error) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	if err := errors.Join(write(f), f.Close()); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return nil
}
