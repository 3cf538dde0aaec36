package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/chiron-faas/chiron/bundle/oci"
	"github.com/chiron-faas/chiron/pipeline"
	"github.com/chiron-faas/chiron/plan"
	"github.com/chiron-faas/chiron/workflow"
)

// imageFlags say where a cluster gets the wraps' images from.
type imageFlags struct {
	registry, tag, base string
	push                bool
	platforms, agents   []string
}

// add adds the flags; push is whether images are pushed unless somebody says.
func (f *imageFlags) add(cmd *cobra.Command, push bool) {
	flags := cmd.Flags()
	flags.StringVar(&f.registry, "registry", "", "`registry` of the images, and the path in it")
	flags.BoolVar(&f.push, "push", push, "build the images, push them to the registry, and name them by\ntheir digests")
	flags.StringVar(&f.tag, "tag", oci.DefaultTag, "`tag` of the images")
	flags.StringVar(&f.base, "base", "", "`image` with Python to build on, as for chiron build")
	flags.StringSliceVar(&f.platforms, "platform", nil, "`platform` to build for, as for chiron build")
	flags.StringArrayVar(&f.agents, "agent", nil, "chiron-agent, a `file`, for another architecture; once for each")
}

// check says what is wrong with the flags, before anything is done.
func (f *imageFlags) check() error {
	if f.registry == "" && (f.base != "" || f.platforms != nil || f.agents != nil) {
		return usagef("--base, --platform and --agent are for images that are built: name a --registry to push them to")
	}
	if err := (oci.Naming{Prefix: f.registry, Tag: f.tag}).Check(); err != nil {
		return usagef("--registry, --tag: %w", err)
	}
	return nil
}

// images are those of a plan: built and pushed, or by the names that they have.
func (f *imageFlags) images(ctx context.Context, agent string, p *workflow.Project, pl *plan.Plan, progress pipeline.Progress) (*pipeline.Images, error) {
	if f.registry == "" || !f.push {
		return pipeline.NameImages(p, pl, oci.Naming{Prefix: f.registry, Tag: f.tag})
	}
	o := pipeline.BuildOptions{Project: p, Plan: pl, Base: f.base, Platforms: f.platforms, Push: f.registry, Tag: f.tag, Progress: progress}
	var err error
	if o.Agents, err = imageAgents(agent, f.agents); err != nil {
		return nil, err
	}
	return pipeline.PushImages(ctx, o)
}

// imageAgents are the agents of other architectures that were given, and this
// machine's own where it can be an image's and none was given in its place.
func imageAgents(own string, given []string) ([]string, error) {
	for _, file := range given {
		if err := checkAgent(file); err != nil {
			return nil, err
		}
	}
	return oci.AgentsWith(own, given)
}
