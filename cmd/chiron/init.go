package main

import (
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/chiron-faas/chiron/pipeline"
)

// initReport is a new project, with --output json.
type initReport struct {
	Dir   string   `json:"dir"`
	Files []string `json:"files"`
}

func newInit(a *app) *cobra.Command {
	o := pipeline.InitOptions{}
	cmd := &cobra.Command{
		Use:     "init DIR",
		Short:   "Write a small working project to start from",
		Long:    "Writes a small working project to DIR: a workflow of two functions, with its sample input.",
		Example: "  chiron init hello && chiron run hello",
		Args:    one("DIR"),
		RunE: func(_ *cobra.Command, args []string) error {
			if !slices.Contains(pipeline.Languages(), o.Lang) {
				return usagef("--lang %q is none: choose one of %s", o.Lang, strings.Join(pipeline.Languages(), ", "))
			}
			o.Dir = args[0]
			files, err := pipeline.Init(o)
			if err != nil {
				return err
			}
			return a.report(initReport{Dir: o.Dir, Files: files}, func(w io.Writer, s style) {
				printf(w, "%s\n", s.bold("a project in "+o.Dir))
				for _, f := range files {
					printf(w, "  %s\n", f)
				}
				printf(w, "run it: chiron run %s\n", o.Dir)
			})
		},
	}
	cmd.Flags().StringVar(&o.Lang, "lang", "python", "`language` of the functions: "+strings.Join(pipeline.Languages(), ", "))
	_ = cmd.RegisterFlagCompletionFunc("lang", cobra.FixedCompletions(pipeline.Languages(), cobra.ShellCompDirectiveNoFileComp))
	return cmd
}
