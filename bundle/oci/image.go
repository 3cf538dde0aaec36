package oci

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/chiron-faas/chiron/bundle"
)

// Port that every image serves HTTP on.
const Port = 8080

// User that every image runs as: a number, so that a cluster can see that it is
// not root. It is "nonroot" of the images that have such a user.
const User = "65532:65532"

// Labels of an image, beside OCI's own (org.opencontainers.image.*).
const (
	LabelWorkflow  = "io.github.chiron-faas.workflow"
	LabelWrap      = "io.github.chiron-faas.wrap"
	LabelPlan      = "io.github.chiron-faas.plan"
	LabelFunctions = "io.github.chiron-faas.functions"
	LabelBundle    = "io.github.chiron-faas.bundle"
	LabelPython    = "io.github.chiron-faas.python"
)

// assemble puts a wrap's image for one platform together.
func (b *builder) assemble(ctx context.Context, img *Image, on *base, f *foundation, made bundle.Bundle) (v1.Image, error) {
	agentLayer, err := b.agentLayer(ctx, f.agent)
	if err != nil {
		return nil, err
	}
	site, err := b.bundleLayer(ctx, made, inSite)
	if err != nil {
		return nil, err
	}
	code, err := b.bundleLayer(ctx, made, func(name string) bool { return !inSite(name) })
	if err != nil {
		return nil, err
	}
	config, err := f.image.ConfigFile()
	if err != nil {
		return nil, fmt.Errorf("base: %w", err)
	}
	layers, err := f.image.Layers()
	if err != nil {
		return nil, fmt.Errorf("base: %w", err)
	}
	history := filled(config.History, len(layers))
	// Built on nothing, so that all of it is OCI's form, whatever the base's is.
	var add []mutate.Addendum
	for _, h := range history {
		a := mutate.Addendum{History: h}
		if !h.EmptyLayer {
			a.Layer, layers = layers[0], layers[1:]
			if a.MediaType, err = ociLayer(a.Layer); err != nil {
				return nil, fmt.Errorf("base: %w", err)
			}
		}
		add = append(add, a)
	}
	for _, own := range []struct {
		what  string
		layer *layer
	}{{"agent", agentLayer}, {"requirements", site}, {"functions", code}} {
		if own.layer != nil {
			add = append(add, mutate.Addendum{Layer: own.layer, MediaType: types.OCILayer, History: v1.History{
				Created: v1.Time{Time: epoch}, CreatedBy: "chiron build", Comment: own.what,
			}})
		}
	}
	labels := labelsOf(img, on, f, made)
	start := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	result, err := mutate.ConfigFile(start, &v1.ConfigFile{
		Architecture: f.platform.Architecture, OS: f.platform.OS, Variant: config.Variant, OSVersion: config.OSVersion,
		Created: v1.Time{Time: epoch}, RootFS: v1.RootFS{Type: "layers"}, Config: configOf(&config.Config, f.python.Path, labels),
	})
	if err != nil {
		return nil, err
	}
	if result, err = mutate.Append(result, add...); err != nil {
		return nil, err
	}
	return mutate.Annotations(result, labels).(v1.Image), nil
}

// filled is a base's history with an entry for every layer: some have none, or
// one that does not fit.
func filled(history []v1.History, layers int) []v1.History {
	count := 0
	for _, h := range history {
		if !h.EmptyLayer {
			count++
		}
	}
	if count == layers {
		return history
	}
	history = make([]v1.History, layers)
	for i := range history {
		history[i] = v1.History{Created: v1.Time{Time: epoch}, Comment: "base"}
	}
	return history
}

// ociLayer is OCI's name of a layer's form.
func ociLayer(l v1.Layer) (types.MediaType, error) {
	t, err := l.MediaType()
	if err != nil {
		return "", err
	}
	switch t {
	case types.DockerLayer:
		return types.OCILayer, nil
	case types.DockerUncompressedLayer:
		return types.OCIUncompressedLayer, nil
	case types.OCILayer, types.OCIUncompressedLayer, types.OCILayerZStd:
		return t, nil
	}
	return "", fmt.Errorf("it has a layer of type %s, which images of Linux do not have: choose another", t)
}

// configOf is how a container of the image is started: the base's environment,
// and nothing else of its own commands.
func configOf(from *v1.Config, python string, labels map[string]string) v1.Config {
	return v1.Config{
		Env:  from.Env,
		User: User,
		Entrypoint: []string{
			AgentPath, BundlePath, "--listen", fmt.Sprintf("0.0.0.0:%d", Port), "--interpreter", python,
		},
		WorkingDir:   "/",
		ExposedPorts: map[string]struct{}{fmt.Sprintf("%d/tcp", Port): {}},
		StopSignal:   "SIGTERM",
		Labels:       labels,
	}
}

// labelsOf are an image's labels, and its manifest's annotations. The base's own
// speak of the base, so that they are not taken over.
func labelsOf(img *Image, on *base, f *foundation, made bundle.Bundle) map[string]string {
	labels := map[string]string{
		"org.opencontainers.image.title":       img.Workflow + " " + img.Wrap,
		"org.opencontainers.image.description": "Chiron wrap of workflow " + img.Workflow + ": " + strings.Join(made.Functions, ", "),
		"org.opencontainers.image.version":     made.PlanID,
		"org.opencontainers.image.base.digest": on.digest.String(),

		LabelWorkflow:  img.Workflow,
		LabelWrap:      img.Wrap,
		LabelPlan:      made.PlanID,
		LabelFunctions: strings.Join(made.Functions, ","),
		LabelBundle:    made.Digest,
		LabelPython:    f.python.Version,
	}
	if on.reference != "" {
		labels["org.opencontainers.image.base.name"] = on.reference
	}
	return labels
}

// finish makes the index where there are several platforms, and computes the
// digest and the size.
func (img *Image) finish() error {
	seen := make(map[v1.Hash]bool)
	for _, m := range img.manifests {
		layers, err := m.Layers()
		if err != nil {
			return err
		}
		for _, l := range layers {
			digest, err := l.Digest()
			if err != nil {
				return err
			}
			size, err := l.Size()
			if err != nil {
				return err
			}
			if !seen[digest] {
				seen[digest] = true
				img.Size += size
			}
		}
		size, err := m.Size()
		if err != nil {
			return err
		}
		img.Size += size
	}
	if len(img.manifests) == 1 {
		digest, err := img.manifests[0].Digest()
		img.Digest = digest.String()
		return err
	}
	var entries []mutate.IndexAddendum
	for i, m := range img.manifests {
		platform, err := parsePlatform(img.Platforms[i])
		if err != nil {
			return err
		}
		desc, err := partial.Descriptor(m)
		if err != nil {
			return err
		}
		desc.Platform = &platform
		desc.Annotations = nil
		entries = append(entries, mutate.IndexAddendum{Add: m, Descriptor: *desc})
	}
	img.index = mutate.AppendManifests(mutate.IndexMediaType(empty.Index, types.OCIImageIndex), entries...)
	digest, err := img.index.Digest()
	if err != nil {
		return err
	}
	img.Digest = digest.String()
	size, err := img.index.Size()
	img.Size += size
	return err
}

// sumOf is the digest of a file's bytes.
func sumOf(file string) (string, error) {
	f, err := os.Open(file)
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }()
	sum := sha256.New()
	if _, err := io.Copy(sum, f); err != nil {
		return "", fmt.Errorf("read %s: %w", file, err)
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}
