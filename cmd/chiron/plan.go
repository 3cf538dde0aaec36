package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/chiron-faas/chiron/internal/prices"
	"github.com/chiron-faas/chiron/pipeline"
)

func newPlan(a *app) *cobra.Command {
	var f planFlags
	var withReasons, frontier bool
	var picture string
	cmd := &cobra.Command{
		Use:   "plan DIR",
		Short: "Search the plan that meets the SLO on the fewest CPUs; write plan.json",
		Long: `Searches which function runs in which process and sandbox, so that the workflow
meets its latency objective with the fewest CPUs, and writes DIR/plan.json. What is
not measured yet is measured first. The exit code is 1 where no plan meets the
objective; the best one found is written nevertheless.`,
		Example: "  chiron plan examples/finra-5 --slo 120ms --explain\n  chiron plan examples/finra-5 --frontier\n  chiron plan examples/finra-5 --model faastlane",
		Args:    one("DIR"),
		RunE: func(cmd *cobra.Command, args []string) error {
			o, err := f.prepare(cmd)
			if err != nil {
				return err
			}
			if err := a.measures(&o, args[0]); err != nil {
				return err
			}
			o.Explain, o.Frontier = withReasons, frontier || picture != ""
			prepared, err := a.needsPlan(cmd.Context(), o)
			if err != nil {
				return err
			}
			if picture != "" {
				if err := drawFrontier(picture, prepared.Planned); err != nil {
					return err
				}
			}
			r := reportPlan(prepared)
			if withReasons {
				r.Explanation = explain(prepared.Planned)
			}
			if err := a.report(r, textPlan(prepared, withReasons, pipeline.FilesOf(o.Project).Plan)); err != nil {
				return err
			}
			return missed(prepared.Planned)
		},
	}
	f.add(cmd)
	cmd.Flags().StringVar(&f.prices, "prices", "", "`table` of prices: "+strings.Join(prices.Names(), ", ")+" or a file; default: the project's")
	cmd.Flags().BoolVar(&frontier, "frontier", false, "list the plans that no other beats (CPUs, memory, money, latency)")
	cmd.Flags().StringVar(&picture, "plot", "", "draw them into this `file` (SVG)")
	cmd.Flags().BoolVar(&withReasons, "explain", false, "say why this plan, and what the next best would cost")
	return cmd
}

// missed is the error of a plan that is not predicted to meet its objective; nil
// where it is.
func missed(made *pipeline.Planned) error {
	if made.Met {
		return nil
	}
	slo := time.Duration(made.Objective.Latency)
	took := fmt.Sprintf("%v (%s)", made.Predicted().Round(10*time.Microsecond), made.Objective.At())
	switch b := made.Bound; {
	case b.Latency > slo:
		return fmt.Errorf("no plan can meet the SLO of %v: %s alone take %v; ask for a longer --slo, or speed them up",
			slo, strings.Join(shortened(b.Tasks), " → "), b.Latency.Round(10*time.Microsecond))
	case made.Search == nil || made.Plan != made.Search.Plan:
		return fmt.Errorf("the plan misses the SLO of %v: it is predicted to take %s; ask for a longer --slo, or leave out --model", slo, took)
	}
	return fmt.Errorf("no plan meets the SLO of %v: the best one is predicted to take %s; ask for a longer --slo, or speed up what its timeline shows", slo, took)
}
