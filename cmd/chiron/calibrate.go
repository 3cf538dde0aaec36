package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/chiron-faas/chiron/calibrate"
	"github.com/chiron-faas/chiron/pipeline"
)

func newCalibrate(a *app) *cobra.Command {
	var o pipeline.CalibrateOptions
	var from string
	cmd := &cobra.Command{
		Use:   "calibrate",
		Short: "Measure this machine's constants: forks, threads, calls between wraps",
		Long: `Measures what running functions in threads, processes and wraps costs on this
machine, with real wraps, and keeps the constants that predictions are made with.
"chiron plan" does so by itself where it was not done yet.

With --from, a call between wraps costs what a deployed wrap 1 has seen, which is
more where they are on several machines; the next plan counts with that.`,
		Example: `  chiron calibrate --runtime 3.12
  chiron calibrate --from http://127.0.0.1:8080/function/finra-5`,
		Args: none,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.Runs < 0 {
				return usagef("--runs %d: give a positive number, or 0 for the default", o.Runs)
			}
			var err error
			if o.Agent, err = a.agent(a); err != nil {
				return err
			}
			shown := a.progress()
			o.Lang, o.Progress = "python", shown.note
			if from != "" {
				r, err := pipeline.Recalibrate(cmd.Context(), from, o)
				shown.end()
				if err != nil {
					return err
				}
				return a.report(r, textRecalibration(r))
			}
			c, err := pipeline.Calibrate(cmd.Context(), o)
			shown.end()
			if errors.Is(err, calibrate.ErrNoisy) {
				return errors.New("the machine is too busy to calibrate: stop what else runs on it, or measure anyway with --force")
			}
			if err != nil {
				return err
			}
			return a.report(c.Report, textCalibration(c))
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&o.File, "calibration", "", "`file` to write; default: one in the cache that other verbs find")
	flags.StringVar(&from, "from", "", "`URL` of wrap 1 or its function, or a file with its /_/stats:\ntake the cost of calls between wraps from there")
	flags.StringVar(&o.Runtime, "runtime", "", "`interpreter` to measure with, such as 3.12; default: the machine's")
	flags.IntVar(&o.Runs, "runs", 0, fmt.Sprintf("`number` of rounds; 0: %d", calibrate.DefaultRuns))
	flags.BoolVar(&o.Force, "force", false, "measure even where the machine is too busy")
	return cmd
}
