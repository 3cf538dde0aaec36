package ocitest

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// Entry of a layer's tar. Type is tar's; 0 is a file.
type Entry struct {
	Name, Text, Link string
	Type             byte
	Mode             int64
	UID, GID         int
}

// Tar writes entries as they are, the wrong ones too.
func Tar(t testing.TB, entries ...Entry) []byte {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, e := range entries {
		h := &tar.Header{
			Typeflag: tar.TypeReg, Name: e.Name, Linkname: e.Link, Mode: e.Mode, Size: int64(len(e.Text)),
			Uid: e.UID, Gid: e.GID, ModTime: time.Unix(1e9, 0).UTC(),
		}
		if e.Type != 0 {
			h.Typeflag = e.Type
		}
		err := w.WriteHeader(h)
		if err == nil {
			_, err = io.WriteString(w, e.Text)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// Layer is one of entries.
func Layer(t testing.TB, entries ...Entry) v1.Layer {
	t.Helper()
	return static.NewLayer(Tar(t, entries...), types.OCIUncompressedLayer)
}

// Image is one for this machine's platform, or for another architecture.
func Image(t testing.TB, arch string, config v1.Config, layers ...v1.Layer) v1.Image {
	t.Helper()
	if arch == "" {
		arch = runtime.GOARCH
	}
	img, err := mutate.ConfigFile(empty.Image, &v1.ConfigFile{
		Architecture: arch, OS: "linux", RootFS: v1.RootFS{Type: "layers"}, Config: config,
	})
	if err == nil {
		img, err = mutate.AppendLayers(img, layers...)
	}
	if err != nil {
		t.Fatal(err)
	}
	return img
}

// Registry serves one on loopback, behind a door that may refuse, and returns its
// host and port.
func Registry(t testing.TB, door func(http.ResponseWriter, *http.Request) bool) string {
	t.Helper()
	inside := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if door == nil || door(w, r) {
			inside.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://")
}

// Put brings an image or an index to a registry and returns its name there.
func Put(t testing.TB, host, as string, image remote.Taggable, o ...remote.Option) string {
	t.Helper()
	tag, err := name.NewTag(host + "/" + as)
	if err == nil {
		err = remote.Push(tag, image, o...)
	}
	if err != nil {
		t.Fatal(err)
	}
	return tag.Name()
}

// Login is a password of Put.
func Login(user, password string) remote.Option {
	return remote.WithAuth(&authn.Basic{Username: user, Password: password})
}

// Build compiles a program without C to a file, so that it runs in an image with
// nothing else.
func Build(out, pkg string) error {
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", out, pkg)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-buildvcs=false -p=2")
	if text, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build %s: %w: %s", pkg, err, text)
	}
	return nil
}

// Runc skips the test where images cannot be run.
func Runc(t testing.TB) {
	t.Helper()
	switch _, err := exec.LookPath("runc"); {
	case os.Getuid() != 0:
		t.Skip("containers are run by root")
	case errors.Is(err, exec.ErrNotFound):
		t.Skip("runc is not installed (apt-get install runc)")
	}
}
