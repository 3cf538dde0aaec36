package main

import (
	"github.com/spf13/cobra"

	"github.com/chiron-faas/chiron/pipeline"
)

func newDoctor(a *app) *cobra.Command {
	var listen string
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Say what this machine offers, and what each lack costs",
		Long: `Looks for interpreters, tracing rights, control groups, CPUs and memory, and says
what is lost without each. The exit code is 1 where chiron cannot work at all.`,
		Example: "  chiron doctor\n  chiron doctor --output json",
		Args:    none,
		RunE: func(cmd *cobra.Command, _ []string) error {
			report := pipeline.Examine(cmd.Context(), pipeline.ExamineOptions{Listen: listen})
			if err := cmd.Context().Err(); err != nil {
				return err
			}
			if err := a.report(report, textExamination(report)); err != nil {
				return err
			}
			if !report.Usable() {
				return errSaid
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&listen, "listen", defaultListen, "`address` to look whether it is free")
	return cmd
}

// defaultListen is where a deployment is served unless told otherwise.
const defaultListen = "127.0.0.1:8080"
