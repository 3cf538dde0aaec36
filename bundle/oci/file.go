package oci

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"regexp"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// same leaves an image as it is.
func same(img v1.Image) v1.Image { return img }

// openLayout reads an OCI layout. One that holds several things is taken for an
// index, where they are one image's for several platforms.
func openLayout(dir, given string) (*source, error) {
	index, err := layout.ImageIndexFromPath(dir)
	if err != nil {
		return nil, fmt.Errorf("base %s is no OCI layout (a folder with oci-layout, index.json and blobs): %w", given, err)
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		return nil, fmt.Errorf("base %s: %w", given, err)
	}
	s := &source{}
	if len(manifest.Manifests) != 1 {
		if s.digest, err = index.Digest(); err != nil {
			return nil, fmt.Errorf("base %s: %w", given, err)
		}
		if err := s.ofIndex(index, same); err != nil {
			return nil, err
		}
		seen := make(map[string]bool)
		for _, i := range s.images {
			if seen[i.platform.String()] {
				return nil, fmt.Errorf("base %s holds several images for %s: give a layout with one", given, i.platform)
			}
			seen[i.platform.String()] = true
		}
		if len(s.images) == 0 {
			return nil, fmt.Errorf("base %s holds %d images and does not say for which platforms they are: give a layout with one", given, len(manifest.Manifests))
		}
		return s, nil
	}
	only := manifest.Manifests[0]
	s.digest = only.Digest
	if only.MediaType.IsIndex() {
		inner, err := index.ImageIndex(only.Digest)
		if err != nil {
			return nil, fmt.Errorf("base %s: %w", given, err)
		}
		return s, s.ofIndex(inner, same)
	}
	img, err := index.Image(only.Digest)
	if err != nil {
		return nil, fmt.Errorf("base %s: %w", given, err)
	}
	return s, s.ofImage(img)
}

// openFile reads a base from one file: an OCI layout in a tar, or what docker save
// writes.
func (b *builder) openFile(ctx context.Context, given string) (*source, error) {
	isLayout, err := holds(given, "oci-layout")
	if err != nil {
		return nil, fmt.Errorf("base %s is no image's file (docker save, or an OCI layout in a tar): %w", given, err)
	}
	if isLayout {
		dir, err := b.unpackLayout(ctx, given)
		if err != nil {
			return nil, fmt.Errorf("base %s: %w", given, err)
		}
		return openLayout(dir, given)
	}
	img, err := tarball.ImageFromPath(given, nil)
	if err != nil {
		return nil, fmt.Errorf("base %s is no image's file (docker save, or an OCI layout in a tar): %w", given, err)
	}
	// Such a file has no manifest, and its layers are not packed as a registry has
	// them: the image is known by its configuration, as docker knows it.
	s := &source{}
	if s.digest, err = img.ConfigName(); err != nil {
		return nil, fmt.Errorf("base %s: %w", given, err)
	}
	return s, s.ofImage(repacked{img, ctx, b.store})
}

// repacked is an image whose layers are packed once.
type repacked struct {
	v1.Image
	ctx   context.Context
	store *store
}

// Layers implements v1.Image.
func (r repacked) Layers() ([]v1.Layer, error) {
	layers, err := r.Image.Layers()
	if err != nil {
		return nil, err
	}
	for i, l := range layers {
		id, err := l.DiffID()
		if err != nil {
			return nil, err
		}
		layers[i], err = r.store.pack(r.ctx, keyOf(layerForm, "base", id.String()), func(w io.Writer) (err error) {
			in, err := l.Uncompressed()
			if err != nil {
				return err
			}
			_, err = io.Copy(w, in)
			return errors.Join(err, in.Close())
		})
		if err != nil {
			return nil, err
		}
	}
	return layers, nil
}

// holds says whether a tar has a file of a name.
func holds(file, want string) (bool, error) {
	found := false
	err := eachIn(context.Background(), file, func(h *tar.Header, _ io.Reader) error {
		if path.Clean(h.Name) == want {
			found = true
			return io.EOF
		}
		return nil
	})
	return found, err
}

// eachIn calls visit for every entry of a tar, until it answers io.EOF.
func eachIn(ctx context.Context, file string, visit func(*tar.Header, io.Reader) error) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	for r := tar.NewReader(f); ; {
		h, err := r.Next()
		if err == nil && ctx.Err() == nil {
			err = visit(h, r)
		}
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
	}
}

// layoutFile are the files of a layout: nothing else is unpacked.
var layoutFile = regexp.MustCompile(`^(oci-layout|index\.json|blobs/sha256/[0-9a-f]{64})$`)

// unpackLayout unpacks a layout once for each content of the file.
func (b *builder) unpackLayout(ctx context.Context, file string) (string, error) {
	sum, err := sumOf(file)
	if err != nil {
		return "", err
	}
	final := filepath.Join(b.store.dir, "layouts", sum)
	if info, err := os.Stat(final); err == nil && info.IsDir() {
		return final, nil
	}
	dir, err := os.MkdirTemp(b.store.dir, ".unpacking-")
	if err != nil {
		return "", err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	err = eachIn(ctx, file, func(h *tar.Header, r io.Reader) error {
		name := path.Clean(h.Name)
		if h.Typeflag != tar.TypeReg || !layoutFile.MatchString(name) {
			return nil
		}
		target := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(target), 0o700); err != nil {
			return err
		}
		out, err := os.Create(target)
		if err != nil {
			return err
		}
		_, err = io.Copy(out, r)
		return errors.Join(err, out.Close())
	})
	if err != nil {
		return "", err
	}
	if err := os.Rename(dir, final); err != nil && !errors.Is(err, os.ErrExist) {
		return "", err
	}
	return final, nil
}
