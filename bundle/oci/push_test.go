package oci

import (
	"encoding/base64"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chiron-faas/chiron/bundle/oci/ocitest"
)

// login writes a Docker configuration with one password, as docker login does.
func login(t *testing.T, registry, user, password string) {
	t.Helper()
	dir := t.TempDir()
	text := `{"auths":{"` + registry + `":{"auth":"` + base64.StdEncoding.EncodeToString([]byte(user+":"+password)) + `"}}}`
	if err := os.WriteFile(filepath.Join(dir, "config.json"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("DOCKER_CONFIG", dir)
}

// TestRights pushes to, and reads a base from, registries that ask for a password
// or do not let everybody in.
func TestRights(t *testing.T) {
	locked := func(w http.ResponseWriter, r *http.Request) bool {
		user, password, ok := r.BasicAuth()
		switch {
		case !ok || password != "s3cret":
			w.Header().Set("WWW-Authenticate", `Basic realm="registry"`)
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = w.Write([]byte(`{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}`))
			return false
		case user == "reader" && r.Method != http.MethodGet && r.Method != http.MethodHead:
			w.WriteHeader(http.StatusForbidden)
			_, _ = w.Write([]byte(`{"errors":[{"code":"DENIED","message":"reader may not write"}]}`))
			return false
		}
		return true
	}
	host := ocitest.Registry(t, locked)
	p := project(t, twoTasks)
	layout := filepath.Join(t.TempDir(), "base")
	writeBaseLayout(t, layout, pretendedBase(t, "amd64"))
	images := build(t, Options{Project: p, Plan: apart(p), Base: layout})
	push := func() ([]string, error) {
		return Push(t.Context(), images, PushOptions{Naming: Naming{Prefix: host + "/team"}})
	}
	for _, c := range []struct {
		user, password string
		status         int
		want           []string
	}{
		{"", "", 401, []string{"push " + host + "/team/two-wrap-1:latest", "docker login " + host}},
		{"writer", "wr0ng", 401, []string{"docker login " + host, "401"}},
		{"reader", "s3cret", 403, []string{"403", "reader may not write"}},
		{"writer", "s3cret", 0, nil},
	} {
		t.Run(c.user+c.password, func(t *testing.T) {
			if c.user != "" {
				login(t, host, c.user, c.password)
			} else {
				t.Setenv("DOCKER_CONFIG", t.TempDir())
			}
			references, err := push()
			if c.status == 0 {
				if err != nil || len(references) != 2 {
					t.Fatalf("%v, %v", references, err)
				}
				// What is there may be a base for who may read.
				login(t, host, "reader", "s3cret")
				if _, err := tryBuild(t, Options{Project: p, Plan: apart(p), Base: references[0], CacheDir: t.TempDir()}); err != nil {
					t.Error(err)
				}
				t.Setenv("DOCKER_CONFIG", t.TempDir())
				_, err = tryBuild(t, Options{Project: p, Plan: apart(p), Base: references[0], CacheDir: t.TempDir()})
				checkRefused(t, err, 401, "read "+references[0], "docker login "+host)
				return
			}
			checkRefused(t, err, c.status, c.want...)
		})
	}
}

func checkRefused(t *testing.T, err error, status int, wants ...string) {
	t.Helper()
	var refused *RegistryError
	if !errors.As(err, &refused) || refused.Status != status {
		t.Fatalf("got %v, want status %d", err, status)
	}
	for _, want := range wants {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error %q does not say %q", err, want)
		}
	}
	for _, never := range []string{"s3cret", "wr0ng", base64.StdEncoding.EncodeToString([]byte("writer:wr0ng")), "\n"} {
		if strings.Contains(err.Error(), never) {
			t.Errorf("error %q holds %q", err, never)
		}
	}
}

func TestSpelled(t *testing.T) {
	for in, want := range map[string]string{
		"index.docker.io/library/python:3.12": "docker.io/library/python:3.12", "registry.example.org/x:y": "registry.example.org/x:y",
	} {
		if got := spelled(in); got != want {
			t.Errorf("%s: %s", in, got)
		}
	}
}

// TestNoRegistry: what answers is no registry, or nothing does.
func TestNoRegistry(t *testing.T) {
	t.Setenv("DOCKER_CONFIG", t.TempDir())
	page := ocitest.Registry(t, func(w http.ResponseWriter, _ *http.Request) bool {
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(http.StatusNotFound)
		_, _ = w.Write([]byte("<html><body>" + strings.Repeat("Not here. ", 100) + "</body></html>"))
		return false
	})
	p := project(t, twoTasks)
	layout := filepath.Join(t.TempDir(), "base")
	writeBaseLayout(t, layout, pretendedBase(t, "amd64"))
	images := build(t, Options{Project: p, Plan: apart(p), Base: layout})
	_, err := Push(t.Context(), images, PushOptions{Naming: Naming{Prefix: page}})
	if err == nil || strings.Contains(err.Error(), "<html>") || strings.Contains(err.Error(), "\n") || !strings.Contains(err.Error(), page) {
		t.Errorf("a page: %v", err)
	}
	// Port 9 (discard) serves nobody on loopback.
	_, err = tryBuild(t, Options{Project: p, Plan: apart(p), Base: "127.0.0.1:9/python:3.11"})
	checkRefused(t, err, 0, "read 127.0.0.1:9/python:3.11", "cannot be reached")
	host := ocitest.Registry(t, nil)
	_, err = tryBuild(t, Options{Project: p, Plan: apart(p), Base: host + "/python:3.99"})
	checkRefused(t, err, 404, "has no such image")
}

func TestNaming(t *testing.T) {
	img := &Image{Workflow: "hello", Wrap: "wrap-1", Digest: "sha256:abc"}
	for _, c := range []struct {
		n               Naming
		name, reference string
	}{
		{Naming{}, "hello-wrap-1:latest", "hello-wrap-1@sha256:abc"},
		{Naming{Prefix: "registry.example.org/team/", Tag: "v2"}, "registry.example.org/team/hello-wrap-1:v2", "registry.example.org/team/hello-wrap-1@sha256:abc"},
	} {
		if err := c.n.Check(); err != nil || c.n.Name(img) != c.name || c.n.Reference(img) != c.reference {
			t.Errorf("%+v: %q, %q, %v", c.n, c.n.Name(img), c.n.Reference(img), err)
		}
	}
	for _, n := range []Naming{
		{Prefix: "user:s3cret@registry.example.org/team"},
		{Prefix: "https://registry.example.org"},
		{Prefix: "registry.example.org/Team"},
		{Prefix: "registry.example.org/team:v1"},
		{Tag: "two words"},
	} {
		if err := n.Check(); err == nil || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%+v: %v", n, err)
		}
	}
}
