package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/chiron-faas/chiron/bench/accuracy"
	"github.com/chiron-faas/chiron/pipeline"
)

func newBenchAccuracy(a *app) *cobra.Command {
	o := accuracy.Options{}
	var csv string
	cmd := &cobra.Command{
		Use:   "accuracy DIR…",
		Short: "Hold predictions against served placements",
		Long: `Serves each project under every deployment model and under searched plans, all at
the same time, and holds the measured latencies against the predictions.`,
		Example: "  chiron bench accuracy examples/finra-5 examples/slapp --csv accuracy.csv",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usagef("DIR is missing")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if o.Rounds < 0 {
				return usagef("--rounds %d: give a positive number, or 0 for %d", o.Rounds, accuracy.DefaultRounds)
			}
			for _, dir := range args {
				p, err := loadProject(dir)
				if err != nil {
					return err
				}
				o.Projects = append(o.Projects, p)
			}
			report, err := a.measureAccuracy(cmd.Context(), o)
			if err != nil {
				return err
			}
			if csv != "" {
				if err := writeFile(csv, report.WriteCSV); err != nil {
					return err
				}
			}
			return a.report(report, func(w io.Writer, _ style) {
				_ = report.WriteTable(w) // a report's writer keeps its error
			})
		},
	}
	cmd.Flags().IntVar(&o.Rounds, "rounds", 0, fmt.Sprintf("`number` of rounds of requests; 0: %d", accuracy.DefaultRounds))
	cmd.Flags().IntVar(&o.ProfileRuns, "runs", 0, "least `number` of runs of each function, when they are measured")
	cmd.Flags().StringVar(&csv, "csv", "", "`file` to write the figures to as well")
	return cmd
}

// measureAccuracy runs the experiment, with the constants that are kept and the
// object stores that the projects ask for.
func (a *app) measureAccuracy(ctx context.Context, o accuracy.Options) (_ *accuracy.Report, err error) {
	if o.Binary, err = a.self(); err != nil {
		return nil, err
	}
	shown := a.progress()
	defer shown.end()
	lang, runtime := pipeline.MainRuntime(o.Projects[0])
	calibrated, err := pipeline.Calibrate(ctx, pipeline.CalibrateOptions{
		Binary: o.Binary, Lang: lang, Runtime: runtime, Reuse: true, Progress: shown.note,
	})
	if err != nil {
		return nil, err
	}
	o.Calibration = calibrated.Constants
	for _, p := range o.Projects {
		end, failed := pipeline.ServeStore(ctx, p, shown.note)
		if failed != nil {
			return nil, failed
		}
		defer func() { err = errors.Join(err, end()) }()
	}
	o.Progress = func(s accuracy.Step) {
		shown.note(pipeline.Note{Step: "accuracy", Text: s.Workflow + ": " + s.What, Done: s.Done, Total: s.Of, Passing: true})
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
