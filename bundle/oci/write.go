package oci

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/match"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// refName and containerdName are how a layout's index says what an image is
// called: OCI's annotation, and the one that containerd and docker look at first.
const (
	refName        = "org.opencontainers.image.ref.name"
	containerdName = "io.containerd.image.name"
)

// WriteLayout adds images to the OCI layout in dir, which is made where it is not
// there; images of the same name are replaced.
func WriteLayout(ctx context.Context, images []Image, dir string, n Naming) error {
	if err := n.Check(); err != nil {
		return fmt.Errorf("write OCI layout: %w", err)
	}
	path, err := layout.FromPath(dir)
	if err != nil {
		entries, err := os.ReadDir(dir)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("write OCI layout: %w", err)
		}
		if len(entries) > 0 {
			return fmt.Errorf("write OCI layout: %s holds something else: choose another folder", dir)
		}
		if path, err = layout.Write(dir, empty.Index); err != nil {
			return fmt.Errorf("write OCI layout: %w", err)
		}
	}
	for i := range images {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		img := &images[i]
		named, err := n.annotations(img)
		if err != nil {
			return err
		}
		replaced, option := match.Annotation(refName, named[refName]), layout.WithAnnotations(named)
		if img.index != nil {
			err = path.ReplaceIndex(img.index, replaced, option)
		} else {
			err = path.ReplaceImage(img.manifests[0], replaced, option)
		}
		if err != nil {
			return fmt.Errorf("write OCI layout: %s: %w", img.what(), err)
		}
	}
	return nil
}

func (n Naming) annotations(img *Image) (map[string]string, error) {
	tag, err := n.parse(img)
	if err != nil {
		return nil, err
	}
	return map[string]string{refName: n.Name(img), containerdName: spelled(tag.Name())}, nil
}

// WriteTarball writes all images into one file that is both an OCI layout and
// what docker load reads, with each layer once. Docker's form has no place for
// several platforms: it holds that of this machine, or the first.
func WriteTarball(ctx context.Context, images []Image, file string, n Naming) (err error) {
	if err := n.Check(); err != nil {
		return fmt.Errorf("write %s: %w", file, err)
	}
	t := &archive{blobs: make(map[string]opener)}
	for i := range images {
		if err := t.add(&images[i], n); err != nil {
			return fmt.Errorf("write %s: %s: %w", file, images[i].what(), err)
		}
	}
	f, err := os.CreateTemp(filepath.Dir(file), "."+filepath.Base(file)+"-")
	if err != nil {
		return fmt.Errorf("write %s: %w", file, err)
	}
	defer func() {
		if err != nil {
			_ = os.Remove(f.Name())
		}
	}()
	err = t.write(stoppable{ctx, f})
	if err = errors.Join(err, f.Chmod(0o644), f.Close()); err != nil {
		return fmt.Errorf("write %s: %w", file, err)
	}
	if err := os.Rename(f.Name(), file); err != nil {
		return fmt.Errorf("write images: %w", err)
	}
	return nil
}

// opener gives a blob's bytes and their number.
type opener struct {
	size int64
	open func() (io.ReadCloser, error)
}

func held(data []byte) opener {
	return opener{int64(len(data)), func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(data)), nil }}
}

// archive is the file's content.
type archive struct {
	index  []v1.Descriptor
	docker []dockerImage
	blobs  map[string]opener // by name in the file
}

// dockerImage is an entry of manifest.json (docker save's form, version 1.2).
type dockerImage struct {
	Config   string
	RepoTags []string
	Layers   []string
}

func blobName(h v1.Hash) string { return "blobs/" + h.Algorithm + "/" + h.Hex }

func (t *archive) add(img *Image, n Naming) error {
	named, err := n.annotations(img)
	if err != nil {
		return err
	}
	loaded := max(0, slices.Index(img.Platforms, "linux/"+runtime.GOARCH))
	for i, m := range img.manifests {
		entry, err := t.image(m)
		if err != nil {
			return err
		}
		if i == loaded {
			entry.RepoTags = []string{n.Name(img)}
			t.docker = append(t.docker, entry)
		}
	}
	var top partial.Describable = img.manifests[0]
	if img.index != nil {
		top = img.index
		raw, err := img.index.RawManifest()
		if err != nil {
			return err
		}
		digest, err := img.index.Digest()
		if err != nil {
			return err
		}
		t.blobs[blobName(digest)] = held(raw)
	}
	desc, err := partial.Descriptor(top)
	if err != nil {
		return err
	}
	desc.Annotations = named
	if img.index == nil {
		p, err := parsePlatform(img.Platforms[0])
		if err != nil {
			return err
		}
		desc.Platform = &p
	}
	t.index = append(t.index, *desc)
	return nil
}

// image takes one manifest with its configuration and layers.
func (t *archive) image(m v1.Image) (dockerImage, error) {
	var entry dockerImage
	digest, err := m.Digest()
	if err != nil {
		return entry, err
	}
	raw, err := m.RawManifest()
	if err != nil {
		return entry, err
	}
	t.blobs[blobName(digest)] = held(raw)
	if digest, err = m.ConfigName(); err != nil {
		return entry, err
	}
	if raw, err = m.RawConfigFile(); err != nil {
		return entry, err
	}
	entry.Config = blobName(digest)
	t.blobs[entry.Config] = held(raw)
	layers, err := m.Layers()
	if err != nil {
		return entry, err
	}
	for _, l := range layers {
		if digest, err = l.Digest(); err != nil {
			return entry, err
		}
		size, err := l.Size()
		if err != nil {
			return entry, err
		}
		entry.Layers = append(entry.Layers, blobName(digest))
		t.blobs[blobName(digest)] = opener{size, l.Compressed}
	}
	return entry, nil
}

// write writes the descriptions first: who reads the file as a stream knows then
// what comes.
func (t *archive) write(w io.Writer) error {
	index, err := json.Marshal(v1.IndexManifest{SchemaVersion: 2, MediaType: types.OCIImageIndex, Manifests: t.index})
	if err != nil {
		return err
	}
	docker, err := json.Marshal(t.docker)
	if err != nil {
		return err
	}
	out := tar.NewWriter(w)
	for _, dir := range []string{"blobs/", "blobs/sha256/"} {
		if err := out.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: dir, Mode: 0o755, ModTime: epoch}); err != nil {
			return err
		}
	}
	for _, f := range []struct {
		name string
		data []byte
	}{{"oci-layout", []byte(`{"imageLayoutVersion":"1.0.0"}`)}, {"index.json", index}, {"manifest.json", docker}} {
		if err := put(out, f.name, held(f.data)); err != nil {
			return err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(t.blobs)) {
		if err := put(out, name, t.blobs[name]); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return out.Close()
}

func put(out *tar.Writer, name string, o opener) error {
	err := out.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Size: o.size, Mode: 0o644, ModTime: epoch})
	if err != nil {
		return err
	}
	in, err := o.open()
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, in.Close())
}
