package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/chiron-faas/chiron/bench/serving"
	"github.com/chiron-faas/chiron/bench/simulation"
)

func newBenchSimulate(a *app) *cobra.Command {
	var o simulation.Options
	var rates []float64
	var length time.Duration
	var calibration string
	cmd := &cobra.Command{
		Use:   "simulate DIR",
		Short: "Hold simulations against a served project",
		Long: `Serves the project's plan as "chiron up" does, sends requests at random times, at
each of some rates, and simulates the same requests ("chiron simulate") on one
machine with as many CPUs as this one.`,
		Example: "  chiron bench simulate examples/finra-5 --rates 1,3,6,9",
		Args:    one("DIR"),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.Rates, o.Length = rates, length
			if err := o.Check(); err != nil {
				return usagef("--rates %v, --length %v: %v", joinedRates(rates), length, err)
			}
			project, err := loadProject(args[0])
			if err != nil {
				return err
			}
			return a.experiment(func(p serving.Programs, progress func(text string)) (textReport, error) {
				o.Prepare.Project, o.Prepare.Agent, o.Prepare.Calibration = project, p.Agent, calibration
				o.Progress = progress
				return simulation.Run(cmd.Context(), o)
			})
		},
	}
	flags := cmd.Flags()
	flags.Float64SliceVar(&rates, "rates", nil, "`numbers` of requests a second; default: "+joinedRates(simulation.DefaultRates()))
	flags.DurationVar(&length, "length", simulation.DefaultLength, "how long each is sent")
	flags.Uint64Var(&o.Seed, "seed", 1, "`number` that decides when requests come")
	flags.StringVar(&calibration, "calibration", "", "`file` with this machine's constants; default: one in the cache")
	return cmd
}

func joinedRates(rates []float64) (text string) {
	for i, r := range rates {
		if i > 0 {
			text += ","
		}
		text += fmt.Sprint(r)
	}
	return text
}
