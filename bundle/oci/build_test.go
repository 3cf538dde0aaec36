package oci

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/google/go-containerregistry/pkg/v1/validate"

	"github.com/chiron-faas/chiron/bundle/oci/ocitest"
	"github.com/chiron-faas/chiron/internal/wheeltest"
)

// TestIndex builds on a base for two architectures, pushes, and looks at what can
// be pulled.
func TestIndex(t *testing.T) {
	host := ocitest.Registry(t, nil)
	base := ocitest.Put(t, host, "python:3.11-slim", bothBases(t))
	p := project(t, twoTasks)
	images := build(t, Options{Project: p, Plan: apart(p), Base: base})
	references, err := Push(t.Context(), images, PushOptions{Naming: Naming{Prefix: host + "/team"}})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []struct{ wrap, function string }{{"wrap-1", "greet"}, {"wrap-2", "shout"}} {
		img := images[i]
		if diff := cmp.Diff([]string{"linux/amd64", "linux/arm64"}, img.Platforms); diff != "" || img.Wrap != want.wrap || img.Omitted != nil {
			t.Errorf("image %+v: platforms %s", img, diff)
		}
		if references[i] != host+"/team/two-"+want.wrap+"@"+img.Digest {
			t.Errorf("reference %s", references[i])
		}
		for _, reference := range []string{references[i], host + "/team/two-" + want.wrap + ":latest"} {
			ref, err := name.ParseReference(reference)
			if err != nil {
				t.Fatal(err)
			}
			index, err := remote.Index(ref)
			if err != nil {
				t.Fatal(err)
			}
			if err := validate.Index(index); err != nil {
				t.Error(err)
			}
			manifest, err := index.IndexManifest()
			if err != nil {
				t.Fatal(err)
			}
			for j, arch := range []string{"amd64", "arm64"} {
				d := manifest.Manifests[j]
				if d.Platform.Architecture != arch || d.MediaType != types.OCIManifestSchema1 {
					t.Errorf("manifest %d is %+v", j, d)
				}
				pulled, err := index.Image(d.Digest)
				if err != nil {
					t.Fatal(err)
				}
				checkImage(t, pulled, arch, want.wrap, want.function, base, agents(t)[j])
			}
		}
	}
}

// checkImage looks at everything that makes an image one of ours.
func checkImage(t *testing.T, img v1.Image, arch, wrap, function, base, agent string) {
	t.Helper()
	config, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	c := config.Config
	if config.OS != "linux" || config.Architecture != arch || c.User != "65532:65532" || c.StopSignal != "SIGTERM" || !config.Created.Equal(epoch) {
		t.Errorf("configuration %+v", config)
	}
	want := []string{"/opt/chiron/bin/chiron-agent", "/opt/chiron/bundle", "--listen", "0.0.0.0:8080", "--interpreter", "/usr/local/bin/python3"}
	if diff := cmp.Diff(want, c.Entrypoint); diff != "" || c.Cmd != nil {
		t.Error(diff, c.Cmd)
	}
	if _, ok := c.ExposedPorts["8080/tcp"]; !ok {
		t.Errorf("ports %v", c.ExposedPorts)
	}
	for label, want := range map[string]string{
		LabelWorkflow: "two", LabelWrap: wrap, LabelFunctions: function, LabelPython: "3.11.4",
		"org.opencontainers.image.title": "two " + wrap, "org.opencontainers.image.base.name": base,
	} {
		if c.Labels[label] != want {
			t.Errorf("label %s is %q, want %q", label, c.Labels[label], want)
		}
	}
	manifest, err := img.Manifest()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(c.Labels, manifest.Annotations); diff != "" {
		t.Errorf("annotations differ from labels: %s", diff)
	}
	if len(manifest.Layers) != 3 || len(config.RootFS.DiffIDs) != 3 || len(config.History) != 3 {
		t.Errorf("%d layers of %d, %d entries of history; want the base's, the agent's and the functions'", len(manifest.Layers), len(config.RootFS.DiffIDs), len(config.History))
	}
	for _, l := range manifest.Layers {
		if l.MediaType != types.OCILayer {
			t.Errorf("layer of type %s", l.MediaType)
		}
	}
	files := contents(t, img)
	for file, h := range files {
		if !strings.HasPrefix(file, "/opt") {
			continue
		}
		if h.Uid != 0 || h.Gid != 0 || h.Uname != "" || h.Mode&0o022 != 0 {
			t.Errorf("%s belongs to %d:%d %q, mode %o", file, h.Uid, h.Gid, h.Uname, h.Mode)
		}
	}
	for _, file := range []string{"wrap.json", "plan.json", "workflow.asl.json", "checksums", "host/python/chiron_host/__main__.py"} {
		if files["/opt/chiron/bundle/"+file] == nil {
			t.Errorf("%s is missing", file)
		}
	}
	other := map[string]string{"greet": "shout", "shout": "greet"}[function]
	for file := range files {
		if strings.Contains(file, "functions/"+other) {
			t.Errorf("%s of the other wrap is there", file)
		}
	}
	program, err := os.ReadFile(agent)
	if err != nil {
		t.Fatal(err)
	}
	if got := read(t, img, AgentPath); got != string(program) || files[AgentPath].Mode != 0o755 {
		t.Errorf("the agent is another of %d bytes, mode %o", len(got), files[AgentPath].Mode)
	}
}

// TestSameBytes builds twice, with nothing kept and from another folder.
func TestSameBytes(t *testing.T) {
	dir := wheels(t)
	wheeltest.Wheel{Name: "apple", Version: "1.0"}.Write(t, dir)
	host := ocitest.Registry(t, nil)
	base := ocitest.Put(t, host, "python:3.11-slim", bothBases(t))
	needs := map[string]string{
		"chiron.yaml":            strings.ReplaceAll(twoTasks["chiron.yaml"], "handler: greet}", "handler: greet, requirements: greet/requirements.txt}"),
		"greet/requirements.txt": "apple==1.0\n",
	}
	var first []string
	var firstTar []byte
	for range 2 {
		p := project(t, twoTasks, needs)
		images := build(t, Options{Project: p, Plan: apart(p), Base: base, CacheDir: t.TempDir()})
		file := filepath.Join(t.TempDir(), "images.tar")
		if err := WriteTarball(t.Context(), images, file, Naming{}); err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if first == nil {
			first, firstTar = digests(images), data
			continue
		}
		if diff := cmp.Diff(first, digests(images)); diff != "" {
			t.Errorf("digests: %s", diff)
		}
		if !bytes.Equal(firstTar, data) {
			t.Error("the files differ")
		}
	}
	p := project(t, twoTasks, needs, map[string]string{"shout.py": "def handle(req):\n    return req.lower()\n"})
	changed := digests(build(t, Options{Project: p, Plan: apart(p), Base: base}))
	if changed[0] != first[0] || changed[1] == first[1] {
		t.Errorf("one function changed: %v, before %v", changed, first)
	}
}

// TestRequirements: wheels are chosen for the base's Python and machine, and
// markers are the base's, not the builder's.
func TestRequirements(t *testing.T) {
	dir := wheels(t)
	for _, tag := range []string{
		"cp311-cp311-manylinux_2_17_x86_64", "cp311-cp311-manylinux_2_28_aarch64", "cp311-cp311-manylinux_2_39_x86_64",
		"cp310-cp310-manylinux_2_17_x86_64", "cp312-cp312-manylinux_2_17_x86_64", "cp311-cp311-macosx_11_0_arm64",
	} {
		wheeltest.Wheel{Name: "fast", Version: "1.0", Tag: tag}.Write(t, dir)
	}
	wheeltest.Wheel{Name: "bundle", Version: "1.0", Metadata: []string{
		"Requires-Dist: arm ; platform_machine == 'aarch64'", "Requires-Dist: old ; python_full_version < '3.11.5'", "Requires-Dist: newer ; python_version >= '3.12'", "Requires-Dist: windows ; sys_platform == 'win32'",
	}}.Write(t, dir)
	wheeltest.Wheel{Name: "bundle", Version: "2.0", Metadata: []string{"Requires-Python: >=3.12"}}.Write(t, dir)
	for _, name := range []string{"arm", "old", "newer", "windows"} {
		wheeltest.Wheel{Name: name, Version: "1.0"}.Write(t, dir)
	}
	host := ocitest.Registry(t, nil)
	p := project(t, twoTasks, map[string]string{
		"chiron.yaml":            strings.ReplaceAll(twoTasks["chiron.yaml"], "handler: greet}", "handler: greet, requirements: greet/requirements.txt}"),
		"greet/requirements.txt": "fast\nbundle\n",
	})
	images := build(t, Options{Project: p, Plan: apart(p), Base: ocitest.Put(t, host, "python:3.11-slim", bothBases(t))})
	for i, want := range []struct {
		tag  string
		arm  bool
		name string
	}{{"cp311-cp311-manylinux_2_17_x86_64", false, "amd64"}, {"cp311-cp311-manylinux_2_28_aarch64", true, "arm64"}} {
		img := images[0].manifests[i]
		if got := read(t, img, "/opt/chiron/bundle/site/fast/__init__.py"); !strings.Contains(got, want.tag) {
			t.Errorf("%s has fast of %q", want.name, got)
		}
		if got := read(t, img, "/opt/chiron/bundle/site/bundle/__init__.py"); !strings.Contains(got, `"1.0"`) {
			t.Errorf("%s has bundle %q", want.name, got)
		}
		files := contents(t, img)
		for name, there := range map[string]bool{"arm": want.arm, "old": true, "newer": false, "windows": false} {
			if _, ok := files["/opt/chiron/bundle/site/"+name+"/__init__.py"]; ok != there {
				t.Errorf("%s: package %s is there: %v", want.name, name, ok)
			}
		}
		layers, err := img.Layers()
		if err != nil || len(layers) != 4 {
			t.Errorf("%d layers, %v: want the base's, the agent's, the requirements' and the functions'", len(layers), err)
		}
	}
	if layers, err := images[1].manifests[0].Layers(); err != nil || len(layers) != 3 {
		t.Errorf("a wrap without requirements has %d layers, %v", len(layers), err)
	}
}

func TestNoWheel(t *testing.T) {
	dir := wheels(t)
	wheeltest.Wheel{Name: "fast", Version: "1.0", Tag: "cp311-cp311-manylinux_2_17_x86_64"}.Write(t, dir)
	wheeltest.Wheel{Name: "needs_fast", Version: "1.0", Metadata: []string{"Requires-Dist: fast==1.0"}}.Write(t, dir)
	for requirement, wants := range map[string][]string{
		"fast==1.0":  {`function "greet"`, `no wheel of "fast==1.0" for CPython 3.11 on linux/arm64 (glibc 2.36)`},
		"needs_fast": {`no wheel of "fast==1.0" for CPython 3.11 on linux/arm64`},
		"pears":      {`no wheel of "pears"`},
	} {
		p := project(t, twoTasks, map[string]string{
			"chiron.yaml":            strings.ReplaceAll(twoTasks["chiron.yaml"], "handler: greet}", "handler: greet, requirements: greet/requirements.txt}"),
			"greet/requirements.txt": requirement + "\n",
		})
		base := filepath.Join(t.TempDir(), "layout")
		writeBaseLayout(t, base, pretendedBase(t, "arm64"))
		_, err := tryBuild(t, Options{Project: p, Plan: apart(p), Base: base})
		if err == nil || strings.Contains(err.Error(), "\n") {
			t.Fatalf("%s: %v", requirement, err)
		}
		for _, want := range wants {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: error %q does not say %q", requirement, err, want)
			}
		}
	}
}

func writeBaseLayout(t *testing.T, dir string, img v1.Image) {
	t.Helper()
	if path, err := layout.Write(dir, empty.Index); err != nil {
		t.Fatal(err)
	} else if err := path.AppendImage(img); err != nil {
		t.Fatal(err)
	}
}

// TestBases: the same base as a layout, as an OCI layout in a tar and as docker
// save writes it gives images with the same files.
func TestBases(t *testing.T) {
	dir := t.TempDir()
	img := pretendedBase(t, "amd64")
	folder := filepath.Join(dir, "folder")
	writeBaseLayout(t, folder, img)
	archived := filepath.Join(dir, "oci.tar")
	if out, err := exec.Command("tar", "-cf", archived, "-C", folder, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	saved := filepath.Join(dir, "docker.tar")
	tag, err := name.NewTag("python:3.11-slim")
	if err == nil {
		err = tarball.WriteToFile(saved, tag, img)
	}
	if err != nil {
		t.Fatal(err)
	}
	p := project(t, twoTasks)
	cache := t.TempDir()
	built := make(map[string]Image)
	for _, base := range []string{folder, archived, saved} {
		image := build(t, Options{Project: p, Plan: together(p), Base: base, CacheDir: cache})[0]
		if image.Base != "" || image.Python != "3.11.4" || len(image.Platforms) != 1 {
			t.Errorf("%s: %+v", base, image)
		}
		for _, label := range image.labels(t) {
			if strings.Contains(label, dir) {
				t.Errorf("%s: label %q names a path of this machine", base, label)
			}
		}
		if _, ok := contents(t, image.manifests[0])["/usr/local/bin/python3"]; !ok {
			t.Errorf("%s: the base's files are missing", base)
		}
		built[base] = image
	}
	if built[folder].Digest != built[archived].Digest {
		t.Error("a layout in a tar gives another image than in a folder")
	}
}

func (img *Image) labels(t *testing.T) map[string]string {
	t.Helper()
	config, err := img.manifests[0].ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	return config.Config.Labels
}

func TestWrongBases(t *testing.T) {
	dir := t.TempDir()
	layouts := make(map[string]string)
	for name, img := range map[string]v1.Image{
		"no python": ocitest.Image(t, "amd64", v1.Config{}, layerOf(t, pretended("3.11.4", "2.36")[2:]...)),
		"removed": ocitest.Image(t, "amd64", v1.Config{}, layerOf(t, pretended("3.11.4", "2.36")...),
			layerOf(t, ocitest.Entry{Name: "usr/local/.wh.bin"})),
		"no libc": ocitest.Image(t, "amd64", v1.Config{}, layerOf(t, pretended("3.11.4", "2.36")[:2]...)),
		"3.10":    ocitest.Image(t, "amd64", v1.Config{}, layerOf(t, pretended("3.10.13", "2.36")...)),
		"s390x":   pretendedBase(t, "s390x"),
		"amd64":   pretendedBase(t, "amd64"),
	} {
		layouts[name] = filepath.Join(dir, name)
		writeBaseLayout(t, layouts[name], img)
	}
	notes := filepath.Join(dir, "notes.txt")
	if err := os.WriteFile(notes, []byte("no image"), 0o644); err != nil {
		t.Fatal(err)
	}
	asks := map[string]string{"chiron.yaml": strings.ReplaceAll(twoTasks["chiron.yaml"], "lang: python", `lang: python, runtime: "3.11"`)}
	for _, c := range []struct {
		base      string
		platforms []string
		runtime   map[string]string
		want      []string
		noPython  bool
	}{
		{base: layouts["no python"], want: []string{"linux/amd64 has no Python 3", "python:3.12-slim"}, noPython: true},
		{base: layouts["removed"], want: []string{"has no Python 3"}, noPython: true},
		{base: layouts["no libc"], want: []string{"neither glibc nor musl"}},
		{base: layouts["3.10"], runtime: asks, want: []string{`no Python for runtime "3.11"`, "it has Python 3.10.13"}, noPython: true},
		{base: layouts["s390x"], want: []string{"no chiron-agent for linux/s390x", "GOARCH=s390x go build", "--agent"}},
		{base: layouts["amd64"], platforms: []string{"linux/arm64"}, want: []string{"not there for linux/arm64, only for linux/amd64"}},
		{base: layouts["amd64"], platforms: []string{"windows/amd64"}, want: []string{"windows/amd64", "linux/amd64"}},
		{base: filepath.Join(dir, "none"), want: []string{"no such file or folder"}},
		{base: dir, want: []string{"no OCI layout"}},
		{base: notes, want: []string{"no image's file"}},
		{base: "user:secret@registry.example.org/x", want: []string{"neither a file, a folder nor an image's name"}},
	} {
		p := project(t, twoTasks, c.runtime)
		_, err := tryBuild(t, Options{Project: p, Plan: apart(p), Base: c.base, Platforms: c.platforms})
		if err == nil {
			t.Errorf("%s is taken", c.base)
			continue
		}
		for _, want := range c.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: error %q does not say %q", c.base, err, want)
			}
		}
		var none *NoPythonError
		if errors.As(err, &none) != c.noPython || strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: error %q", c.base, err)
		}
	}
}

func TestAgents(t *testing.T) {
	given := agents(t)
	p := project(t, twoTasks)
	base := filepath.Join(t.TempDir(), "layout")
	writeBaseLayout(t, base, pretendedBase(t, "amd64"))
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		agents []string
		want   string
	}{
		{[]string{given[0], given[0]}, "both for linux/amd64"},
		{[]string{"/bin/sh"}, "no program made by Go"},
		{[]string{self}, "give a chiron-agent"}, // a test's
		{[]string{given[1]}, "no chiron-agent for linux/amd64"},
		{nil, "are needed"},
	} {
		_, err := Build(t.Context(), Options{Project: p, Plan: apart(p), Base: base, Agents: c.agents, CacheDir: t.TempDir(), Interpreter: quickly})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("agents %v: %v, want %q", c.agents, err, c.want)
		}
	}
	// A base of which only some platforms have an agent gives these.
	host := ocitest.Registry(t, nil)
	image := build(t, Options{Project: p, Plan: apart(p), Base: ocitest.Put(t, host, "python:3.11-slim", bothBases(t)), Agents: given[:1]})[0]
	if !slices.Equal(image.Platforms, []string{"linux/amd64"}) || !slices.Equal(image.Omitted, []string{"linux/arm64"}) || image.index != nil {
		t.Errorf("platforms %v, without %v", image.Platforms, image.Omitted)
	}
	if all, err := AgentsWith(given[0], given[1:]); err != nil || !slices.Equal(all, given) {
		t.Errorf("both agents: %v, %v", all, err)
	}
	if all, err := AgentsWith(given[0], given[:1]); err != nil || len(all) != 1 {
		t.Errorf("the given one for the own: %v, %v", all, err)
	}
}

// TestWritten reads what was written in other ways than it was made.
func TestWritten(t *testing.T) {
	host := ocitest.Registry(t, nil)
	base := ocitest.Put(t, host, "python:3.11-slim", bothBases(t))
	p := project(t, twoTasks)
	images := build(t, Options{Project: p, Plan: apart(p), Base: base})
	dir := t.TempDir()
	folder, file := filepath.Join(dir, "layout"), filepath.Join(dir, "images.tar")
	for range 2 { // twice leaves each once
		if err := WriteLayout(t.Context(), images, folder, Naming{}); err != nil {
			t.Fatal(err)
		}
	}
	if err := WriteTarball(t.Context(), images, file, Naming{Prefix: "registry.example.org/team", Tag: "v1"}); err != nil {
		t.Fatal(err)
	}
	unpacked := filepath.Join(dir, "unpacked")
	if err := os.Mkdir(unpacked, 0o755); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("tar", "-xf", file, "-C", unpacked).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for dir, named := range map[string][2]string{
		folder:   {"two-wrap-1:latest", "docker.io/library/two-wrap-1:latest"},
		unpacked: {"registry.example.org/team/two-wrap-1:v1", "registry.example.org/team/two-wrap-1:v1"},
	} {
		index, err := layout.ImageIndexFromPath(dir)
		if err != nil {
			t.Fatal(err)
		}
		if err := validate.Index(index); err != nil {
			t.Errorf("%s: %v", dir, err)
		}
		manifest, err := index.IndexManifest()
		if err != nil || len(manifest.Manifests) != 2 {
			t.Fatalf("%s: %d images, %v", dir, len(manifest.Manifests), err)
		}
		first := manifest.Manifests[0]
		if first.Digest.String() != images[0].Digest || first.Annotations[refName] != named[0] || first.Annotations[containerdName] != named[1] {
			t.Errorf("%s: %+v", dir, first)
		}
	}
	for i, wrap := range []string{"wrap-1", "wrap-2"} {
		tag, err := name.NewTag("registry.example.org/team/two-" + wrap + ":v1")
		if err != nil {
			t.Fatal(err)
		}
		loaded, err := tarball.ImageFromPath(file, &tag)
		if err != nil {
			t.Fatal(err)
		}
		if err := validate.Image(loaded); err != nil {
			t.Error(err)
		}
		got, err1 := loaded.ConfigName()
		want, err2 := images[i].manifests[0].ConfigName()
		if err1 != nil || err2 != nil || got != want {
			t.Errorf("%s: configuration %s, want %s (%v, %v)", wrap, got, want, err1, err2)
		}
	}
	// An image of ours is a base too.
	again := build(t, Options{Project: p, Plan: together(p), Base: unpackedFirst(t, images, dir)})
	if len(again[0].Platforms) != 2 {
		t.Errorf("built on an image of ours: %v", again[0].Platforms)
	}
	if err := WriteLayout(t.Context(), images, dir, Naming{}); err == nil || !strings.Contains(err.Error(), "holds something else") {
		t.Errorf("a folder with other files: %v", err)
	}
	if err := WriteTarball(t.Context(), images, filepath.Join(dir, "none", "x.tar"), Naming{}); err == nil {
		t.Error("a folder that is not there is written to")
	}
	if left, err := filepath.Glob(filepath.Join(dir, ".*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func unpackedFirst(t *testing.T, images []Image, dir string) string {
	t.Helper()
	file := filepath.Join(dir, "one.tar")
	if err := WriteTarball(t.Context(), images[:1], file, Naming{}); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestStoreKeepsWholeFilesOnly(t *testing.T) {
	s, err := openStore(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	broken := errors.New("broken")
	if _, err := s.pack(t.Context(), "key", func(w io.Writer) error {
		_, err := w.Write([]byte("half"))
		return errors.Join(err, broken)
	}); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
	first, err := s.pack(t.Context(), "key", func(w io.Writer) error { return tar.NewWriter(w).Close() })
	if err != nil {
		t.Fatal(err)
	}
	second, err := s.pack(t.Context(), "key", func(io.Writer) error { return broken })
	if err != nil || second.note != first.note {
		t.Errorf("packed again: %v", err)
	}
	entries, err := os.ReadDir(s.dir)
	if err != nil || len(entries) != 4 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
}
