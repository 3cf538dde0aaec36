package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/chiron-faas/chiron/deploy"
	"github.com/chiron-faas/chiron/deploy/kubernetes"
)

// downReport says what was taken down.
type downReport struct {
	Down []string `json:"down"`
}

func newDown(a *app) *cobra.Command {
	var all bool
	at := targetFlags{}
	cmd := &cobra.Command{
		Use:   "down [NAME]",
		Short: "Stop a deployment: requests inside are finished, then all of it goes",
		Long: `Takes a deployment down, whoever started it: requests inside are finished, then
all of its processes end. Without a NAME, the one that there is.`,
		Example: "  chiron down finra-5\n  chiron down --all",
		Args:    atMostOne("NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if all && len(args) > 0 {
				return usagef("--all and the name %s exclude each other", args[0])
			}
			target, err := at.chosen(a)
			if err != nil {
				return err
			}
			names := args
			if len(args) == 0 {
				found, err := target.List(cmd.Context())
				if err != nil {
					return err
				}
				for _, d := range found {
					names = append(names, d.Name)
				}
				if !all && len(names) != 1 {
					return at.chooseOne(names)
				}
			}
			r := downReport{Down: []string{}}
			var failed error
			for _, name := range names {
				if err := target.Down(cmd.Context(), name); err != nil {
					failed = errors.Join(failed, at.explained(name, err))
					continue
				}
				r.Down = append(r.Down, name)
			}
			return errors.Join(a.report(r, func(w io.Writer, _ style) {
				for _, name := range r.Down {
					printf(w, "%s is down\n", name)
				}
			}), failed)
		},
	}
	at.add(cmd)
	cmd.Flags().BoolVar(&all, "all", false, "take down everything that is deployed on this machine")
	return cmd
}

// chooseOne says that a verb needs a name, or that there is none.
func (f *targetFlags) chooseOne(names []string) error {
	if len(names) == 0 {
		if kind, _ := f.kind(); kind != targetLocal {
			return errors.New("nothing is deployed there")
		}
		return errors.New("nothing is deployed on this machine")
	}
	return usagef("NAME is missing, and there are several: %s", listed(names))
}

// explained adds what to do to a target's error.
func (f *targetFlags) explained(name string, err error) error {
	if !errors.Is(err, deploy.ErrNotFound) || errors.As(err, new(*kubernetes.NoNamespaceError)) {
		return err
	}
	switch kind, _ := f.kind(); kind {
	case targetOpenFaaS:
		return fmt.Errorf("%w: chiron ps --gateway URL shows what there is", err)
	case targetKubernetes:
		return fmt.Errorf("%w: chiron ps --target kubernetes shows what there is", err)
	}
	return fmt.Errorf("nothing named %q is deployed on this machine: chiron ps shows what is", name)
}
