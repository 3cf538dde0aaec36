package main

import (
	"github.com/spf13/cobra"
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
	cmd.AddCommand(newBenchAccuracy(a), newBenchPath(a), newBenchSearch(a))
	return cmd
}
