package main

import (
	"context"
	"errors"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/chiron-faas/chiron/bundle"
	"github.com/chiron-faas/chiron/deploy/openfaas"
	"github.com/chiron-faas/chiron/pipeline"
	"github.com/chiron-faas/chiron/plan"
)

// deployReport is a deployment, with --output json.
type deployReport struct {
	Name    string `json:"name"`
	URL     string `json:"url"`
	PlanID  string `json:"planID"`
	Wraps   int    `json:"wraps"`
	Gateway string `json:"gateway"`
}

// deployFlags are the flags of "chiron deploy", besides a plan's and the target's.
type deployFlags struct {
	plans     planFlags
	at        targetFlags
	images    imageFlags
	manifests manifestFlags
	openfaas  openfaas.Options
	labels    []string

	timeout, drain time.Duration
}

func newDeploy(a *app) *cobra.Command {
	f := &deployFlags{}
	cmd := &cobra.Command{
		Use:   "deploy DIR --target openfaas|kubernetes",
		Short: "Deploy on OpenFaaS or Kubernetes, or change what is deployed there",
		Long: `Deploys the project's wraps by DIR/plan.json where that is a plan of the workflow,
else by one that is made first. Where it is deployed already, it is changed in place:
no request fails, and none meets two plans. What fails is put back.

On OpenFaaS the workflow is then the function /function/NAME. The gateway is "chiron
gateway" on this machine, which runs bundles, or, with --registry, any that runs
images from there. On Kubernetes it is the Service NAME; images come from --registry,
or are on the nodes by the names that "chiron build --tag TAG" gives them.`,
		Example: "  chiron deploy examples/finra-5 --target openfaas --gateway http://127.0.0.1:8080\n" +
			"  chiron deploy examples/finra-5 --target kubernetes --registry registry.example.org/team",
		Args: one("DIR"),
		RunE: func(cmd *cobra.Command, args []string) error {
			kind, err := f.at.kind()
			if err != nil {
				return err
			}
			if f.timeout <= 0 || f.drain <= 0 {
				return usagef("--timeout %v, --drain %v: give positive durations", f.timeout, f.drain)
			}
			if err := f.images.check(); err != nil {
				return err
			}
			switch kind {
			case targetOpenFaaS:
				return a.deployOpenFaaS(cmd, f, args[0])
			case targetKubernetes:
				return a.deployKubernetes(cmd, f, args[0])
			}
			return usagef("--target is missing: openfaas, with the --gateway's URL, or kubernetes; on this machine alone, chiron up serves")
		},
	}
	f.plans.add(cmd)
	f.at.add(cmd)
	f.images.add(cmd, true)
	flags := cmd.Flags()
	flags.StringVar(&f.openfaas.Peers, "peers", "", "on OpenFaaS, `URL` of other wraps, with {function} in it;\ndefault: the gateway's")
	flags.StringSliceVar(&f.openfaas.Secrets, "secret", nil, "on OpenFaaS, `name` of a secret that all functions get")
	flags.StringArrayVar(&f.labels, "label", nil, "on OpenFaaS, label of all functions, `KEY=VALUE`; once for each")
	f.manifests.add(cmd)
	flags.DurationVar(&f.timeout, "timeout", 2*time.Minute, "how long wraps may take until they are ready")
	flags.DurationVar(&f.drain, "drain", 10*time.Second, "how long old wraps are kept for the requests inside")
	return cmd
}

// planned is the plan to deploy, where it is to be deployed has been heard of.
func (f *deployFlags) planned(cmd *cobra.Command, prepare pipeline.PrepareOptions, progress pipeline.Progress) (*plan.Plan, error) {
	prepare.Progress = progress
	return pipeline.PlanToServe(cmd.Context(), prepare, f.plans.asksForPlan(cmd))
}

func (a *app) deployOpenFaaS(cmd *cobra.Command, f *deployFlags, dir string) error {
	o := f.openfaas
	prepare, err := f.plans.prepare(cmd)
	if err != nil {
		return err
	}
	named, err := f.at.options(a)
	if err != nil {
		return err
	}
	o.Gateway, o.Namespace, o.Login = named.Gateway, named.Namespace, named.Login
	o.StartTimeout, o.Drain = f.timeout, f.drain
	if o.Labels, err = parseLabels(f.labels); err != nil {
		return err
	}
	if err := a.measures(&prepare, dir); err != nil {
		return err
	}
	project := prepare.Project
	shown := a.progress()
	defer shown.end()
	o.Progress = shown.passing("deploy")
	var images *pipeline.Images
	if f.images.registry != "" {
		o.Image = func(ctx context.Context, b bundle.Bundle) (string, error) { return images.Reference(ctx, b) }
	}
	target, err := openfaas.New(o)
	if err != nil {
		return usagef("%w", err)
	}
	// What is wrong with the gateway is known before anything is measured.
	if _, err := target.List(cmd.Context()); err != nil {
		return err
	}
	planned, err := f.planned(cmd, prepare, shown.note)
	if err != nil {
		return err
	}
	apply := pipeline.ApplyOptions{Project: project, Plan: planned, Name: project.Name, Target: target, Progress: shown.note}
	if f.images.registry != "" {
		if images, err = f.images.images(cmd.Context(), prepare.Agent, project, planned, shown.note); err != nil {
			return err
		}
		apply.Bundles = images.Bundles
	}
	if err := pipeline.Apply(cmd.Context(), apply); err != nil {
		return err
	}
	shown.end()
	r := deployReport{
		Name: project.Name, URL: o.Gateway + "/function/" + project.Name, PlanID: planned.Digest(), Wraps: len(planned.Wraps), Gateway: o.Gateway,
	}
	return a.report(r, textDeploy(r))
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
