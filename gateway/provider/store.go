package provider

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/chiron-faas/chiron/bundle"
	"github.com/chiron-faas/chiron/internal/atomicfile"
	"github.com/chiron-faas/chiron/internal/openfaas"
)

// bundleStore has copies of the bundles that functions run, one for each digest.
type bundleStore struct {
	dir string

	mu   sync.Mutex
	used map[string]int // by folder; guarded by mu
}

// errBadImage is the fault of who asked.
type errBadImage struct{ error }

// bundlePrefix begins the images that are bundles.
const bundlePrefix = "bundle:"

// parseImage reads the name of an image that is a bundle:
// "bundle:/srv/bundles/wrap-1", with the digest that the bundle must have
// ("@sha256:…") or without.
func parseImage(image string) (dir, digest string, err error) {
	dir = strings.TrimPrefix(image, bundlePrefix)
	if at := strings.LastIndex(dir, "@sha256:"); at >= 0 {
		dir, digest = dir[:at], dir[at+1:]
		if !digests.MatchString(digest) {
			return "", "", errBadImage{fmt.Errorf("image %q: %q is no digest", image, digest)}
		}
	}
	if !filepath.IsAbs(dir) {
		return "", "", errBadImage{fmt.Errorf("image %q: the bundle's path must be absolute", image)}
	}
	return filepath.Clean(dir), digest, nil
}

// digests are folders' names too.
var digests = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)

// take copies a bundle, unless it is here already, and returns the copy, which
// release gives back.
func (s *bundleStore) take(image string) (bundle.Bundle, error) {
	from, digest, err := parseImage(image)
	if err != nil {
		return bundle.Bundle{}, err
	}
	if digest != "" {
		if b, err := s.keep(digest, ""); err == nil { // whatever the folder holds by now
			return b, nil
		}
	}
	made, err := bundle.Verify(from)
	if err != nil {
		return bundle.Bundle{}, errBadImage{fmt.Errorf("image %q is no whole bundle: %w", image, err)}
	}
	if digest != "" && made.Digest != digest {
		return bundle.Bundle{}, errBadImage{fmt.Errorf("image %q: the folder holds another bundle (%s): it was built anew", image, made.Digest)}
	}
	return s.keep(made.Digest, from)
}

// keep makes sure that the bundle of a digest is here; from is where to copy it
// from, empty: it has to be here.
func (s *bundleStore) keep(digest, from string) (bundle.Bundle, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	dir := filepath.Join(s.dir, strings.TrimPrefix(digest, "sha256:"))
	if from != "" {
		if err := s.copy(from, dir, digest); err != nil {
			return bundle.Bundle{}, err
		}
	}
	b, err := bundle.Open(dir)
	if err == nil {
		s.used[dir]++
	}
	return b, err
}

// copy puts the bundle in place whole, or not at all; the caller holds s.mu.
func (s *bundleStore) copy(from, dir, digest string) error {
	if there, err := bundle.Verify(dir); err == nil && there.Digest == digest {
		return nil
	}
	staging, err := os.MkdirTemp(s.dir, ".copying-")
	if err != nil {
		return fmt.Errorf("keep the bundle: %w", err)
	}
	defer func() { _ = os.RemoveAll(staging) }()
	made := filepath.Join(staging, "bundle")
	if err := os.CopyFS(made, os.DirFS(from)); err != nil {
		return fmt.Errorf("keep the bundle: %w", err)
	}
	if b, err := bundle.Verify(made); err != nil || b.Digest != digest {
		return errBadImage{fmt.Errorf("bundle %s changed while it was copied: build it again (%w)", from, err)}
	}
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("keep the bundle: %w", err)
	}
	if err := os.Rename(made, dir); err != nil {
		return fmt.Errorf("keep the bundle: %w", err)
	}
	return nil
}

func (s *bundleStore) release(b bundle.Bundle) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.used[b.Dir]--; s.used[b.Dir] <= 0 {
		delete(s.used, b.Dir)
		_ = os.RemoveAll(b.Dir) // what is left of it is swept at the next start
	}
}

// sweep removes what no function has.
func (s *bundleStore) sweep() {
	s.mu.Lock()
	defer s.mu.Unlock()
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return
	}
	for _, e := range entries {
		if dir := filepath.Join(s.dir, e.Name()); s.used[dir] == 0 {
			_ = os.RemoveAll(dir)
		}
	}
}

// record is a function's file in the state folder.
type record struct {
	Spec       openfaas.Deployment `json:"spec"`
	Digest     string              `json:"digest"`
	Created    time.Time           `json:"created"`
	Generation int                 `json:"generation"`
}

func (p *Provider) recordFile(name string) string {
	return filepath.Join(p.options.Dir, "functions", name, "function.json")
}

func (p *Provider) write(name string, r record) error {
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("write function %q: %w", name, err)
	}
	if err := os.MkdirAll(filepath.Dir(p.recordFile(name)), 0o700); err != nil {
		return fmt.Errorf("write function %q: %w", name, err)
	}
	return atomicfile.Write(p.recordFile(name), append(data, '\n'))
}

// load reads what an earlier provider has left.
func (p *Provider) load() error {
	entries, err := os.ReadDir(filepath.Join(p.options.Dir, "functions"))
	if err != nil {
		return fmt.Errorf("state folder: %w", err)
	}
	for _, e := range entries {
		data, err := os.ReadFile(p.recordFile(e.Name()))
		if errors.Is(err, fs.ErrNotExist) {
			continue // a deployment that was not finished: nobody was told that it was
		}
		var r record
		if err == nil {
			err = json.Unmarshal(data, &r)
		}
		if err != nil {
			return fmt.Errorf("state folder: function %q: %w", e.Name(), err)
		}
		p.functions[e.Name()] = &function{name: e.Name(), spec: r.Spec, digest: r.Digest, created: r.Created, generation: r.Generation}
	}
	return nil
}

// secretStore has secrets, a file each.
type secretStore struct {
	dir string
	mu  sync.Mutex
}

var (
	errSecretExists = errors.New("exists already")
	errNoSecret     = errors.New("is not there")
)

// names lists them.
func (s *secretStore) names() ([]string, error) {
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), ".") {
			names = append(names, e.Name())
		}
	}
	slices.Sort(names)
	return names, nil
}

func (s *secretStore) value(name string) ([]byte, error) {
	data, err := os.ReadFile(filepath.Join(s.dir, name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errNoSecret
	}
	return data, err
}

// put writes a secret that must be new, or must not.
func (s *secretStore) put(name string, value []byte, isNew bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, err := os.Stat(filepath.Join(s.dir, name))
	switch there := err == nil; {
	case there && isNew:
		return errSecretExists
	case !there && !isNew:
		return errNoSecret
	}
	return writeSecret(filepath.Join(s.dir, name), value, private)
}

func (s *secretStore) remove(name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	err := os.Remove(filepath.Join(s.dir, name))
	if errors.Is(err, fs.ErrNotExist) {
		return errNoSecret
	}
	return err
}

// Who may read a file with a secret: only this user, or whoever reaches its folder.
const (
	private  fs.FileMode = 0o600
	readable fs.FileMode = 0o444
)

// writeSecret writes a file whole or not at all.
func writeSecret(path string, data []byte, mode fs.FileMode) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".writing-*") // 0600
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Chmod(mode)
	}
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}

// bytes is the secret's value.
func (s secret) bytes() []byte {
	if len(s.RawValue) > 0 {
		return s.RawValue
	}
	return []byte(s.Value)
}

// UnmarshalJSON takes a raw value in base64 and keeps every value out of errors.
func (s *secret) UnmarshalJSON(data []byte) error {
	var raw struct {
		Name, Namespace, Value, RawValue string
	}
	if json.Unmarshal(data, &raw) != nil {
		return errors.New("it is no JSON object of name, namespace and value")
	}
	s.Name, s.Namespace, s.Value = raw.Name, raw.Namespace, raw.Value
	var err error
	if s.RawValue, err = base64.StdEncoding.DecodeString(raw.RawValue); err != nil {
		return errors.New("rawValue is not in base64")
	}
	return nil
}
