package main

import (
	"io"

	"github.com/spf13/cobra"

	"github.com/chiron-faas/chiron/pipeline"
)

func newRun(a *app) *cobra.Command {
	var f planFlags
	var o pipeline.RunOptions
	cmd := &cobra.Command{
		Use:   "run DIR|FILE",
		Short: "Measure, plan, deploy here, invoke with the sample input, report",
		Long: `Goes the whole way with a project: measures its functions where that was not done
yet, plans, deploys on this machine, invokes the workflow with its sample input,
reports what was predicted and what was measured, and takes everything down again.
FILE is a chiron.yaml, or the definition beside one. The exit code is 1 where the
measured latency misses the SLO.`,
		Example: "  chiron run examples/finra-5\n  chiron run examples/finra-5 --model faastlane --requests 500",
		Args:    one("DIR or FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			var err error
			if o.Prepare, err = f.prepare(cmd); err != nil {
				return err
			}
			switch {
			case o.Requests < pipeline.MinRequests:
				return usagef("--requests %d: at least %d are needed to tell how long they take", o.Requests, pipeline.MinRequests)
			case o.WarmUp < 1:
				return usagef("--warm-up %d: at least one request has to go before", o.WarmUp)
			}
			if err := a.measures(&o.Prepare, args[0]); err != nil {
				return err
			}
			o.Project = o.Prepare.Project
			if o.Target, err = a.target(o.Prepare.Agent); err != nil {
				return err
			}
			o.Log = a.log()
			shown := a.progress()
			o.Progress = shown.note
			// What is known is printed as it is known: the rest takes a while.
			o.Prepared = func(p *pipeline.Prepared) {
				shown.end()
				if a.output == textOutput {
					s := a.style(a.out)
					printf(a.out, "%s\n", s.bold("Profile: "+count(len(p.Profile.Functions), "function")))
					printProfile(a.out, s, p.Profile)
					printf(a.out, "\n")
					printPlan(a.out, s, p.Planned)
					printConstants(a.out, s, p.Calibrated)
					printf(a.out, "\n")
				}
			}
			ran, err := pipeline.Run(cmd.Context(), o)
			shown.end()
			if err != nil {
				return err
			}
			r, err := reportRun(o.Project.Name, ran)
			if err != nil {
				return err
			}
			if err := a.report(r, func(w io.Writer, s style) { printMeasured(w, s, ran) }); err != nil {
				return err
			}
			if ran.Verdict != nil && !ran.Verdict.Met {
				return errSaid
			}
			return nil
		},
	}
	f.add(cmd)
	cmd.Flags().IntVar(&o.Requests, "requests", pipeline.DefaultRequests, "`number` of requests to measure")
	cmd.Flags().IntVar(&o.WarmUp, "warm-up", pipeline.DefaultWarmUp, "`number` of requests before those")
	return cmd
}
