package main

import (
	"time"

	"github.com/spf13/cobra"

	"github.com/chiron-faas/chiron/bench/runtime"
	"github.com/chiron-faas/chiron/bench/serving"
)

func newBenchCold(a *app) *cobra.Command {
	o := runtime.ColdOptions{}
	cmd := &cobra.Command{
		Use:   "cold",
		Short: "Measure cold starts by way, and an agent at rest",
		Long: `Measures what a wrap that does not run takes from its start to its first answer,
with a new interpreter and with a fork of the warm one, for the language host
alone and for a whole instance; then what an agent that nobody calls costs.`,
		Example: "  chiron bench cold --rounds 5",
		Args:    none,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.Rounds < 0 {
				return usagef("--rounds %d: give a positive number, or 0 for the default", o.Rounds)
			}
			return a.experiment(func(p serving.Programs, progress func(text string)) (textReport, error) {
				o.Agent, o.Progress = p.Agent, progress
				return runtime.Cold(cmd.Context(), o)
			})
		},
	}
	flags := cmd.Flags()
	flags.IntVar(&o.Rounds, "rounds", 0, "`number` of rounds of each figure; 0: 15")
	flags.DurationVar(&o.Rest, "rest", 20*time.Second, "how long the agent at rest is watched; negative: it is not")
	return cmd
}
