package main

import (
	"github.com/spf13/cobra"

	"github.com/chiron-faas/chiron/pipeline"
	"github.com/chiron-faas/chiron/profile/profiler"
)

func newProfile(a *app) *cobra.Command {
	var runs int
	var tracer string
	cmd := &cobra.Command{
		Use:   "profile DIR",
		Short: "Measure the functions; write profile.json",
		Long: `Runs each function of the project alone, warm, with the input that it really
gets, and writes how it behaves to DIR/profile.json.`,
		Example: "  chiron profile examples/finra-5 --runs 30",
		Args:    one("DIR"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if runs < profiler.MinRuns {
				return usagef("--runs %d: at least %d are needed to tell how a function varies", runs, profiler.MinRuns)
			}
			project, err := loadProject(args[0])
			if err != nil {
				return err
			}
			shown := a.progress()
			measured, _, err := pipeline.Profile(cmd.Context(), pipeline.ProfileOptions{
				Project: project, Runs: runs, Tracer: tracer, Progress: shown.note,
			})
			shown.end()
			if err != nil {
				return err
			}
			return a.report(measured, textProfile(measured, pipeline.FilesOf(project).Profile))
		},
	}
	cmd.Flags().IntVar(&runs, "runs", profiler.DefaultRuns, "least `number` of warm runs of each function")
	cmd.Flags().StringVar(&tracer, "tracer", "", "ebpf, perf, strace or portable; default: the best that works here")
	return cmd
}
