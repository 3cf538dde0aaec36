package oci

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/chiron-faas/chiron/bundle/oci/ocitest"
)

func lookAt(t *testing.T, config v1.Config, layers ...v1.Layer) seen {
	t.Helper()
	img := ocitest.Image(t, "amd64", config, layers...)
	f, err := readFiles(t.Context(), img)
	if err != nil {
		t.Fatal(err)
	}
	return f.found(&config)
}

// TestLook: interpreters where distributions put them.
func TestLook(t *testing.T) {
	glibc := ocitest.Entry{Name: "usr/lib/libc.so.6", Mode: 0o755, Text: "GNU C Library (GNU libc) stable release version 2.41.\n"}
	tests := []struct {
		name    string
		config  v1.Config
		entries []ocitest.Entry
		want    []pythonIn
		library *library
	}{
		{
			name: "a shared library has the version, and folders are links",
			entries: []ocitest.Entry{
				link("bin", "usr/bin"),
				{Name: "usr/bin/python3.12", Mode: 0o755, Text: "small"},
				link("usr/bin/python3", "python3.12"),
				{Name: "usr/lib/libpython3.12.so.1.0", Mode: 0o644, Text: "/opt/3.12.6\x00x\x003.12.7+\x00y\x003.11.0\x00"},
				glibc,
			},
			want: []pythonIn{
				{Path: "/usr/bin/python3", Version: "3.12.7", OnPath: true},
				{Path: "/bin/python3", Version: "3.12.7", OnPath: true},
				{Path: "/usr/bin/python3.12", Version: "3.12.7", OnPath: true},
				{Path: "/bin/python3.12", Version: "3.12.7", OnPath: true},
			},
			library: &library{Major: 2, Minor: 41},
		},
		{
			name:   "a virtual environment comes first",
			config: v1.Config{Env: []string{"PATH=/venv/bin:/usr/bin", "PYTHON_VERSION=3.13.1"}},
			entries: []ocitest.Entry{
				{Name: "usr/bin/python3.13", Mode: 0o755},
				link("venv/bin/python", "../../usr/bin/python3.13"),
				link("venv/bin/python3", "python"),
				{Name: "lib/ld-musl-x86_64.so.1", Mode: 0o755, Text: "musl libc\x001.2.5\x00"},
			},
			want: []pythonIn{
				{Path: "/venv/bin/python3", Version: "3.13.1", OnPath: true},
				{Path: "/venv/bin/python", Version: "3.13.1", OnPath: true},
				{Path: "/usr/bin/python3.13", Version: "3.13.1", OnPath: true},
			},
			library: &library{Musl: true, Major: 1, Minor: 2},
		},
		{
			name: "not on the path, without a complete version",
			entries: []ocitest.Entry{
				{Name: "opt/py/bin/python3.9", Mode: 0o755},
				{Name: "opt/py/bin/python3.9-config", Mode: 0o755},
				{Name: "usr/bin/python3.8", Mode: 0o644}, // nothing that can be run
				link("usr/bin/python", "python"),         // a link to itself
				{Name: "usr/share/python3", Mode: 0o755},
				{Name: "usr/lib/libc-2.31.so", Mode: 0o755, Text: "GNU C Library (Debian GLIBC 2.31-13) stable release version 2.31.\n"},
			},
			want:    []pythonIn{{Path: "/opt/py/bin/python3.9", Version: "3.9"}},
			library: &library{Major: 2, Minor: 31},
		},
		{name: "nothing"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := lookAt(t, tt.config, layerOf(t, tt.entries...))
			if diff := cmp.Diff(seen{Pythons: tt.want, Library: tt.library}, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestFind(t *testing.T) {
	s := &seen{Pythons: []pythonIn{
		{Path: "/usr/bin/python3", Version: "3.12.7", OnPath: true},
		{Path: "/usr/bin/python3.11", Version: "3.11.2", OnPath: true},
		{Path: "/opt/bin/python3.1", Version: "3.1.5"},
	}}
	for runtime, want := range map[string]string{
		"": "/usr/bin/python3", "python3": "/usr/bin/python3", "3.12": "/usr/bin/python3", "python3.11": "/usr/bin/python3.11",
		"3.11.2": "/usr/bin/python3.11", "3.11.3": "", "3.1": "/opt/bin/python3.1", "3.13": "", "/usr/bin/python3": "/usr/bin/python3", "/root/python3": "", "pypy": "",
	} {
		if got, ok := s.find(runtime); got.Path != want || ok != (want != "") {
			t.Errorf("%q: %+v", runtime, got)
		}
	}
	if got := s.versions(); !slices.Equal(got, []string{"3.12.7", "3.11.2", "3.1.5"}) {
		t.Error(got)
	}
}

// TestTags: what pip would try on such a machine, the newest first.
func TestTags(t *testing.T) {
	for _, c := range []struct {
		library library
		machine string
		first   string
		has     []string
		hasNot  []string
	}{
		{library{Major: 2, Minor: 36}, "x86_64", "manylinux_2_36_x86_64", []string{"manylinux2014_x86_64", "manylinux1_x86_64", "manylinux_2_17_x86_64", "linux_x86_64"}, []string{"manylinux_2_37_x86_64", "manylinux_2_4_x86_64"}},
		{library{Major: 2, Minor: 28}, "aarch64", "manylinux_2_28_aarch64", []string{"manylinux2014_aarch64"}, []string{"manylinux2010_aarch64", "manylinux_2_16_aarch64"}},
		{library{Musl: true, Major: 1, Minor: 2}, "x86_64", "musllinux_1_2_x86_64", []string{"musllinux_1_0_x86_64", "linux_x86_64"}, []string{"manylinux2014_x86_64"}},
	} {
		tags := c.library.tags(c.machine)
		if tags[0] != c.first {
			t.Errorf("%v: first %s", c.library, tags[0])
		}
		for _, tag := range c.has {
			if !slices.Contains(tags, tag) {
				t.Errorf("%v has no %s", c.library, tag)
			}
		}
		for _, tag := range c.hasNot {
			if slices.Contains(tags, tag) {
				t.Errorf("%v has %s", c.library, tag)
			}
		}
	}
}

func TestParsePlatform(t *testing.T) {
	for in, want := range map[string]string{"linux/amd64": "linux/amd64", "linux/arm64/v8": "linux/arm64", "linux/arm/v7": "linux/arm/v7"} {
		if p, err := parsePlatform(in); err != nil || p.String() != want {
			t.Errorf("%s: %v, %v", in, p, err)
		}
	}
	for _, in := range []string{"", "linux", "arm64", "windows/amd64", "linux/a/b/c", "linux/amd64:10"} {
		if p, err := parsePlatform(in); err == nil {
			t.Errorf("%q is read as %v", in, p)
		}
	}
}

// FuzzResolve: links of a strange image end.
func FuzzResolve(f *testing.F) {
	f.Add("/a/b", "c", "/a/b/../b")
	f.Add("/bin/python3", "../bin/python3", "/")
	f.Add("/a", "a/a", "/a/a/a")
	f.Fuzz(func(t *testing.T, link, target, name string) {
		files := &files{links: map[string]string{link: target}}
		if real, ok := files.resolve(name); ok && (real == "" || real[0] != '/') {
			t.Errorf("%q", real)
		}
	})
}
