package main

import (
	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/chiron-faas/chiron/deploy/kubernetes"
	"github.com/chiron-faas/chiron/pipeline"
	"github.com/chiron-faas/chiron/plan"
	"github.com/chiron-faas/chiron/workflow"
)

// renderFlags are the flags of "chiron render".
type renderFlags struct {
	plans     planFlags
	images    imageFlags
	manifests manifestFlags
	namespace string
	// knative and workflow are what is rendered instead of Deployments.
	knative, workflow bool
	noCalibration     bool
}

func newRender(a *app) *cobra.Command {
	f := &renderFlags{}
	cmd := &cobra.Command{
		Use:   "render DIR",
		Short: "Print a plan's Kubernetes manifests, or those that have a cluster plan",
		Long: `Prints, as YAML, the objects that "chiron deploy --target kubernetes" would apply, by
DIR/plan.json where that is a plan of the workflow, else by one that is made first.
The same input gives the same text: keep it in git, and let Argo CD or kubectl apply
it. docs/kubernetes.md says in which order, so that no request fails.

Images are named as "chiron build --tag TAG" names them; with --push they are built,
pushed and named by their digests.

With --workflow it prints a Workflow, which chiron's controller in the cluster plans
and runs, with the profile and the calibration to plan by. Nothing is planned here;
DIR/profile.json is taken as it is, and measured where there is none. Images are
those of "chiron build --workflow".`,
		Example: "  chiron render examples/finra-5 --registry registry.example.org/team --tag v1 > finra-5.yaml\n" +
			"  chiron render examples/finra-5 --registry registry.example.org/team --push --knative\n" +
			"  chiron render examples/finra-5 --registry registry.example.org/team --push --workflow",
		Args: one("DIR"),
		RunE: func(cmd *cobra.Command, args []string) error {
			prepare, err := f.plans.prepare(cmd)
			if err != nil {
				return err
			}
			settings, err := f.manifests.settings(f.namespace)
			if err != nil {
				return err
			}
			if f.images.push && f.images.registry == "" {
				return usagef("--push: name the --registry to push to")
			}
			if err := f.images.check(); err != nil {
				return err
			}
			if err := f.checkWorkflow(cmd); err != nil {
				return err
			}
			if err := a.measures(&prepare, args[0]); err != nil {
				return err
			}
			shown := a.progress()
			defer shown.end()
			prepare.Progress = shown.note
			render := f.manifest
			if f.workflow {
				render = f.request
			}
			objects, err := render(cmd, prepare, settings)
			if err != nil {
				return err
			}
			shown.end()
			return kubernetes.Render(a.out, objects)
		},
	}
	f.plans.add(cmd)
	f.images.add(cmd, false)
	f.manifests.add(cmd)
	flags := cmd.Flags()
	flags.StringVar(&f.namespace, "namespace", "", "`namespace` to write into the objects; default: none, who applies\nthem chooses")
	flags.BoolVar(&f.knative, "knative", false, "Knative Services instead of Deployments")
	flags.BoolVar(&f.workflow, "workflow", false, "a Workflow, for the cluster's controller to plan and run")
	flags.BoolVar(&f.noCalibration, "no-calibration", false, "with --workflow, let the controller plan by its own calibration")
	return cmd
}

// manifest has the objects of a plan.
func (f *renderFlags) manifest(cmd *cobra.Command, prepare pipeline.PrepareOptions, settings kubernetes.Settings) ([]runtime.Object, error) {
	planned, err := pipeline.PlanToServe(cmd.Context(), prepare, f.plans.asksForPlan(cmd))
	if err != nil {
		return nil, err
	}
	named, err := f.images.images(cmd.Context(), prepare.Agent, prepare.Project, planned, prepare.Progress)
	if err != nil {
		return nil, err
	}
	w := workloadOf(prepare.Project, planned, named, f.manifests.env)
	if f.knative {
		return kubernetes.Knative(w, settings)
	}
	made, err := kubernetes.Manifest(w, settings)
	if err != nil {
		return nil, err
	}
	return made.Waved()
}

// workloadOf is what manifests are made of.
func workloadOf(p *workflow.Project, pl *plan.Plan, images *pipeline.Images, env []string) kubernetes.Workload {
	w := kubernetes.Workload{Name: p.Name, Plan: pl, Images: images.References, Functions: make(map[string][]string), Env: env}
	for _, b := range images.Bundles {
		w.Functions[b.Wrap] = b.Functions
	}
	return w
}
