package pipeline

import (
	"context"
	"fmt"

	"github.com/chiron-faas/chiron/bundle"
	"github.com/chiron-faas/chiron/bundle/oci"
	"github.com/chiron-faas/chiron/plan"
	"github.com/chiron-faas/chiron/workflow"
)

// Images are a plan's wraps as a cluster runs them.
type Images struct {
	// Bundles are what images hold; they have no folder here.
	Bundles []bundle.Bundle
	// References by wrap: what a cluster pulls.
	References map[string]string
}

// PushImages builds the images of a plan, pushes them, and names them by digest.
func PushImages(ctx context.Context, o BuildOptions) (*Images, error) {
	built, err := Build(ctx, o)
	if err != nil {
		return nil, err
	}
	all := &Images{References: make(map[string]string)}
	for i := range built.Images {
		img := &built.Images[i]
		all.Bundles = append(all.Bundles, bundle.Bundle{Wrap: img.Wrap, PlanID: img.PlanID, Functions: img.Functions})
		all.References[img.Wrap] = built.References[i]
	}
	return all, nil
}

// NameImages names a plan's images as Build does, for a cluster that has them.
func NameImages(p *workflow.Project, pl *plan.Plan, naming oci.Naming) (*Images, error) {
	if err := naming.Check(); err != nil {
		return nil, err
	}
	all := &Images{References: make(map[string]string)}
	for i := range pl.Wraps {
		w := &pl.Wraps[i]
		functions, err := w.Functions(p.Definition)
		if err != nil {
			return nil, err
		}
		all.Bundles = append(all.Bundles, bundle.Bundle{Wrap: w.Name, PlanID: pl.Digest(), Functions: functions})
		all.References[w.Name] = naming.Name(&oci.Image{Workflow: p.Name, Wrap: w.Name})
	}
	return all, nil
}

// Reference of a bundle's image.
func (all *Images) Reference(_ context.Context, b bundle.Bundle) (string, error) {
	reference, ok := all.References[b.Wrap]
	if !ok {
		return "", fmt.Errorf("there is no image of wrap %q: build the images again", b.Wrap)
	}
	return reference, nil
}
