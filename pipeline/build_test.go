package pipeline

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"github.com/chiron-faas/chiron/plan"
	"github.com/chiron-faas/chiron/workflow"
)

// agentAndBase are a program that can be an agent and a file that can be a base,
// for an image that nobody runs.
func agentAndBase(t *testing.T) (agent, base string) {
	t.Helper()
	dir := t.TempDir()
	agent, base = filepath.Join(dir, "agent"), filepath.Join(dir, "base.tar")
	write(t, dir, "go.mod", "module github.com/chiron-faas/chiron\n\ngo 1.26\n")
	write(t, dir, "cmd/chiron-agent/main.go", "package main\n\nfunc main() {}\n")
	build := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", agent, "./cmd/chiron-agent")
	build.Dir = dir
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH=amd64", "GOFLAGS=-buildvcs=false")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	var files bytes.Buffer
	w := tar.NewWriter(&files)
	for file, text := range map[string]string{
		"usr/bin/python3.11": "\x003.11.4\x00",
		"usr/lib/libc.so.6":  "GNU C Library (GNU libc) stable release version 2.36.\n",
	} {
		err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: file, Mode: 0o755, Size: int64(len(text))})
		if _, err2 := io.WriteString(w, text); err != nil || err2 != nil {
			t.Fatal(err, err2)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(files.Bytes())), nil })
	if err != nil {
		t.Fatal(err)
	}
	img, err := mutate.ConfigFile(empty.Image, &v1.ConfigFile{Architecture: "amd64", OS: "linux", RootFS: v1.RootFS{Type: "layers"}})
	if err == nil {
		img, err = mutate.AppendLayers(img, layer)
	}
	if err == nil {
		err = tarball.WriteToFile(base, name.MustParseReference("python:3.11"), img)
	}
	if err != nil {
		t.Fatal(err)
	}
	return agent, base
}

// TestBuild makes folders, and images that go to all three places at once.
func TestBuild(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	t.Setenv("DOCKER_CONFIG", t.TempDir())
	p := load(t, writeProject(t))
	o := BuildOptions{Project: p, Plan: functionPlan(p)}
	folders, err := Build(t.Context(), o)
	if err != nil || len(folders.Bundles) != len(o.Plan.Wraps) || folders.Images != nil {
		t.Fatalf("folders: %+v, %v", folders, err)
	}
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(server.Close)
	host := strings.TrimPrefix(server.URL, "http://")
	agent, base := agentAndBase(t)
	dir := t.TempDir()
	o.Agents, o.Base, o.Tag = []string{agent}, base, "v1"
	o.Push, o.Tarball, o.Layout = host+"/team", filepath.Join(dir, "images.tar"), filepath.Join(dir, "layout")
	var said []string
	o.Progress = func(n Note) { said = append(said, n.Text) }
	built, err := Build(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	for i, reference := range built.References {
		ref, err := name.ParseReference(reference)
		if err != nil {
			t.Fatal(err)
		}
		pulled, err := remote.Get(ref)
		if err != nil || pulled.Digest.String() != built.Images[i].Digest {
			t.Errorf("%s: %v", reference, err)
		}
		if want := host + "/team/" + p.Name + "-" + o.Plan.Wraps[i].Name + ":v1"; built.Names[i] != want {
			t.Errorf("name %s, want %s", built.Names[i], want)
		}
	}
	if len(built.References) != len(o.Plan.Wraps) {
		t.Errorf("references %v", built.References)
	}
	for _, file := range []string{o.Tarball, filepath.Join(o.Layout, "index.json")} {
		if _, err := os.Stat(file); err != nil {
			t.Error(err)
		}
	}
	if text := strings.Join(said, "\n"); !strings.Contains(text, "pushing "+host) || !strings.Contains(text, "writing ") {
		t.Errorf("progress: %s", text)
	}
	o.Push = "me:s3cret@" + host
	if _, err := Build(t.Context(), o); err == nil || strings.Contains(err.Error(), "s3cret") {
		t.Errorf("a password in the name: %v", err)
	}
}

// functionPlan gives every function a wrap of its own.
func functionPlan(p *workflow.Project) *plan.Plan {
	made := &plan.Plan{Workflow: p.Name, Model: "test"}
	wraps := make(map[string]int)
	for _, t := range p.Definition.Tasks() {
		i, ok := wraps[t.Function]
		if !ok {
			i = len(made.Wraps)
			wraps[t.Function] = i
			made.Wraps = append(made.Wraps, plan.Wrap{
				Name: fmt.Sprintf("wrap-%d", i+1), CPUs: 1,
				Processes: []plan.Process{{Mode: plan.Pool, CPU: plan.Unpinned}},
			})
		}
		tasks := &made.Wraps[i].Processes[0].Tasks
		*tasks = append(*tasks, t.Name)
	}
	return made
}
