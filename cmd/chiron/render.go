package main

import (
	"io"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/chiron-faas/chiron/deploy/kubernetes"
	"github.com/chiron-faas/chiron/pipeline"
	"github.com/chiron-faas/chiron/plan"
	"github.com/chiron-faas/chiron/workflow"
)

func newRender(a *app) *cobra.Command {
	var plans planFlags
	var images imageFlags
	var manifests manifestFlags
	var namespace string
	var knative bool
	cmd := &cobra.Command{
		Use:   "render DIR",
		Short: "Print a plan's Kubernetes manifests",
		Long: `Prints, as YAML, the objects that "chiron deploy --target kubernetes" would apply, by
DIR/plan.json where that is a plan of the workflow, else by one that is made first.
The same input gives the same text: keep it in git, and let Argo CD or kubectl apply
it. docs/kubernetes.md says in which order, so that no request fails.

Images are named as "chiron build --tag TAG" names them; with --push they are built,
pushed and named by their digests.`,
		Example: "  chiron render examples/finra-5 --registry registry.example.org/team --tag v1 > finra-5.yaml\n" +
			"  chiron render examples/finra-5 --registry registry.example.org/team --push --knative",
		Args: one("DIR"),
		RunE: func(cmd *cobra.Command, args []string) error {
			prepare, err := plans.prepare(cmd)
			if err != nil {
				return err
			}
			settings, err := manifests.settings(namespace)
			if err != nil {
				return err
			}
			if images.push && images.registry == "" {
				return usagef("--push: name the --registry to push to")
			}
			if err := images.check(); err != nil {
				return err
			}
			if err := a.measures(&prepare, args[0]); err != nil {
				return err
			}
			shown := a.progress()
			defer shown.end()
			prepare.Progress = shown.note
			planned, err := pipeline.PlanToServe(cmd.Context(), prepare, plans.asksForPlan(cmd))
			if err != nil {
				return err
			}
			named, err := images.images(cmd.Context(), prepare.Agent, prepare.Project, planned, shown.note)
			if err != nil {
				return err
			}
			shown.end()
			return render(a.out, workloadOf(prepare.Project, planned, named), settings, knative)
		},
	}
	plans.add(cmd)
	images.add(cmd, false)
	manifests.add(cmd)
	flags := cmd.Flags()
	flags.StringVar(&namespace, "namespace", "", "`namespace` to write into the objects; default: none, who applies\nthem chooses")
	flags.BoolVar(&knative, "knative", false, "Knative Services instead of Deployments")
	return cmd
}

// workloadOf is what manifests are made of.
func workloadOf(p *workflow.Project, pl *plan.Plan, images *pipeline.Images) kubernetes.Workload {
	w := kubernetes.Workload{Name: p.Name, Plan: pl, Images: images.References, Functions: make(map[string][]string)}
	for _, b := range images.Bundles {
		w.Functions[b.Wrap] = b.Functions
	}
	return w
}

func render(out io.Writer, w kubernetes.Workload, s kubernetes.Settings, knative bool) error {
	if knative {
		objects, err := kubernetes.Knative(w, s)
		if err != nil {
			return err
		}
		return kubernetes.Render(out, objects)
	}
	made, err := kubernetes.Manifest(w, s)
	if err != nil {
		return err
	}
	var objects []runtime.Object
	if objects, err = made.Waved(); err != nil {
		return err
	}
	return kubernetes.Render(out, objects)
}
