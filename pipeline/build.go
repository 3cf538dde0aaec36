package pipeline

import (
	"context"
	"errors"
	"fmt"

	"github.com/chiron-faas/chiron/bundle"
	"github.com/chiron-faas/chiron/bundle/oci"
	"github.com/chiron-faas/chiron/plan"
	"github.com/chiron-faas/chiron/workflow"
)

// BuildOptions of Build. Without Push, Tarball and Layout, folders are built.
type BuildOptions struct {
	Project *workflow.Project
	Plan    *plan.Plan
	// Agents, Base and Platforms as oci.Options has them.
	Agents    []string
	Base      string
	Platforms []string
	// Push is the registry, and the path in it, that the images go to; empty: none.
	Push string
	// Tarball is the file, and Layout the folder, that they are written to; empty:
	// none.
	Tarball, Layout string
	// Tag of the images; empty: oci.DefaultTag.
	Tag      string
	Progress Progress
}

// Built is what Build made.
type Built struct {
	// Bundles, in the plan's order, where folders were built.
	Bundles []bundle.Bundle
	// Images, in the plan's order, and their names; References, by digest, where
	// they were pushed.
	Images            []oci.Image
	Names, References []string
}

// Build makes what wraps run from: a folder each, or an image each.
func Build(ctx context.Context, o BuildOptions) (*Built, error) {
	if o.Push == "" && o.Tarball == "" && o.Layout == "" {
		bundles, err := bundle.Build(ctx, bundle.Options{
			Project: o.Project, Plan: o.Plan, OutDir: FilesOf(o.Project).Bundles, Progress: o.bundling,
		})
		return &Built{Bundles: bundles}, err
	}
	naming := oci.Naming{Prefix: o.Push, Tag: o.Tag}
	if err := naming.Check(); err != nil { // before anything takes long
		return nil, err
	}
	images, err := oci.Build(ctx, oci.Options{
		Project: o.Project, Plan: o.Plan, Agents: o.Agents, Base: o.Base, Platforms: o.Platforms, Progress: o.bundling,
	})
	if err != nil {
		return nil, err
	}
	built := &Built{Images: images}
	for i := range images {
		built.Names = append(built.Names, naming.Name(&images[i]))
	}
	write := func(to string, write func(context.Context, []oci.Image, string, oci.Naming) error) error {
		if to == "" {
			return nil
		}
		o.Progress.tell(Note{Step: "bundle", Text: "writing " + to, Passing: true})
		return write(ctx, images, to, naming)
	}
	if err := errors.Join(write(o.Tarball, oci.WriteTarball), write(o.Layout, oci.WriteLayout)); err != nil {
		return nil, err
	}
	if o.Push != "" {
		built.References, err = oci.Push(ctx, images, oci.PushOptions{Naming: naming, Progress: func(_ *oci.Image, name string) {
			o.Progress.tell(Note{Step: "bundle", Text: "pushing " + name, Passing: true})
		}})
		if err != nil {
			return nil, err
		}
	}
	return built, nil
}

func (o *BuildOptions) bundling(step bundle.Step) {
	text := step.What
	if step.Wrap != "" {
		text = fmt.Sprintf("%s: %s", step.Wrap, step.What)
	}
	o.Progress.tell(Note{Step: "bundle", Text: text, Done: step.Index, Total: step.Of, Passing: true})
}
