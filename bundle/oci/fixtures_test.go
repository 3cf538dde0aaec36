package oci

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"

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
	cmd := exec.Command("go", "build", "-trimpath", "-o", out, "./cmd/chiron-agent")
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

// entry of a layer; its mode says what it is.
type entry struct {
	name, text, link string
	mode             fs.FileMode
}

func layerOf(t *testing.T, entries ...entry) v1.Layer {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, e := range entries {
		h := &tar.Header{Name: e.name, Mode: int64(e.mode.Perm()), Size: int64(len(e.text)), Typeflag: tar.TypeReg, ModTime: epoch}
		switch {
		case e.link != "":
			h.Typeflag, h.Linkname = tar.TypeSymlink, e.link
		case e.mode.IsDir():
			h.Typeflag = tar.TypeDir
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, e.text); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(out.Bytes())), nil })
	if err != nil {
		t.Fatal(err)
	}
	return layer
}

// imageOf is a base of layers.
func imageOf(t *testing.T, arch string, config v1.Config, layers ...v1.Layer) v1.Image {
	t.Helper()
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

// pretended are files that look like a Python's to who does not run them.
func pretended(python, glibc string) []entry {
	minor := python[:strings.LastIndex(python, ".")]
	return []entry{
		{name: "usr/local/bin/python" + minor, mode: 0o755, text: "\x00" + python + "\x00"},
		{name: "usr/local/bin/python3", link: "python" + minor},
		{name: "lib", link: "usr/lib"},
		{name: "usr/lib/x86_64-linux-gnu/libc.so.6", mode: 0o755, text: "GNU C Library (Debian GLIBC " + glibc + "-9) stable release version " + glibc + ".\n"},
	}
}

func pretendedBase(t *testing.T, arch string) v1.Image {
	return imageOf(t, arch, v1.Config{Env: []string{"PATH=/usr/local/bin:/usr/bin"}}, layerOf(t, pretended("3.11.4", "2.36")...))
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
	return mutate.AppendManifests(index, mutate.IndexAddendum{Add: imageOf(t, "unknown", v1.Config{}), Descriptor: v1.Descriptor{
		Platform: &v1.Platform{OS: "unknown", Architecture: "unknown"},
	}})
}

// serveRegistry is a registry on loopback behind a door that may refuse.
func serveRegistry(t *testing.T, door func(http.ResponseWriter, *http.Request) bool) string {
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

// put brings a base to a registry and returns its name.
func putBase(t *testing.T, registry string, base remote.Taggable) string {
	t.Helper()
	ref, err := name.NewTag(registry + "/python:3.11-slim")
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Push(ref, base); err != nil {
		t.Fatal(err)
	}
	return ref.Name()
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
		o.CacheDir = t.TempDir()
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
