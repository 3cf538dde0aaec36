package container

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sys/unix"

	"github.com/chiron-faas/chiron/bundle/oci"
	"github.com/chiron-faas/chiron/internal/atomicfile"
)

// store has the images of functions, and their layers unpacked, one for each
// content:
//
//	images/DIGEST        an image's configuration and its layers, by the digest of its manifest
//	layers/CHAIN/tree    a layer's files, by its digest and those of the layers below
//	layers/CHAIN/layer   what the files do not tell of it
//
// A layer's name covers those below since folders that it does not tell of are as
// they are there (OCI image specification, config.md, "Layer ChainID").
type store struct {
	dir string
	// turn is held by who unpacks: it takes a CPU and the disk.
	turn chan struct{}

	mu   sync.Mutex
	used map[string]int // by the name of an image's file; guarded by mu
}

// Image is one in the store, whose files stay until it is released.
type Image struct {
	// Digest of its manifest.
	Digest string
	config v1.Config
	// layers are names in the store, the lowest first.
	layers []string
	store  *store
}

// imageFile is an image's file in the store.
type imageFile struct {
	Config v1.Config `json:"config"`
	Layers []string  `json:"layers"`
}

// layerFile is a layer's.
type layerFile struct {
	// Opaque are folders that hide those of the layers below.
	Opaque []string `json:"opaque,omitempty"`
}

// BadImageError says that an image cannot be a function: the fault of who named it,
// or made it.
type BadImageError struct {
	Image string
	Err   error
}

func (e *BadImageError) Error() string { return fmt.Sprintf("image %s: %v", e.Image, e.Err) }

// Unwrap is the cause.
func (e *BadImageError) Unwrap() error { return e.Err }

func openStore(dir string) (*store, error) {
	s := &store{dir: dir, turn: make(chan struct{}, 1), used: make(map[string]int)}
	for _, sub := range []string{"images", "layers"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o700); err != nil {
			return nil, fmt.Errorf("the store of images: %w", err)
		}
	}
	return s, nil
}

// digests are files' names without what stands before the colon.
var digests = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)

func (s *store) imageFile(digest string) string {
	return filepath.Join(s.dir, "images", strings.TrimPrefix(digest, "sha256:"))
}

func (s *store) layerDir(chain string) string { return filepath.Join(s.dir, "layers", chain) }

// hold returns an image that is here; nil: it is not, or not all of it.
func (s *store) hold(digest string) *Image {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := s.read(digest)
	if i != nil {
		s.used[digest]++
	}
	return i
}

func (s *store) read(digest string) *Image {
	if !digests.MatchString(digest) {
		return nil
	}
	data, err := os.ReadFile(s.imageFile(digest))
	var f imageFile
	if err != nil || json.Unmarshal(data, &f) != nil || len(f.Layers) == 0 {
		return nil
	}
	for _, chain := range f.Layers {
		if _, err := os.Stat(filepath.Join(s.layerDir(chain), "layer")); err != nil {
			return nil
		}
	}
	return &Image{Digest: digest, config: f.Config, layers: f.Layers, store: s}
}

// pull brings an image here, with what is not here of it.
func (s *store) pull(ctx context.Context, name, digest string, img v1.Image) (*Image, error) {
	select {
	case s.turn <- struct{}{}:
		defer s.tidy() // what a pull that failed has left, and what was released meanwhile
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	if i := s.hold(digest); i != nil {
		return i, nil
	}
	config, err := img.ConfigFile()
	if err != nil {
		return nil, oci.ReadError(ctx, name, err)
	}
	layers, err := img.Layers()
	if err != nil {
		return nil, oci.ReadError(ctx, name, err)
	}
	ids := config.RootFS.DiffIDs
	switch {
	case len(layers) == 0:
		return nil, &BadImageError{name, errors.New("it has no layers")}
	case len(layers) > maxLayers:
		return nil, &BadImageError{name, fmt.Errorf("it has %d layers, and %d are the most", len(layers), maxLayers)}
	case len(ids) != len(layers):
		return nil, &BadImageError{name, fmt.Errorf("it has %d layers, and its configuration tells of %d", len(layers), len(ids))}
	}
	f := imageFile{Config: config.Config}
	left := &room{bytes: maxImageBytes, files: maxImageFiles}
	chain := ""
	for n, l := range layers {
		if !digests.MatchString(ids[n].String()) {
			return nil, &BadImageError{name, fmt.Errorf("layer %d has the digest %q", n+1, ids[n])}
		}
		chain = chainOf(chain, ids[n].String())
		if err := s.layer(ctx, chain, ids[n].Hex, l, f.Layers, left); err != nil {
			if ctx.Err() != nil {
				return nil, context.Cause(ctx)
			}
			return nil, fmt.Errorf("layer %d of %d: %w", n+1, len(layers), err)
		}
		f.Layers = append(f.Layers, chain)
	}
	data, err := json.Marshal(f)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := atomicfile.Write(s.imageFile(digest), data); err != nil {
		return nil, err
	}
	s.used[digest]++
	return &Image{Digest: digest, config: f.Config, layers: f.Layers, store: s}, nil
}

// chainOf is the name of a layer on those below it.
func chainOf(below, id string) string {
	if below == "" {
		return strings.TrimPrefix(id, "sha256:")
	}
	sum := sha256.Sum256([]byte("sha256:" + below + " " + id))
	return hex.EncodeToString(sum[:])
}

// layer unpacks one unless it is here.
func (s *store) layer(ctx context.Context, chain, id string, l v1.Layer, below []string, left *room) (err error) {
	dir := s.layerDir(chain)
	if _, err := os.Stat(filepath.Join(dir, "layer")); err == nil {
		return nil
	}
	staging, err := os.MkdirTemp(s.dir, ".unpacking-")
	if err != nil {
		return fmt.Errorf("keep the image: %w", err)
	}
	defer func() { _ = os.RemoveAll(staging) }()
	tree := filepath.Join(staging, "tree")
	if err := os.Mkdir(tree, 0o755); err != nil {
		return fmt.Errorf("keep the image: %w", err)
	}
	root, err := os.OpenRoot(tree)
	if err != nil {
		return fmt.Errorf("keep the image: %w", err)
	}
	defer func() { _ = root.Close() }()
	u := &unpacker{root: root, room: left}
	for _, lower := range slices.Backward(below) {
		u.lower = append(u.lower, filepath.Join(s.layerDir(lower), "tree"))
	}
	in, err := l.Uncompressed()
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }()
	sum := &summed{Reader: in, hash: sha256.New()}
	if err := u.unpack(ctx, sum); err != nil {
		return err
	}
	// What stands after the end of the tar counts too.
	if n, err := io.Copy(io.Discard, io.LimitReader(sum, maxTail+1)); err != nil {
		return err
	} else if n > maxTail {
		return errors.New("much follows the end of its tar")
	}
	if got := hex.EncodeToString(sum.hash.Sum(nil)); got != id {
		return fmt.Errorf("its contents have the digest %s, and the image says %s", got, id)
	}
	for _, dir := range u.opaque {
		hide(root, dir)
	}
	data, err := json.Marshal(layerFile{Opaque: u.opaque})
	if err == nil {
		err = os.WriteFile(filepath.Join(staging, "layer"), data, 0o600)
	}
	if err == nil {
		err = syncAll(staging) // a name must not lead to less than all of it
	}
	if err == nil {
		err = os.RemoveAll(dir)
	}
	if err == nil {
		err = os.Rename(staging, dir)
	}
	if err != nil {
		return fmt.Errorf("keep the image: %w", err)
	}
	return nil
}

// maxTail is the most that may follow the end of a tar, bytes: writers fill up
// their last block.
const maxTail = 1 << 20

// summed computes the digest of what is read.
type summed struct {
	io.Reader
	hash hash.Hash
}

func (s *summed) Read(p []byte) (int, error) {
	n, err := s.Reader.Read(p)
	s.hash.Write(p[:n])
	return n, err
}

// hide has overlayfs hide the lower layers' folder. Where the file system does not
// keep such an attribute there is no overlay either, and copies read the layer's
// list.
func hide(root *os.Root, dir string) {
	if f, err := root.Open(dir); err == nil {
		_ = unix.Fsetxattr(int(f.Fd()), "trusted.overlay.opaque", []byte("y"), 0)
		_ = f.Close()
	}
}

func syncAll(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(unix.Syncfs(int(f.Fd())), f.Close())
}

// Release gives an image up; its files go with the last who had it.
func (i *Image) Release() {
	s := i.store
	s.mu.Lock()
	s.used[i.Digest]--
	last := s.used[i.Digest] <= 0
	if last {
		delete(s.used, i.Digest)
	}
	s.mu.Unlock()
	if !last {
		return
	}
	select {
	case s.turn <- struct{}{}:
		s.tidy()
	default: // whoever pulls now counts on layers that are here, and tidies up then
	}
}

// tidy removes what nobody needs, and gives the turn up.
func (s *store) tidy() {
	s.mu.Lock()
	s.collect()
	s.mu.Unlock()
	<-s.turn
}

// sweep removes what no function has, and what was left half done.
func (s *store) sweep() {
	s.turn <- struct{}{}
	defer s.tidy()
	if entries, err := os.ReadDir(s.dir); err == nil {
		for _, e := range entries {
			if strings.HasPrefix(e.Name(), ".unpacking-") {
				_ = os.RemoveAll(filepath.Join(s.dir, e.Name()))
			}
		}
	}
}

// collect removes images that nobody has and layers that no image has. What cannot
// be removed only takes room. The caller holds turn and s.mu.
func (s *store) collect() {
	needed := make(map[string]bool)
	for digest := range s.used {
		if i := s.read(digest); i != nil {
			needed[filepath.Base(s.imageFile(digest))] = true
			for _, chain := range i.layers {
				needed[chain] = true
			}
		}
	}
	for _, sub := range []string{"images", "layers"} {
		entries, err := os.ReadDir(filepath.Join(s.dir, sub))
		if err != nil {
			continue
		}
		for _, e := range entries {
			if !needed[e.Name()] {
				_ = os.RemoveAll(filepath.Join(s.dir, sub, e.Name()))
			}
		}
	}
}
