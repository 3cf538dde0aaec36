package oci

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/chiron-faas/chiron/bundle/oci/ocitest"
	"github.com/chiron-faas/chiron/host"
	"github.com/chiron-faas/chiron/internal/programtest"
	"github.com/chiron-faas/chiron/internal/wheeltest"
	"github.com/chiron-faas/chiron/plan"
	"github.com/chiron-faas/chiron/workflow"
)

// scratch is shared by all tests of the package, which build their agents once.
var scratch string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "oci")
	if err != nil {
		log.Fatal(err)
	}
	scratch = dir
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// compile builds the agent of the module in a folder for an architecture.
func compile(dir, out, arch string) error {
	// Without symbols, since all tests pack them: the race detector takes long for it.
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", out, "./cmd/chiron-agent")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+arch, "GOFLAGS=-buildvcs=false -p=2")
	if text, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, text)
	}
	return nil
}

// smallAgents are programs with the agent's import path that do nothing, for two
// architectures: images of them can be looked at, not run.
var smallAgents = sync.OnceValues(func() ([]string, error) {
	dir := filepath.Join(scratch, "small")
	if err := os.MkdirAll(filepath.Join(dir, "cmd", "chiron-agent"), 0o755); err != nil {
		return nil, err
	}
	err := errors.Join(
		os.WriteFile(filepath.Join(dir, "go.mod"), []byte("module github.com/chiron-faas/chiron\n\ngo 1.26\n"), 0o644),
		os.WriteFile(filepath.Join(dir, "cmd", "chiron-agent", "main.go"), []byte("package main\n\nfunc main() {}\n"), 0o644))
	var files []string
	for _, arch := range []string{"amd64", "arm64"} {
		files = append(files, filepath.Join(dir, arch))
		err = errors.Join(err, compile(dir, files[len(files)-1], arch))
	}
	return files, err
})

func agents(t *testing.T) []string {
	t.Helper()
	files, err := smallAgents()
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// realAgent is the real program, for this machine.
var realAgent = sync.OnceValues(func() (string, error) {
	return filepath.Join(scratch, programtest.Agent), programtest.Build(context.Background(), scratch, programtest.Options{}, programtest.Agent)
})

// layerOf packs a layer, as registries have them.
func layerOf(t *testing.T, entries ...ocitest.Entry) v1.Layer {
	t.Helper()
	data := ocitest.Tar(t, entries...)
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(data)), nil })
	if err != nil {
		t.Fatal(err)
	}
	return layer
}

// link is a symbolic one.
func link(name, to string) ocitest.Entry {
	return ocitest.Entry{Name: name, Link: to, Type: tar.TypeSymlink}
}

// pretended are files that look like a Python's to who does not run them.
func pretended(python, glibc string) []ocitest.Entry {
	minor := python[:strings.LastIndex(python, ".")]
	return []ocitest.Entry{
		{Name: "usr/local/bin/python" + minor, Mode: 0o755, Text: "\x00" + python + "\x00"},
		link("usr/local/bin/python3", "python"+minor),
		link("lib", "usr/lib"),
		{Name: "usr/lib/x86_64-linux-gnu/libc.so.6", Mode: 0o755, Text: "GNU C Library (Debian GLIBC " + glibc + "-9) stable release version " + glibc + ".\n"},
	}
}

func pretendedBase(t *testing.T, arch string) v1.Image {
	return ocitest.Image(t, arch, v1.Config{Env: []string{"PATH=/usr/local/bin:/usr/bin"}}, layerOf(t, pretended("3.11.4", "2.36")...))
}

// bothBases is an index for two architectures, and an attestation as builders add.
func bothBases(t *testing.T) v1.ImageIndex {
	t.Helper()
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, arch := range []string{"amd64", "arm64"} {
		img := pretendedBase(t, arch)
		desc, err := partial.Descriptor(img)
		if err != nil {
			t.Fatal(err)
		}
		desc.Platform = &v1.Platform{OS: "linux", Architecture: arch}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: img, Descriptor: *desc})
	}
	return mutate.AppendManifests(index, mutate.IndexAddendum{Add: ocitest.Image(t, "unknown", v1.Config{}), Descriptor: v1.Descriptor{
		Platform: &v1.Platform{OS: "unknown", Architecture: "unknown"},
	}})
}

// twoTasks is a project whose two functions can share a wrap or not.
var twoTasks = map[string]string{
	"chiron.yaml": `name: two
definition: workflow.asl.json
functions:
  greet: {lang: python, handler: greet}
  shout: {lang: python, handler: shout.py}
`,
	"workflow.asl.json": `{"StartAt":"Greet","States":{
		"Greet":{"Type":"Task","Resource":"greet","Next":"Shout"},
		"Shout":{"Type":"Task","Resource":"shout","End":true}}}`,
	"greet/handler.py": "def handle(req):\n    return 'hello ' + req\n",
	"shout.py":         "def handle(req):\n    return req.upper()\n",
}

func project(t *testing.T, parts ...map[string]string) *workflow.Project {
	t.Helper()
	dir := t.TempDir()
	for _, part := range parts {
		for file, text := range part {
			path := filepath.Join(dir, filepath.FromSlash(file))
			if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o644)); err != nil {
				t.Fatal(err)
			}
		}
	}
	p, err := workflow.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func apart(p *workflow.Project) *plan.Plan {
	pl := &plan.Plan{Workflow: p.Name, Model: "test"}
	for i, s := range p.Definition.Tasks() {
		pl.Wraps = append(pl.Wraps, plan.Wrap{
			Name: fmt.Sprintf("wrap-%d", i+1), CPUs: 1,
			Processes: []plan.Process{{Mode: plan.Pool, CPU: plan.Unpinned, Tasks: []string{s.Name}}},
		})
	}
	return pl
}

func together(p *workflow.Project) *plan.Plan {
	pl := &plan.Plan{Workflow: p.Name, Model: "test", Wraps: []plan.Wrap{{Name: "wrap-1", CPUs: 1}}}
	process := plan.Process{Mode: plan.Pool, CPU: plan.Unpinned}
	for _, s := range p.Definition.Tasks() {
		process.Tasks = append(process.Tasks, s.Name)
	}
	pl.Wraps[0].Processes = []plan.Process{process}
	return pl
}

var machinePython = sync.OnceValues(func() (host.Interpreter, error) {
	return host.FindInterpreter(context.Background(), "python", "")
})

// quickly finds this machine's python3, whatever is asked for.
func quickly(context.Context, string, string) (string, error) {
	i, err := machinePython()
	return i.Path, err
}

func build(t *testing.T, o Options) []Image {
	t.Helper()
	images, err := tryBuild(t, o)
	if err != nil {
		t.Fatal(err)
	}
	return images
}

func tryBuild(t *testing.T, o Options) ([]Image, error) {
	t.Helper()
	if o.CacheDir == "" {
		o.CacheDir = filepath.Join(scratch, "cache") // agents are packed once
	}
	if o.Agents == nil {
		o.Agents = agents(t)
	}
	if o.Interpreter == nil {
		o.Interpreter = quickly
	}
	return Build(t.Context(), o)
}

// wheels makes a folder the only place where pip looks; without pip it skips.
func wheels(t *testing.T) string {
	t.Helper()
	i, err := machinePython()
	if err != nil || exec.Command(i.Path, "-I", "-c", "import pip").Run() != nil {
		t.Skip("the machine's python3 has no pip")
	}
	return wheeltest.Only(t)
}

// contents are an image's files by absolute path, as a container sees them.
func contents(t *testing.T, img v1.Image) map[string]*tar.Header {
	t.Helper()
	files := make(map[string]*tar.Header)
	each(t, img, func(h *tar.Header, _ io.Reader) { files["/"+strings.TrimSuffix(h.Name, "/")] = h })
	return files
}

func each(t *testing.T, img v1.Image, visit func(*tar.Header, io.Reader)) {
	t.Helper()
	stream := mutate.Extract(img)
	defer func() { _ = stream.Close() }()
	for r := tar.NewReader(stream); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		visit(h, r)
	}
}

// read is one file's text.
func read(t *testing.T, img v1.Image, file string) string {
	t.Helper()
	text := ""
	each(t, img, func(h *tar.Header, r io.Reader) {
		if "/"+h.Name == file {
			data, err := io.ReadAll(r)
			if err != nil {
				t.Fatal(err)
			}
			text = string(data)
		}
	})
	return text
}

func digests(images []Image) []string {
	var all []string
	for _, i := range images {
		all = append(all, i.Digest)
	}
	return slices.Clip(all)
}
