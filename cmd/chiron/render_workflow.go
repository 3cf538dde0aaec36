package main

import (
	"cmp"
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/chiron-faas/chiron/deploy/kubernetes"
	"github.com/chiron-faas/chiron/deploy/kubernetes/v1alpha1"
	"github.com/chiron-faas/chiron/pipeline"
	"github.com/chiron-faas/chiron/workflow"
)

// checkWorkflow says which flags mean nothing to who plans in the cluster, and which
// nothing elsewhere.
func (f *renderFlags) checkWorkflow(cmd *cobra.Command) error {
	if !f.workflow {
		if f.noCalibration {
			return usagef("--no-calibration is for a --workflow")
		}
		return nil
	}
	if f.noCalibration && f.plans.calibration != "" {
		return usagef("--calibration and --no-calibration exclude each other")
	}
	if f.knative {
		return usagef("--knative and --workflow exclude each other")
	}
	if flag := given(cmd, "model", "objective", "cpus", "exact", "memory", "overcommit"); flag != "" {
		return usagef("--%s says nothing to the controller that plans a --workflow: leave it out; limits are the project's", flag)
	}
	return nil
}

// request has the objects that have a cluster plan.
func (f *renderFlags) request(cmd *cobra.Command, prepare pipeline.PrepareOptions, settings kubernetes.Settings) ([]runtime.Object, error) {
	of, images, err := pipeline.ImagePlan(prepare.Project)
	if err != nil {
		return nil, err
	}
	facts, err := pipeline.GatherFacts(cmd.Context(), prepare, !f.noCalibration)
	if err != nil {
		return nil, err
	}
	named, err := f.images.images(cmd.Context(), prepare.Agent, of, images, prepare.Progress)
	if err != nil {
		return nil, err
	}
	r, err := requestOf(prepare, facts, named, f.manifests.env)
	if err != nil {
		return nil, err
	}
	if scale := prepare.Project.Scale; settings.Max == 0 && scale.Most > 0 {
		// No wrap is without pods: nothing in the cluster would start one for a request.
		settings.Min, settings.Max = int32(max(scale.Least, 1)), int32(scale.Most) // bounded by workflow's own limit
	}
	return kubernetes.Requested(r, settings)
}

// requestOf is what a Workflow is made of: the project, and what flags say instead.
func requestOf(o pipeline.PrepareOptions, facts *pipeline.Facts, images *pipeline.Images, env []string) (kubernetes.Request, error) {
	p, slo := o.Project, o.SLO
	if slo.Latency == 0 {
		slo = p.SLO
	}
	r := kubernetes.Request{
		Name: p.Name, Latency: slo.Latency, Percentile: slo.Percentile, Profile: facts.Profile, Calibration: facts.Calibration,
		Apart: namesOf(p.Rules.Apart), Together: namesOf(p.Rules.Together), Concurrency: cmp.Or(o.Concurrency, p.Scale.Concurrency), Env: env,
	}
	var err error
	if r.Definition, err = json.Marshal(p.Definition); err != nil {
		return r, fmt.Errorf("write the definition: %w", err)
	}
	for _, b := range images.Bundles {
		r.Images = append(r.Images, v1alpha1.Image{Image: images.References[b.Wrap], Functions: b.Functions})
	}
	if l := p.Rules.Limits; l != (workflow.Limits{}) {
		r.Limits = &v1alpha1.Limits{CPUs: int32(l.CPUs), Wraps: int32(l.Wraps)}
		if l.Memory > 0 {
			r.Limits.Memory = resource.NewQuantity(l.Memory, resource.BinarySI)
		}
	}
	return r, nil
}

// namesOf are the names in rules as the project has them.
func namesOf(rules []workflow.Rule) [][]string {
	var all [][]string
	for _, r := range rules {
		var names []string
		for _, m := range r.Members {
			names = append(names, m.Name)
		}
		all = append(all, names)
	}
	return all
}
