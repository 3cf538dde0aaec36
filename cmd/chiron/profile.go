package main

import (
	"bytes"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/chiron-faas/chiron/internal/atomicfile"
	"github.com/chiron-faas/chiron/pipeline"
	"github.com/chiron-faas/chiron/profile"
	"github.com/chiron-faas/chiron/profile/plot"
	"github.com/chiron-faas/chiron/profile/profiler"
)

func newProfile(a *app) *cobra.Command {
	var runs int
	var tracer, picture, old string
	cmd := &cobra.Command{
		Use:   "profile DIR",
		Short: "Measure the functions; write profile.json",
		Long: `Runs each function of the project alone, warm, with the input that it really
gets, and writes how it behaves to DIR/profile.json.

Runs go on until the mean is known within 2 % (95 % confidence), or there are five
times as many as --runs asks for, or 10 s are spent on a function; where the mean
is not known so well, a note says how well it is.

With --diff, what is printed is what changed since an older profile: means that
differ by more than chance explains (95 % confidence) and by 2 %, and periods,
memory, files and sockets that came or went.`,
		Example: `  chiron profile examples/finra-5 --runs 30
  chiron profile examples/finra-5 --plot profile.svg
  chiron profile examples/finra-5 --diff old.json`,
		Args: one("DIR"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if runs < profiler.MinRuns {
				return usagef("--runs %d: at least %d are needed to tell how a function varies", runs, profiler.MinRuns)
			}
			project, err := loadProject(args[0])
			if err != nil {
				return err
			}
			// Before the measurement: it may replace the file, and takes a while.
			var before *profile.Profile
			if old != "" {
				if before, err = profile.Read(old); err != nil {
					return err
				}
			}
			shown := a.progress()
			measured, _, err := pipeline.Profile(cmd.Context(), pipeline.ProfileOptions{
				Project: project, Runs: runs, Tracer: tracer, Progress: shown.note,
			})
			shown.end()
			if err != nil {
				return err
			}
			if picture != "" {
				if err := drawProfile(picture, measured); err != nil {
					return err
				}
			}
			if before != nil {
				d := profile.Compare(before, measured)
				return a.report(d, textDiff(d, measured.Workflow, old))
			}
			return a.report(measured, textProfile(measured, pipeline.FilesOf(project).Profile))
		},
	}
	cmd.Flags().IntVar(&runs, "runs", profiler.DefaultRuns, "least `number` of warm runs of each function")
	cmd.Flags().StringVar(&tracer, "tracer", "", "ebpf, perf, strace or portable; default: the best that works here")
	cmd.Flags().StringVar(&picture, "plot", "", "draw the periods into this `file` (SVG)")
	cmd.Flags().StringVar(&old, "diff", "", "say what changed since the profile in this `file`")
	return cmd
}

func drawProfile(file string, p *profile.Profile) error {
	var text bytes.Buffer
	if err := plot.SVG(&text, p); err != nil {
		return err
	}
	if err := atomicfile.Write(file, text.Bytes()); err != nil {
		return fmt.Errorf("write the picture of the profile: %w", err)
	}
	return nil
}
