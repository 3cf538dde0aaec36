package main

import (
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/chiron-faas/chiron/bundle/oci"
	"github.com/chiron-faas/chiron/pipeline"
)

// buildFlags are the flags of "chiron build", besides a plan's.
type buildFlags struct {
	base, push, tag   string
	agents, platforms []string
	// functions is whether images are built that a Workflow names.
	functions bool
	output    buildOutput
}

func newBuild(a *app) *cobra.Command {
	var plans planFlags
	f := &buildFlags{output: buildOutput{form: &a.output}}
	cmd := &cobra.Command{
		Use:   "build DIR",
		Short: "Build what a plan's wraps run from: folders, or container images",
		Long: `Builds what the wraps of DIR/plan.json run from: a folder each in DIR/.chiron, or,
with --push or --output, a container image each. No container engine is needed.

An image is a base that has Python, chiron-agent, the functions' requirements and
the functions. Requirements are resolved for the base's Python and platform. The
same input gives the same digest. Registries' passwords are those of docker login.

With --workflow, images are built for a cluster that plans: each has all functions
that can be installed together. "chiron render --workflow" names them.`,
		Example: "  chiron build examples/finra-5 --push registry.example.org/team\n" +
			"  chiron build examples/finra-5 --output finra-5.tar   # for docker load, podman load, ctr\n" +
			"  chiron build examples/finra-5 --output images/ --base python:3.12-alpine",
		Args: one("DIR"),
		RunE: func(cmd *cobra.Command, args []string) error {
			prepare, err := plans.prepare(cmd)
			if err != nil {
				return err
			}
			o, err := f.options()
			if err != nil {
				return err
			}
			if f.functions {
				if flag := given(cmd, "slo", "percentile", "model", "objective", "cpus", "concurrency", "exact", "calibration", "runs", "tracer", "fresh"); flag != "" {
					return usagef("--%s says nothing for images of a --workflow, which are no plan's: leave it out", flag)
				}
			}
			if err := a.measures(&prepare, args[0]); err != nil {
				return err
			}
			o.Project = prepare.Project
			if f.images() {
				if o.Agents, err = imageAgents(prepare.Agent, f.agents); err != nil {
					return err
				}
			}
			shown := a.progress()
			defer shown.end()
			prepare.Progress, o.Progress = shown.note, shown.note
			if f.functions {
				o.Project, o.Plan, err = pipeline.ImagePlan(prepare.Project)
			} else {
				o.Plan, err = pipeline.PlanToServe(cmd.Context(), prepare, plans.asksForPlan(cmd))
			}
			if err != nil {
				return err
			}
			built, err := pipeline.Build(cmd.Context(), o)
			if err != nil {
				return err
			}
			shown.end()
			r := reportBuild(&o, built)
			return a.report(r, textBuild(r))
		},
	}
	plans.add(cmd)
	flags := cmd.Flags()
	flags.VarP(&f.output, "output", "o", "where images go: `FILE.tar`, or a folder (an OCI layout);\nor the form of the report: text or json")
	flags.StringVar(&f.push, "push", "", "push images to this `registry` and path in it")
	flags.StringVar(&f.tag, "tag", oci.DefaultTag, "`tag` of the images; their digests are reported")
	flags.StringVar(&f.base, "base", "", "`image` with Python to build on: a name, an OCI layout or a tar file;\ndefault: the slim Python of the functions' version")
	flags.BoolVar(&f.functions, "workflow", false, "images for a Workflow, which a cluster's controller plans")
	flags.StringSliceVar(&f.platforms, "platform", nil, "`platform` to build for, such as linux/arm64; default: those\nof the base that there is an agent for")
	flags.StringArrayVar(&f.agents, "agent", nil, "chiron-agent, a `file`, for another architecture; once for each")
	return cmd
}

func (f *buildFlags) options() (pipeline.BuildOptions, error) {
	o := pipeline.BuildOptions{Base: f.base, Platforms: f.platforms, Push: f.push, Tag: f.tag}
	switch path := f.output.path; {
	case path == "":
	case filepath.Ext(path) == ".tar":
		o.Tarball = path
	case slices.Contains([]string{".gz", ".tgz", ".zip", ".zst"}, strings.ToLower(filepath.Ext(path))):
		return o, usagef("--output %s: write FILE.tar, whose layers are compressed already, or a folder", path)
	default:
		o.Layout = path
	}
	if !f.images() {
		if f.functions {
			return o, usagef("--workflow is for images: say where they go, with --push or --output")
		}
		if f.base != "" || f.agents != nil || f.platforms != nil {
			return o, usagef("--base, --agent and --platform are for images: say where they go, with --push or --output")
		}
		return o, nil
	}
	if err := (oci.Naming{Prefix: f.push, Tag: f.tag}).Check(); err != nil {
		return o, usagef("--push, --tag: %w", err)
	}
	return o, nil
}

// images says that images are asked for, and not folders.
func (f *buildFlags) images() bool { return f.push != "" || f.output.path != "" }

// buildOutput is the value of --output, which this verb has for its images beside
// the report's form.
type buildOutput struct {
	form *outputFormat
	path string
}

// String implements pflag.Value.
func (o *buildOutput) String() string { return o.path }

// Type implements pflag.Value.
func (o *buildOutput) Type() string { return "path" }

// Set implements pflag.Value.
func (o *buildOutput) Set(s string) error {
	if s == string(textOutput) || s == string(jsonOutput) {
		return o.form.Set(s)
	}
	if s == "" || o.path != "" {
		return usagef("one file or folder is taken, and %q is one too many", s)
	}
	o.path = s
	return nil
}
