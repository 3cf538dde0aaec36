package oci

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/chiron-faas/chiron/bundle"
)

// base is what a wrap's image is built on.
type base struct {
	// given as the user named it; reference is the complete name where it comes
	// from a registry.
	given, reference string
	digest           v1.Hash
	// foundations by platform, in the base's order.
	foundations []*foundation
	// omitted are platforms without an agent.
	omitted []string
}

// foundation is a base on one platform.
type foundation struct {
	platform v1.Platform
	image    v1.Image
	agent    *agent
	python   pythonIn
	target   *bundle.Target
}

// on returns the foundation for a platform; nil where there is none.
func (b *base) on(p v1.Platform) *foundation {
	for _, f := range b.foundations {
		if f.platform.Equals(p) {
			return f
		}
	}
	return nil
}

// source is an image or an index, opened and not looked into.
type source struct {
	reference string
	digest    v1.Hash
	images    []sourceImage
	// single: it is one image, for the platform that it says, which is all there is
	// to choose.
	single bool
}

type sourceImage struct {
	platform v1.Platform
	open     func() (v1.Image, error)
}

// baseOf opens the base of a wrap, looks into it, and finds the interpreter that
// the wrap's functions ask for.
func (b *builder) baseOf(ctx context.Context, index int) (*base, error) {
	runtime := b.runtimeOf(index)
	given := b.Base
	if given == "" {
		version, err := versionOf(ctx, runtime)
		if err != nil {
			return nil, err
		}
		given = "docker.io/library/python:" + version + "-slim"
	}
	key := given + "\x00" + runtime
	if opened := b.bases[key]; opened != nil {
		return opened, nil
	}
	b.step(index, "look into the base "+given)
	s, err := b.open(ctx, given)
	if err != nil {
		return nil, err
	}
	opened := &base{given: given, reference: s.reference, digest: s.digest}
	chosen, err := b.choose(given, s, opened)
	if err != nil {
		return nil, err
	}
	for _, c := range chosen {
		f, err := b.foundation(ctx, given, runtime, c)
		if err != nil {
			return nil, err
		}
		opened.foundations = append(opened.foundations, f)
	}
	b.bases[key] = opened
	return opened, nil
}

// choose says which of a base's platforms are built for.
func (b *builder) choose(given string, s *source, opened *base) ([]sourceImage, error) {
	var asked []v1.Platform
	for _, text := range b.Platforms {
		p, err := parsePlatform(text)
		if err != nil {
			return nil, err
		}
		asked = append(asked, p)
	}
	var chosen []sourceImage
	var has []string
	for _, i := range s.images {
		has = append(has, i.platform.String())
		wanted := len(asked) == 0 || slices.ContainsFunc(asked, i.platform.Equals)
		switch {
		case !wanted:
		case b.agentFor(i.platform) != nil:
			chosen = append(chosen, i)
		case len(asked) > 0 || s.single:
			return nil, b.noAgent(i.platform)
		default:
			opened.omitted = append(opened.omitted, i.platform.String())
		}
	}
	for _, p := range asked {
		if !slices.ContainsFunc(s.images, func(i sourceImage) bool { return i.platform.Equals(p) }) {
			return nil, fmt.Errorf("base %s is not there for %s, only for %s: choose another base or platform", given, p, listed(has))
		}
	}
	if len(chosen) == 0 {
		if len(has) == 0 {
			return nil, fmt.Errorf("base %s has no image for Linux: choose another", given)
		}
		return nil, fmt.Errorf("base %s is for %s, and the agents that were given are not: add one with --agent", given, listed(has))
	}
	return chosen, nil
}

func (b *builder) agentFor(p v1.Platform) *agent {
	for _, a := range b.agents {
		if a.arch == p.Architecture {
			return a
		}
	}
	return nil
}

func (b *builder) noAgent(p v1.Platform) error {
	return fmt.Errorf("no chiron-agent for %s, which the image needs: build one (CGO_ENABLED=0 GOOS=%s GOARCH=%s go build -trimpath -o chiron-agent-%s ./cmd/chiron-agent) and add --agent chiron-agent-%s",
		p, p.OS, p.Architecture, p.Architecture, p.Architecture)
}

// foundation looks into a base on one platform.
func (b *builder) foundation(ctx context.Context, given, runtime string, c sourceImage) (*foundation, error) {
	img, err := c.open()
	if err != nil {
		return nil, fmt.Errorf("base %s for %s: %w", given, c.platform, err)
	}
	seen, err := b.look(ctx, img)
	if err != nil {
		return nil, fmt.Errorf("base %s for %s: %w", given, c.platform, err)
	}
	python, ok := seen.find(runtime)
	if !ok {
		return nil, &NoPythonError{Base: given, Platform: c.platform.String(), Runtime: runtime, Has: seen.versions()}
	}
	machine := machines[c.platform.Architecture]
	if machine == "" {
		return nil, fmt.Errorf("base %s: Python has no name for architecture %s: choose another platform", given, c.platform.Architecture)
	}
	if seen.Library == nil {
		return nil, fmt.Errorf("base %s for %s has neither glibc nor musl where Python looks for it: choose another", given, c.platform)
	}
	return &foundation{
		platform: c.platform, image: img, agent: b.agentFor(c.platform), python: python,
		target: &bundle.Target{
			Version: python.Version, Machine: machine, Platforms: seen.Library.tags(machine),
			Name: c.platform.String() + " (" + seen.Library.String() + ")",
		},
	}, nil
}

// open finds out what a base's name means: a folder or a file that is there, else
// a reference.
func (b *builder) open(ctx context.Context, given string) (*source, error) {
	info, err := os.Stat(given)
	switch {
	case err == nil && info.IsDir():
		return openLayout(given, given)
	case err == nil && info.Mode().IsRegular():
		return b.openFile(ctx, given)
	case filepath.IsAbs(given), given[0] == '.', filepath.Ext(given) == ".tar":
		return nil, fmt.Errorf("base %s: there is no such file or folder", given)
	}
	return b.openReference(ctx, given)
}

func (b *builder) openReference(ctx context.Context, given string) (*source, error) {
	ref, err := name.ParseReference(given, name.WeakValidation)
	if err != nil {
		return nil, errors.New("base is neither a file, a folder nor an image's name such as python:3.12-slim")
	}
	registry := ref.Context().RegistryStr()
	explain := func(err error) error { return registryError(ctx, reading, spelled(ref.Name()), registry, err) }
	descriptor, err := remote.Get(ref, b.remoteOptions(ctx)...)
	if err != nil {
		return nil, explain(err)
	}
	s := &source{reference: spelled(ref.Name()), digest: descriptor.Digest}
	if descriptor.MediaType.IsIndex() {
		index, err := descriptor.ImageIndex()
		if err != nil {
			return nil, explain(err)
		}
		return s, s.ofIndex(index, b.keep)
	}
	if !descriptor.MediaType.IsImage() {
		return nil, fmt.Errorf("base %s is no image but %s: choose another", given, descriptor.MediaType)
	}
	img, err := descriptor.Image()
	if err != nil {
		return nil, explain(err)
	}
	return s, s.ofImage(b.keep(img))
}

func (b *builder) remoteOptions(ctx context.Context) []remote.Option {
	return remoteOptions(ctx, b.Keychain)
}

// ofIndex takes the images of Linux from an index. Others are attestations, or of
// systems without processes as we need them.
func (s *source) ofIndex(index v1.ImageIndex, wrap func(v1.Image) v1.Image) error {
	manifest, err := index.IndexManifest()
	if err != nil {
		return fmt.Errorf("base: its index: %w", err)
	}
	for _, d := range manifest.Manifests {
		if !d.MediaType.IsImage() || d.Platform == nil || d.Platform.OS != "linux" || d.Platform.Architecture == "unknown" {
			continue
		}
		s.images = append(s.images, sourceImage{
			platform: plain(*d.Platform),
			open: func() (v1.Image, error) {
				img, err := index.Image(d.Digest)
				if err != nil {
					return nil, err
				}
				return wrap(img), nil
			},
		})
	}
	return nil
}

func (s *source) ofImage(img v1.Image) error {
	config, err := img.ConfigFile()
	if err != nil {
		return fmt.Errorf("base: its configuration: %w", err)
	}
	if config.OS != "linux" || config.Architecture == "" {
		return fmt.Errorf("base is for %q on %q, and a wrap needs Linux: choose another", config.OS, config.Architecture)
	}
	s.single = true
	s.images = []sourceImage{{
		platform: plain(v1.Platform{OS: config.OS, Architecture: config.Architecture, Variant: config.Variant}),
		open:     func() (v1.Image, error) { return img, nil },
	}}
	return nil
}

// keep has an image's layers fetched once.
func (b *builder) keep(img v1.Image) v1.Image { return keeping{img, b.store} }

type keeping struct {
	v1.Image
	store *store
}

// Layers implements v1.Image.
func (k keeping) Layers() ([]v1.Layer, error) {
	layers, err := k.Image.Layers()
	if err != nil {
		return nil, err
	}
	for i := range layers {
		layers[i] = kept{layers[i], k.store}
	}
	return layers, nil
}

// platformsOf lists the platforms that all wraps' bases have, in the first one's
// order.
func platformsOf(bases []*base) []v1.Platform {
	var common []v1.Platform
	for _, f := range bases[0].foundations {
		if !slices.ContainsFunc(bases, func(b *base) bool { return b.on(f.platform) == nil }) {
			common = append(common, f.platform)
		}
	}
	return common
}
