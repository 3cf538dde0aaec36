package container

import (
	"archive/tar"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"

	"github.com/chiron-faas/chiron/bundle/oci/ocitest"
)

func newStore(t *testing.T) *store {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("files of an image have owners, which only root can give")
	}
	s, err := openStore(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func pulled(t *testing.T, s *store, img v1.Image) *Image {
	t.Helper()
	i, err := tryPull(t, s, img)
	if err != nil {
		t.Fatal(err)
	}
	return i
}

func tryPull(t *testing.T, s *store, img v1.Image) (*Image, error) {
	t.Helper()
	digest, err := img.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return s.pull(t.Context(), "127.0.0.1/x:1", digest.String(), img)
}

func (s *store) counts(t *testing.T) string {
	t.Helper()
	var n []int
	for _, sub := range []string{"images", "layers"} {
		entries, err := os.ReadDir(filepath.Join(s.dir, sub))
		if err != nil {
			t.Fatal(err)
		}
		n = append(n, len(entries))
	}
	if left, err := filepath.Glob(filepath.Join(s.dir, ".unpacking-*")); err != nil || len(left) > 0 {
		t.Errorf("half unpacked: %v, %v", left, err)
	}
	return fmt.Sprintf("%d images, %d layers", n[0], n[1])
}

// TestStore: layers are there once for all images that have them, and go with the
// last of these.
func TestStore(t *testing.T) {
	s := newStore(t)
	base := ocitest.Layer(t, ocitest.Entry{Name: "etc/os", Text: "debian", Mode: 0o644})
	one := ocitest.Image(t, "", v1.Config{Cmd: []string{"a"}}, base, ocitest.Layer(t, ocitest.Entry{Name: "a", Text: "1", Mode: 0o755}))
	two := ocitest.Image(t, "", v1.Config{Cmd: []string{"b"}}, base, ocitest.Layer(t, ocitest.Entry{Name: "b", Text: "2", Mode: 0o755}))
	a, b := pulled(t, s, one), pulled(t, s, two)
	again := pulled(t, s, one)
	if got := s.counts(t); got != "2 images, 3 layers" {
		t.Error(got)
	}
	if a.layers[0] != b.layers[0] || a.config.Cmd[0] != "a" {
		t.Errorf("%+v, %+v", a, b)
	}
	a.Release()
	if got := s.counts(t); got != "2 images, 3 layers" {
		t.Errorf("while one has it: %s", got)
	}
	again.Release()
	if got := s.counts(t); got != "1 images, 2 layers" {
		t.Errorf("when nobody has it: %s", got)
	}
	// A store that is opened again knows them; what nobody asks for is swept.
	s2, err := openStore(s.dir)
	if err != nil {
		t.Fatal(err)
	}
	if held := s2.hold(b.Digest); held == nil || held.config.Cmd[0] != "b" {
		t.Fatalf("%+v", held)
	}
	if err := os.MkdirAll(filepath.Join(s.dir, ".unpacking-1", "tree"), 0o700); err != nil {
		t.Fatal(err)
	}
	s2.sweep()
	if got := s2.counts(t); got != "1 images, 2 layers" {
		t.Errorf("swept: %s", got)
	}
	for _, digest := range []string{"sha256:" + strings.Repeat("0", 64), "../../etc/passwd", ""} {
		if held := s2.hold(digest); held != nil {
			t.Errorf("%q: %+v", digest, held)
		}
	}
	s2.mu.Lock()
	s2.used = make(map[string]int)
	s2.mu.Unlock()
	s2.sweep()
	if got := s2.counts(t); got != "0 images, 0 layers" {
		t.Errorf("swept: %s", got)
	}
}

// TestStoreRefuses: an image that is not what it says leaves nothing.
func TestStoreRefuses(t *testing.T) {
	s := newStore(t)
	good := ocitest.Layer(t, ocitest.Entry{Name: "a", Text: "1", Mode: 0o755})
	lies := ocitest.Image(t, "", v1.Config{}, good)
	config, err := lies.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	config = config.DeepCopy()
	config.RootFS.DiffIDs[0].Hex = strings.Repeat("0", 64)
	if lies, err = mutate.ConfigFile(lies, config); err != nil {
		t.Fatal(err)
	}
	many := make([]v1.Layer, maxLayers+1)
	for n := range many {
		many[n] = ocitest.Layer(t, ocitest.Entry{Name: fmt.Sprint(n), Mode: 0o600})
	}
	for part, img := range map[string]v1.Image{
		"digest":     lies,
		"no layers":  ocitest.Image(t, "", v1.Config{}),
		"layers":     ocitest.Image(t, "", v1.Config{}, many...),
		"layer 2 of": ocitest.Image(t, "", v1.Config{}, good, ocitest.Layer(t, ocitest.Entry{Name: "../x", Text: "evil"})),
	} {
		if _, err := tryPull(t, s, img); err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("got %v, want %q", err, part)
		}
	}
	s.sweep()
	if got := s.counts(t); got != "0 images, 0 layers" {
		t.Errorf("left: %s", got)
	}
}

// TestRootfs: a copy has the files that an overlay shows.
func TestRootfs(t *testing.T) {
	s := newStore(t)
	img := pulled(t, s, ocitest.Image(t, "", v1.Config{},
		ocitest.Layer(t,
			ocitest.Entry{Name: "bin/sh", Text: "shell", Mode: 0o755},
			ocitest.Entry{Name: "etc/passwd", Text: "root", Mode: 0o644},
			ocitest.Entry{Name: "opt/old/a", Text: "a", Mode: 0o644},
			ocitest.Entry{Name: "var/b", Text: "b", Mode: 0o644, UID: 3},
			ocitest.Entry{Name: "was-folder/x", Text: "x", Mode: 0o644},
			ocitest.Entry{Name: "tmp/", Type: tar.TypeDir, Mode: 0o1777}),
		ocitest.Layer(t,
			ocitest.Entry{Name: "etc/.wh.passwd"},
			ocitest.Entry{Name: "opt/.wh..wh..opq"},
			ocitest.Entry{Name: "opt/new", Text: "n", Mode: 0o600},
			ocitest.Entry{Name: "sh", Link: "/bin/sh", Type: tar.TypeSymlink},
			ocitest.Entry{Name: "was-folder", Text: "file now", Mode: 0o644},
			ocitest.Entry{Name: "tmp/x", Text: "x", Mode: 0o644}),
		ocitest.Layer(t, ocitest.Entry{Name: "etc/passwd", Text: "app", Mode: 0o644})))
	want := map[string]string{
		"bin": "drwxr-xr-x 0", "bin/sh": "-rwxr-xr-x 0 shell", "etc": "drwxr-xr-x 0", "etc/passwd": "-rw-r--r-- 0 app",
		"opt": "drwxr-xr-x 0", "opt/new": "-rw------- 0 n", "var": "drwxr-xr-x 0", "var/b": "-rw-r--r-- 3 b",
		"was-folder": "-rw-r--r-- 0 file now", "sh": "Lrwxrwxrwx 0 -> /bin/sh", "tmp": "dtrwxrwxrwx 0", "tmp/x": "-rw-r--r-- 0 x",
	}
	t.Run("copy", func(t *testing.T) {
		dir := t.TempDir()
		if err := copyLayers(img, dir); err != nil {
			t.Fatal(err)
		}
		compareTree(t, dir, want)
	})
	t.Run("overlay", func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), "files: odd,name") // options of mount have these between them
		r, err := newRootfs(img, dir, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		if !r.overlaid {
			_ = r.remove()
			t.Skip("no overlay is permitted here")
		}
		compareTree(t, r.root(), want)
		if err := os.WriteFile(filepath.Join(r.root(), "bin", "sh"), []byte("changed"), 0o755); err != nil {
			t.Error(err)
		}
		if err := os.WriteFile(filepath.Join(r.root(), "big"), make([]byte, 2<<20), 0o600); err == nil {
			t.Error("it may write without bound")
		}
		if err := r.remove(); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("left: %v", err)
		}
		clean, err := newRootfs(img, dir, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		compareTree(t, clean.root(), want) // nobody else's changes
		// What a killed process leaves is found and taken away.
		if err := removeLeft(filepath.Dir(dir)); err != nil {
			t.Error(err)
		}
		if mounts, err := os.ReadFile("/proc/self/mountinfo"); err != nil || strings.Contains(string(mounts), filepath.Dir(dir)) {
			t.Errorf("still mounted, or %v", err)
		}
	})
}

func owner(info fs.FileInfo) uint32 { return info.Sys().(*syscall.Stat_t).Uid }

func compareTree(t *testing.T, dir string, want map[string]string) {
	t.Helper()
	got := make(map[string]string)
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || name == dir {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		text := fmt.Sprintf("%v %d", info.Mode(), owner(info))
		switch {
		case info.Mode().IsRegular():
			data, err := os.ReadFile(name)
			if err != nil {
				return err
			}
			text += " " + string(data)
		case info.Mode()&fs.ModeSymlink != 0:
			target, err := os.Readlink(name)
			if err != nil {
				return err
			}
			text += " -> " + target
		}
		rel, err := filepath.Rel(dir, name)
		got[rel] = text
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range want {
		if got[name] != text {
			t.Errorf("%s: %q, want %q", name, got[name], text)
		}
		delete(got, name)
	}
	for name, text := range got {
		t.Errorf("more than there should be: %s %s", name, text)
	}
}
