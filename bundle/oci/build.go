package oci

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/google/go-containerregistry/pkg/authn"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/chiron-faas/chiron/bundle"
	"github.com/chiron-faas/chiron/plan"
	"github.com/chiron-faas/chiron/workflow"
)

// Options of Build. Project, Plan and Agents are needed.
type Options struct {
	Project *workflow.Project
	Plan    *plan.Plan
	// Agents are files of chiron's own binary, statically linked, at most one for
	// each architecture.
	Agents []string
	// Base is an image reference ("python:3.12-slim"), the folder of an OCI layout
	// or a file (of docker save, or an OCI layout in a tar). Empty: the slim Python
	// of each wrap's version, from Docker's registry.
	Base string
	// Platforms to build for ("linux/arm64"); empty: all those of the base that
	// there is an agent for.
	Platforms []string
	// CacheDir keeps requirements, layers and bases between builds; empty: the
	// folder chiron in the user's cache folder. The images read it until they are
	// pushed or written.
	CacheDir string
	// Keychain has the passwords of registries; nil: those of docker login
	// (authn.DefaultKeychain).
	Keychain authn.Keychain
	// Interpreter as bundle.Options has it: what checks handlers and runs pip.
	Interpreter func(ctx context.Context, lang, runtime string) (string, error)
	// Limits as bundle.Options has them.
	Limits bundle.Limits
	// Progress, when set, is told each step as it begins, from Build's goroutine.
	// Wrap is empty where a step is for all of them.
	Progress func(bundle.Step)
}

// Image is one wrap's, or a program's.
type Image struct {
	// Program is the name of the one that the image holds; empty: it is a wrap's.
	Program string
	// Workflow and Wrap are the plan's names; PlanID is its digest.
	Workflow, Wrap, PlanID string
	// Functions that the wrap holds, sorted.
	Functions []string
	// Digest of the manifest, or of the index where there are several platforms.
	Digest string
	// Platforms of the image, in the base's order: "linux/amd64".
	Platforms []string
	// Omitted are platforms of the base that there was no agent for.
	Omitted []string
	// Base is its reference, empty for a folder or a file; BaseDigest its digest.
	Base, BaseDigest string
	// Python is the interpreter's version and Interpreter its path in the image,
	// on the first platform.
	Python, Interpreter string
	// Size of all layers and manifests as they are stored, bytes, for all
	// platforms together.
	Size int64

	// manifests are the images, one for each platform; index is nil where there is
	// one.
	manifests []v1.Image
	index     v1.ImageIndex
}

// Build makes the image of every wrap, in the plan's order. Nothing is pushed or
// written but the cache.
//
// Errors: those of bundle.Build, *NoPythonError, *RegistryError, or one line that
// says what is wrong with the base or an agent.
func Build(ctx context.Context, o Options) ([]Image, error) {
	b, err := newBuilder(ctx, o)
	if err != nil {
		return nil, err
	}
	images := make([]Image, len(o.Plan.Wraps))
	bases := make([]*base, len(o.Plan.Wraps))
	for i := range o.Plan.Wraps {
		if bases[i], err = b.baseOf(ctx, i); err != nil {
			return nil, fmt.Errorf("image of wrap %q: %w", o.Plan.Wraps[i].Name, err)
		}
		images[i] = Image{
			Workflow: o.Project.Name, Wrap: o.Plan.Wraps[i].Name,
			Base: bases[i].reference, BaseDigest: bases[i].digest.String(), Omitted: bases[i].omitted,
		}
	}
	// Wraps of one platform are bundled together; with bases of their own they may
	// differ in which they have.
	for _, platform := range platformsOf(bases) {
		if err := b.platform(ctx, platform, bases, images); err != nil {
			return nil, err
		}
	}
	for i := range images {
		if err := images[i].finish(); err != nil {
			return nil, fmt.Errorf("image of wrap %q: %w", images[i].Wrap, err)
		}
	}
	return images, nil
}

// builder is what all wraps and platforms of one Build share.
type builder struct {
	Options
	agents []*agent
	store  *store
	// bases that were opened, by what they were asked by.
	bases map[string]*base
}

func newBuilder(ctx context.Context, o Options) (*builder, error) {
	if o.Project == nil || o.Plan == nil || len(o.Agents) == 0 {
		return nil, errors.New("build images: Options.Project, Plan and Agents are needed")
	}
	b := &builder{Options: o, bases: make(map[string]*base)}
	// Before anything is fetched.
	if err := plan.Check(o.Plan, o.Project.Definition, o.Project.Functions, &o.Project.Rules); err != nil {
		return nil, fmt.Errorf("build images: %w", err)
	}
	var err error
	if b.CacheDir, err = bundle.CacheFolder(o.CacheDir); err != nil {
		return nil, fmt.Errorf("build images: %w", err)
	}
	if b.Keychain == nil {
		b.Keychain = authn.DefaultKeychain
	}
	for _, file := range o.Agents {
		a, err := readAgent(file)
		if err != nil {
			return nil, err
		}
		for _, other := range b.agents {
			if other.arch == a.arch {
				return nil, fmt.Errorf("%s and %s are both for linux/%s: give one", other.file, a.file, a.arch)
			}
		}
		b.agents = append(b.agents, a)
	}
	if b.store, err = openStore(filepath.Join(b.CacheDir, "images")); err != nil {
		return nil, err
	}
	return b, ctx.Err()
}

func (b *builder) step(index int, what string) {
	if b.Progress == nil {
		return
	}
	s := bundle.Step{Of: len(b.Plan.Wraps), What: what}
	if index >= 0 {
		s.Wrap, s.Index = b.Plan.Wraps[index].Name, index+1
	}
	b.Progress(s)
}

// runtimeOf is the interpreter that a wrap's functions ask for; plan.Check has
// seen to it that they agree.
func (b *builder) runtimeOf(index int) string {
	for _, p := range b.Plan.Wraps[index].Processes {
		for _, task := range p.Tasks {
			if state, ok := b.Project.Definition.State(task); ok && b.Project.Functions[state.Function] != nil {
				return b.Project.Functions[state.Function].Runtime
			}
		}
	}
	return ""
}

// platform adds to every image that is for a platform its part.
func (b *builder) platform(ctx context.Context, platform v1.Platform, bases []*base, images []Image) error {
	dir, err := os.MkdirTemp(b.store.dir, ".bundles-")
	if err != nil {
		return fmt.Errorf("build images: %w", err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	foundations := make(map[string]*foundation)
	for i := range images {
		if f := bases[i].on(platform); f != nil {
			foundations[images[i].Wrap] = f
		}
	}
	bundles, err := bundle.Build(ctx, bundle.Options{
		Project: b.Project, Plan: b.Plan, OutDir: dir, CacheDir: b.CacheDir, Interpreter: b.Interpreter, Limits: b.Limits,
		Target: func(wrap string) *bundle.Target {
			if f := foundations[wrap]; f != nil {
				return f.target
			}
			return nil
		},
		Progress: func(s bundle.Step) {
			if b.Progress != nil {
				s.What += " for " + platform.String()
				b.Progress(s)
			}
		},
	})
	if err != nil {
		return err
	}
	for i := range images {
		f := foundations[images[i].Wrap]
		if f == nil {
			continue
		}
		b.step(i, "pack for "+platform.String())
		made, err := b.assemble(ctx, &images[i], bases[i], f, bundles[i])
		if err != nil {
			return fmt.Errorf("image of wrap %q for %s: %w", images[i].Wrap, platform, err)
		}
		img := &images[i]
		if len(img.manifests) == 0 {
			img.Python, img.Interpreter = f.python.Version, f.python.Path
		}
		img.PlanID, img.Functions = bundles[i].PlanID, bundles[i].Functions
		img.manifests = append(img.manifests, made)
		img.Platforms = append(img.Platforms, f.platform.String())
	}
	return nil
}
