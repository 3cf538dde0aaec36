package pipeline

import (
	"context"
	"time"

	"github.com/chiron-faas/chiron/bundle"
	"github.com/chiron-faas/chiron/deploy"
	"github.com/chiron-faas/chiron/plan"
	"github.com/chiron-faas/chiron/workflow"
)

// DeployOptions of Deploy.
type DeployOptions struct {
	Project *workflow.Project
	Plan    *plan.Plan
	// Name of the deployment.
	Name string
	// Target that runs the wraps.
	Target deploy.Target
	// Gateway is the URL that the deployment will be served at; may be empty.
	Gateway string
	// Warm as deploy.Deployment's.
	Warm     bool
	Progress Progress
}

// Deploy bundles a plan and brings it up.
func Deploy(ctx context.Context, o DeployOptions) (deploy.Running, error) {
	bundles, err := buildBundles(ctx, o.Project, o.Plan, o.Progress)
	if err != nil {
		return nil, err
	}
	o.Progress.tell(Note{Step: "deploy", Text: "starting the wraps", Done: 0, Total: len(bundles), Passing: true})
	return o.Target.Up(ctx, deploy.Deployment{Name: o.Name, Plan: o.Plan, Bundles: bundles, Gateway: o.Gateway, Warm: o.Warm})
}

// Changeable is a target that changes a deployment in place.
type Changeable interface {
	Apply(ctx context.Context, d deploy.Deployment) (deploy.Running, error)
}

// ApplyOptions of Apply.
type ApplyOptions struct {
	Project *workflow.Project
	Plan    *plan.Plan
	// Name of the deployment.
	Name   string
	Target Changeable
	// Bundles of the plan, where they are built; nil: they are built as folders.
	Bundles  []bundle.Bundle
	Progress Progress
}

// Apply brings a plan up, in the place of what is deployed by its name.
func Apply(ctx context.Context, o ApplyOptions) (err error) {
	bundles := o.Bundles
	if bundles == nil {
		if bundles, err = buildBundles(ctx, o.Project, o.Plan, o.Progress); err != nil {
			return err
		}
	}
	_, err = o.Target.Apply(ctx, deploy.Deployment{Name: o.Name, Plan: o.Plan, Bundles: bundles})
	return err
}

func buildBundles(ctx context.Context, project *workflow.Project, pl *plan.Plan, progress Progress) ([]bundle.Bundle, error) {
	return bundle.Build(ctx, bundle.Options{
		Project: project, Plan: pl, OutDir: FilesOf(project).Bundles,
		Progress: func(step bundle.Step) {
			progress.tell(Note{Step: "bundle", Text: step.Wrap + ": " + step.What, Done: step.Index, Total: step.Of, Passing: true})
		},
	})
}

// downTime bounds how long taking down may take: the target's own grace and some.
const downTime = time.Minute

// takeDown takes a deployment down, whatever made it necessary.
func takeDown(running deploy.Running) error {
	ctx, cancel := context.WithTimeout(context.Background(), downTime)
	defer cancel()
	return running.Down(ctx)
}
