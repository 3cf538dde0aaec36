package main

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/chiron-faas/chiron/bench/runtime"
	"github.com/chiron-faas/chiron/bench/serving"
)

func newBenchRuntime(a *app) *cobra.Command {
	o := runtime.Options{}
	var list strings.Builder
	for _, e := range runtime.All() {
		list.WriteString("\n  " + e.Name + strings.Repeat(" ", 14-len(e.Name)) + e.Short)
	}
	cmd := &cobra.Command{
		Use:   "runtime [EXPERIMENT…]",
		Short: "Measure the wrap runtime: process modes, side by side",
		Long: `Measures real wraps of each kind in turn, and prints medians over the rounds. The
experiments; all of them where none is named:
` + list.String(),
		Example: "  chiron bench runtime first-reply",
		Args: func(_ *cobra.Command, args []string) error {
			for _, name := range args {
				if !slices.Contains(runtime.Names(), name) {
					return usagef("there is no experiment %q: name some of %s", name, strings.Join(runtime.Names(), ", "))
				}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if o.Rounds < 0 {
				return usagef("--rounds %d: give a positive value, or 0 for the default", o.Rounds)
			}
			return a.experiment(func(p serving.Programs, progress func(text string)) (textReport, error) {
				o.Programs, o.Progress, o.Only = p, progress, args
				return runtime.Run(cmd.Context(), o)
			})
		},
	}
	flags := cmd.Flags()
	flags.IntVar(&o.Rounds, "rounds", 0, "`number` of rounds of each figure; 0: the experiment's own")
	flags.StringVar(&o.Runtime, "runtime", "", "`python` to measure with, as in chiron.yaml; empty: the default")
	return cmd
}
