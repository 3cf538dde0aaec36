package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/chiron-faas/chiron/bench/runtime"
	"github.com/chiron-faas/chiron/bench/serving"
)

func newBenchTransfer(a *app) *cobra.Command {
	o := runtime.TransferOptions{}
	file := ""
	cmd := &cobra.Command{
		Use:   "transfer",
		Short: "Measure how a value gets from one function to the next",
		Long: `Moves values of 1 B to 1 GB from one function to the next: through an object
store, HTTP, the sockets of a wrap, shared memory, and within a process; with
what copying them takes on this machine. Takes about three minutes and 6 GB of memory.`,
		Example: "  chiron bench transfer --sizes 1000,1000000 --csv transfer.csv",
		Args:    none,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.Rounds < 0 {
				return usagef("--rounds %d: give a positive number, or 0 for the defaults", o.Rounds)
			}
			for _, n := range o.Sizes {
				if n < 1 || n > 1<<30 {
					return usagef("--sizes %d: give bytes from 1 to %d", n, 1<<30)
				}
			}
			return a.experiment(func(_ serving.Programs, progress func(text string)) (textReport, error) {
				o.Progress = progress
				report, err := runtime.Transfer(cmd.Context(), o)
				if err != nil || file == "" {
					return report, err
				}
				f, err := os.Create(file)
				if err != nil {
					return nil, fmt.Errorf("write the figures: %w", err)
				}
				if err := report.WriteCSV(f); err != nil {
					_ = f.Close()
					return nil, err
				}
				return report, f.Close()
			})
		},
	}
	flags := cmd.Flags()
	flags.IntSliceVar(&o.Sizes, "sizes", nil, "`bytes` of the values, with commas; default: 1 to 1,000,000,000 by tens")
	flags.IntVar(&o.Rounds, "rounds", 0, "`number` of rounds of each size; 0: 3 to 31")
	flags.StringVar(&file, "csv", "", "`file` to write the figures to as well")
	return cmd
}
