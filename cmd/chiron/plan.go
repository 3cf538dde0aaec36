package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/chiron-faas/chiron/pipeline"
)

func newPlan(a *app) *cobra.Command {
	var f planFlags
	var explain bool
	cmd := &cobra.Command{
		Use:   "plan DIR",
		Short: "Search the plan that meets the SLO on the fewest CPUs; write plan.json",
		Long: `Searches which function runs in which process and sandbox, so that the workflow
meets its latency objective with the fewest CPUs, and writes DIR/plan.json. What is
not measured yet is measured first. The exit code is 1 where no plan meets the
objective; the best one found is written nevertheless.`,
		Example: "  chiron plan examples/finra-5 --slo 120ms --explain\n  chiron plan examples/finra-5 --model faastlane",
		Args:    one("DIR"),
		RunE: func(cmd *cobra.Command, args []string) error {
			o, err := f.prepare(a, cmd)
			if err != nil {
				return err
			}
			if o.Project, err = loadProject(args[0]); err != nil {
				return err
			}
			o.Explain = explain
			prepared, err := a.needsPlan(cmd.Context(), o)
			if err != nil {
				return err
			}
			r := reportPlan(prepared)
			if explain && prepared.Planned.Search != nil {
				r.explain(prepared.Planned.Search)
			}
			if err := a.report(r, textPlan(prepared, explain, pipeline.FilesOf(o.Project).Plan)); err != nil {
				return err
			}
			if made := prepared.Planned; !made.Met {
				which := "no plan meets the SLO of %v: the best one is"
				if made.Search == nil {
					which = "the plan misses the SLO of %v: it is"
				}
				return fmt.Errorf(which+" predicted to take %v; ask for a longer --slo, or speed up what its timeline shows",
					time.Duration(made.Objective.Latency), made.Prediction.Latency.Round(10*time.Microsecond))
			}
			return nil
		},
	}
	f.add(cmd)
	cmd.Flags().BoolVar(&explain, "explain", false, "say why this plan, and what the next best would cost")
	return cmd
}
