package main

import (
	"time"

	"github.com/spf13/cobra"

	"github.com/chiron-faas/chiron/bench/path"
	"github.com/chiron-faas/chiron/bench/serving"
)

func newBenchPath(a *app) *cobra.Command {
	o := path.Options{}
	cmd := &cobra.Command{
		Use:   "path",
		Short: "Measure the cost of a request's path, beside Flask",
		Long: `Measures what a request to a trivial function costs on its way through gateway,
agent and host, beside the same handler under Flask, and a workflow of ten.`,
		Example: "  chiron bench path --rounds 3",
		Args:    none,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.Rounds < 0 || o.Round < 0 {
				return usagef("--rounds and --round: give positive values, or 0 for the defaults")
			}
			return a.experiment(func(p serving.Programs, progress func(text string)) (textReport, error) {
				o.Chiron, o.Progress = p.Chiron, progress
				return path.Run(cmd.Context(), o)
			})
		},
	}
	flags := cmd.Flags()
	flags.IntVar(&o.Rounds, "rounds", 0, "`number` of rounds of each figure; 0: 7")
	flags.DurationVar(&o.Round, "round", time.Second, "how long a round is")
	flags.IntVar(&o.Steady, "steady", 0, "`number` of requests of the last test; 0: 100000, negative: none")
	return cmd
}
