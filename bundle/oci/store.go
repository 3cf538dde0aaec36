package oci

import (
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// store is the folder that keeps what takes long to make or to fetch:
//
//	blobs/HEX     layers as they are stored, by the digest of their bytes
//	made/KEY      which blob was packed from what KEY is the digest of
//	looked/KEY    what was found in a base
//	layouts/HEX   OCI layouts that came as one file
//
// Files appear whole, by a rename.
type store struct{ dir string }

func openStore(dir string) (*store, error) {
	for _, sub := range []string{"blobs", "made", "looked", "layouts"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o700); err != nil {
			return nil, fmt.Errorf("build images: %w", err)
		}
	}
	return &store{dir: dir}, nil
}

// note is what the store remembers of a layer.
type note struct {
	Digest v1.Hash `json:"digest"`
	DiffID v1.Hash `json:"diffID"`
	Size   int64   `json:"size"`
}

// keyOf is the name under which something made of parts is remembered.
func keyOf(parts ...string) string {
	sum := sha256.New()
	for _, p := range parts {
		fmt.Fprintf(sum, "%d\n%s\n", len(p), p)
	}
	return hex.EncodeToString(sum.Sum(nil))
}

// recall reads what was remembered; false where nothing was, or it is not
// understood.
func (s *store) recall(folder, key string, v any) bool {
	data, err := os.ReadFile(filepath.Join(s.dir, folder, key))
	return err == nil && json.Unmarshal(data, v) == nil
}

func (s *store) remember(folder, key string, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return s.whole(filepath.Join(s.dir, folder, key), func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	})
}

// whole writes a file that is there complete or not at all.
func (s *store) whole(name string, write func(io.Writer) error) (err error) {
	f, err := os.CreateTemp(s.dir, ".writing-")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(f.Name())
		}
	}()
	if err := errors.Join(write(f), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), name)
}

func (s *store) blob(digest v1.Hash) string { return filepath.Join(s.dir, "blobs", digest.Hex) }

// pack returns the layer that write's tar makes, packed once for each key.
func (s *store) pack(ctx context.Context, key string, write func(io.Writer) error) (*layer, error) {
	var n note
	if s.recall("made", key, &n) {
		if info, err := os.Stat(s.blob(n.Digest)); err == nil && info.Size() == n.Size {
			return &layer{note: n, file: s.blob(n.Digest)}, nil
		}
	}
	packed, whole := sha256.New(), sha256.New()
	f, err := os.CreateTemp(s.dir, ".packing-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.Remove(f.Name()) }() // gone already where it was renamed
	counted := &counter{w: io.MultiWriter(f, packed)}
	// The header of gzip has neither time nor name.
	z := gzip.NewWriter(counted)
	err = write(stoppable{ctx, io.MultiWriter(z, whole)})
	if err = errors.Join(err, z.Close(), f.Close()); err != nil {
		return nil, err
	}
	n = note{Digest: hashOf(packed.Sum(nil)), DiffID: hashOf(whole.Sum(nil)), Size: counted.n}
	if err := os.Rename(f.Name(), s.blob(n.Digest)); err != nil {
		return nil, err
	}
	return &layer{note: n, file: s.blob(n.Digest)}, s.remember("made", key, n)
}

func hashOf(sum []byte) v1.Hash { return v1.Hash{Algorithm: "sha256", Hex: hex.EncodeToString(sum)} }

type counter struct {
	w io.Writer
	n int64
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}

// stoppable is a writer that ends with its context.
type stoppable struct {
	ctx context.Context
	w   io.Writer
}

func (s stoppable) Write(p []byte) (int, error) {
	if s.ctx.Err() != nil {
		return 0, context.Cause(s.ctx)
	}
	return s.w.Write(p)
}

// layer is a file of the store. It implements v1.Layer.
type layer struct {
	note
	file string
}

// Digest implements v1.Layer.
func (l *layer) Digest() (v1.Hash, error) { return l.note.Digest, nil }

// DiffID implements v1.Layer.
func (l *layer) DiffID() (v1.Hash, error) { return l.note.DiffID, nil }

// Size implements v1.Layer.
func (l *layer) Size() (int64, error) { return l.note.Size, nil }

// MediaType implements v1.Layer.
func (l *layer) MediaType() (types.MediaType, error) { return types.OCILayer, nil }

// Compressed implements v1.Layer.
func (l *layer) Compressed() (io.ReadCloser, error) { return os.Open(l.file) }

// Uncompressed implements v1.Layer.
func (l *layer) Uncompressed() (io.ReadCloser, error) {
	f, err := os.Open(l.file)
	if err != nil {
		return nil, err
	}
	z, err := gzip.NewReader(f)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return unpacked{z, f}, nil
}

type unpacked struct {
	*gzip.Reader
	file *os.File
}

func (u unpacked) Close() error { return errors.Join(u.Reader.Close(), u.file.Close()) }

// kept is a base's layer that is fetched once: what it reads as stored goes to
// the store, and comes from there the next time.
type kept struct {
	v1.Layer
	store *store
}

// Compressed implements v1.Layer.
func (k kept) Compressed() (io.ReadCloser, error) {
	digest, err := k.Layer.Digest()
	if err != nil {
		return nil, err
	}
	if f, err := os.Open(k.store.blob(digest)); err == nil {
		return f, nil
	}
	in, err := k.Layer.Compressed()
	if err != nil {
		return nil, err
	}
	// What comes from a registry is checked against its digest as it is read.
	err = k.store.whole(k.store.blob(digest), func(w io.Writer) error {
		_, err := io.Copy(w, in)
		return err
	})
	if err = errors.Join(err, in.Close()); err != nil {
		return nil, fmt.Errorf("fetch layer %s: %w", digest, err)
	}
	return os.Open(k.store.blob(digest))
}

// Uncompressed implements v1.Layer.
func (k kept) Uncompressed() (io.ReadCloser, error) {
	l, err := partial.CompressedToLayer(k)
	if err != nil {
		return nil, err
	}
	return l.Uncompressed()
}
