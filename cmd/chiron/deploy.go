package main

import (
	"errors"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/chiron-faas/chiron/deploy/openfaas"
	"github.com/chiron-faas/chiron/pipeline"
)

// deployReport is a deployment, with --output json.
type deployReport struct {
	Name    string `json:"name"`
	URL     string `json:"url"`
	PlanID  string `json:"planID"`
	Wraps   int    `json:"wraps"`
	Gateway string `json:"gateway"`
}

func newDeploy(a *app) *cobra.Command {
	var plan planFlags
	at := targetFlags{}
	var o openfaas.Options
	var labels []string
	cmd := &cobra.Command{
		Use:   "deploy DIR --gateway URL",
		Short: "Deploy on OpenFaaS, or change what is deployed there",
		Long: `Deploys the project's wraps as functions of an OpenFaaS, by DIR/plan.json where
that is a plan of the workflow, else by one that is made first. The workflow is
then the function /function/NAME. Where it is deployed already, it is changed in
place: no request fails, and none meets two plans. What fails is put back.

The gateway is "chiron gateway" on this machine, which runs bundles.`,
		Example: "  chiron deploy examples/finra-5 --target openfaas --gateway http://127.0.0.1:8080",
		Args:    one("DIR"),
		RunE: func(cmd *cobra.Command, args []string) error {
			remote, err := at.isOpenFaaS()
			if err != nil {
				return err
			}
			if !remote {
				return usagef("--gateway is missing: give the URL of an OpenFaaS gateway; on this machine alone, chiron up serves")
			}
			prepare, err := plan.prepare(cmd)
			if err != nil {
				return err
			}
			named, err := at.options(a)
			if err != nil {
				return err
			}
			o.Gateway, o.Namespace, o.Login = named.Gateway, named.Namespace, named.Login
			if o.Labels, err = parseLabels(labels); err != nil {
				return err
			}
			if o.StartTimeout <= 0 || o.Drain <= 0 {
				return usagef("--timeout %v, --drain %v: give positive durations", o.StartTimeout, o.Drain)
			}
			if err := a.measures(&prepare, args[0]); err != nil {
				return err
			}
			project := prepare.Project
			shown := a.progress()
			defer shown.end()
			o.Progress = func(what string) {
				shown.note(pipeline.Note{Step: "deploy", Text: what, Passing: true})
			}
			target, err := openfaas.New(o)
			if err != nil {
				return usagef("%w", err)
			}
			// What is wrong with the gateway is known before anything is measured.
			if _, err := target.List(cmd.Context()); err != nil {
				return err
			}
			prepare.Progress = shown.note
			planned, err := pipeline.PlanToServe(cmd.Context(), prepare, plan.asksForPlan(cmd))
			if err != nil {
				return err
			}
			err = pipeline.Apply(cmd.Context(), pipeline.ApplyOptions{
				Project: project, Plan: planned, Name: project.Name, Target: target, Progress: shown.note,
			})
			if err != nil {
				return err
			}
			shown.end()
			r := deployReport{
				Name: project.Name, URL: o.Gateway + "/function/" + project.Name, PlanID: planned.Digest(), Wraps: len(planned.Wraps), Gateway: o.Gateway,
			}
			return a.report(r, textDeploy(r))
		},
	}
	plan.add(cmd)
	at.add(cmd)
	flags := cmd.Flags()
	flags.StringVar(&o.Peers, "peers", "", "`URL` of other wraps, with {function} in it; default: the gateway's")
	flags.StringSliceVar(&o.Secrets, "secret", nil, "`name` of a secret on the gateway that all functions get")
	flags.StringArrayVar(&labels, "label", nil, "label of all functions, `KEY=VALUE`; once for each")
	flags.DurationVar(&o.StartTimeout, "timeout", 2*time.Minute, "how long a wrap may take until it is ready")
	flags.DurationVar(&o.Drain, "drain", 10*time.Second, "how long old wraps are kept for the requests inside")
	return cmd
}

// parseLabels reads the values of --label.
func parseLabels(list []string) (map[string]string, error) {
	labels := make(map[string]string)
	for _, l := range list {
		key, value, ok := strings.Cut(l, "=")
		if !ok || key == "" {
			return nil, usagef("--label %q: write KEY=VALUE", l)
		}
		labels[key] = value
	}
	return labels, nil
}

func textDeploy(r deployReport) func(io.Writer, style) {
	return func(w io.Writer, s style) {
		printf(w, "%s is deployed in %d wraps: %s\n", s.bold(r.Name), r.Wraps, s.accent(r.URL))
		printf(w, "call it: chiron invoke %s --gateway %s\n", r.Name, r.Gateway)
	}
}

func textLogin(gateway, user, file string) func(io.Writer, style) {
	return func(w io.Writer, s style) {
		printf(w, "logged in at %s as %s; kept in %s\n", s.bold(gateway), user, file)
	}
}

// ignoreEnd drops the end of what was read, which is no failure.
func ignoreEnd(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}
