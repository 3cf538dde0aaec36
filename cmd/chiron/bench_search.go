package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/chiron-faas/chiron/bench/search"
	"github.com/chiron-faas/chiron/bench/serving"
)

func newBenchSearch(a *app) *cobra.Command {
	var o search.Options
	cmd := &cobra.Command{
		Use:   "search DIR…",
		Short: "Hold the search's plans against others in real runs",
		Long: `Serves each project under the plan that the search chooses, the fastest one with
a CPU fewer, and random plans of as many CPUs, by turns, and says whether the
chosen one meets the SLO, the smaller one does not, and no random one is faster by
more than the noise. It does so for the project's SLO, and for one that one CPU
cannot meet and two can.`,
		Example: "  chiron bench search examples/finra-5 examples/slapp",
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case len(args) == 0:
				return usagef("DIR is missing: name a project")
			case o.Rounds < 0 || o.Random < 0 || o.ProfileRuns < 0:
				return usagef("--rounds, --random and --runs: give positive values, or 0 for the defaults")
			}
			var err error
			if o.Projects, err = loadProjects(args); err != nil {
				return err
			}
			return a.experiment(func(p serving.Programs, progress func(text string)) (textReport, error) {
				o.Agent, o.Progress = p.Agent, progress
				return search.Run(cmd.Context(), o)
			})
		},
	}
	flags := cmd.Flags()
	flags.IntVar(&o.Rounds, "rounds", 0, fmt.Sprintf("`number` of requests of each plan; 0: %d", search.DefaultRounds))
	flags.IntVar(&o.Random, "random", 0, fmt.Sprintf("`number` of random plans; 0: %d", search.DefaultRandom))
	flags.Int64Var(&o.Seed, "seed", 1, "`number` that decides which")
	flags.IntVar(&o.ProfileRuns, "runs", 0, "least `number` of runs of each function, when they are measured")
	return cmd
}
