package bundle

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/csv"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/chiron-faas/chiron/host"
	"github.com/chiron-faas/chiron/internal/wheeltest"
)

// wheels makes a folder of wheels the only place where pip looks.
func wheels(t *testing.T) string {
	t.Helper()
	dir := wheeltest.Only(t)
	for _, w := range []wheeltest.Wheel{{Name: "apple", Version: "1.0"}, {Name: "apple", Version: "2.0"}, {Name: "pear_tree", Version: "1.0"}} {
		w.Script = true
		w.Write(t, dir)
	}
	return dir
}

// withRequirements adds requirements files to the project of two tasks.
func withRequirements(greet, shout string) map[string]string {
	files := map[string]string{
		"greet/requirements.txt": greet, "shout.txt": shout,
		"chiron.yaml": strings.ReplaceAll(strings.ReplaceAll(twoTasks["chiron.yaml"],
			"handler: greet,", "handler: greet, requirements: greet/requirements.txt,"),
			"handler: shout.py", "handler: shout.py, requirements: shout.txt"),
	}
	return files
}

// pythons are the interpreters of this machine that have pip.
func pythons(t *testing.T) []host.Interpreter {
	t.Helper()
	all, err := host.Interpreters(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(all, func(i host.Interpreter) bool {
		return exec.Command(i.Path, "-I", "-c", "import pip").Run() != nil
	})
}

func TestRequirementsOnEveryPython(t *testing.T) {
	wheels(t)
	all := pythons(t)
	if len(all) == 0 {
		t.Skip("no CPython with pip on this machine")
	}
	for i, python := range all {
		t.Run(python.Version, func(t *testing.T) {
			p := project(t, twoTasks, withRequirements("apple==1.0 # sweet\n", "pear-tree\n\napple\n"))
			o := Options{
				Project: p, Plan: together(p), OutDir: t.TempDir(), CacheDir: t.TempDir(),
				Interpreter: func(context.Context, string, string) (string, error) { return python.Path, nil },
			}
			b := build(t, o)[0]
			files := tree(t, b.Dir)
			if got := files["site/apple/__init__.py"].Content; got != "VERSION = \"1.0\"\nTAG = \"py3-none-any\"\n" {
				t.Errorf("apple is %q", got)
			}
			script := files["site/bin/apple-tool"]
			if !strings.HasPrefix(script.Content, "#!/usr/bin/env python3\n") || script.Mode.Perm() != 0o755 {
				t.Errorf("script is %v", script)
			}
			checkRecord(t, filepath.Join(b.Dir, "site"), "apple-1.0.dist-info/RECORD")
			for name, e := range files {
				if strings.Contains(name, "direct_url") || strings.Contains(name, "__pycache__") && strings.HasPrefix(name, "functions/") {
					t.Errorf("%s is in the bundle", name)
				}
				if strings.HasPrefix(name, "site/") && strings.Contains(e.Content, o.CacheDir) {
					t.Errorf("%s names the folder that it was made in", name)
				}
				if strings.HasPrefix(name, "site/") && strings.Contains(e.Content, python.Path) {
					t.Errorf("%s names the interpreter", name)
				}
			}
			// Its bytecode is there, and of the kind that needs no look at the source.
			tag := strings.Join(strings.SplitN(python.Version, ".", 3)[:2], "")
			compiled := files["site/apple/__pycache__/__init__.cpython-"+tag+".pyc"]
			if len(compiled.Content) < 16 || compiled.Content[4:8] != "\x01\x00\x00\x00" {
				t.Errorf("bytecode is %q", compiled.Content)
			}
			out, err := exec.Command(python.Path, "-I", "-B", "-c",
				"import sys; sys.path.insert(0, sys.argv[1]); import pear_tree, apple; print(apple.VERSION)",
				filepath.Join(b.Dir, "site")).CombinedOutput()
			if err != nil || string(out) != "1.0\n" {
				t.Errorf("import: %v: %s", err, out)
			}
			if i > 0 {
				return // pip takes a second
			}
			// A build with nothing cached gives the same bytes.
			o.OutDir, o.CacheDir = t.TempDir(), t.TempDir()
			second := build(t, o)[0]
			if diff := cmp.Diff(tree(t, b.Dir), tree(t, second.Dir)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// checkRecord compares a RECORD with the files.
func checkRecord(t *testing.T, site, record string) {
	t.Helper()
	f, err := os.Open(filepath.Join(site, record))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	if !slices.IsSortedFunc(rows, func(a, b []string) int { return strings.Compare(a[0], b[0]) }) || len(rows) < 5 {
		t.Errorf("RECORD: %v", rows)
	}
	for _, row := range rows {
		data, err := os.ReadFile(filepath.Join(site, row[0]))
		if err != nil {
			t.Error(err)
			continue
		}
		sum := sha256.Sum256(data)
		if row[1] != "" && row[1] != "sha256="+base64.RawURLEncoding.EncodeToString(sum[:]) {
			t.Errorf("RECORD has the wrong digest of %s", row[0])
		}
	}
}

func requirePip(t *testing.T) {
	t.Helper()
	python, err := machinePython()
	if err != nil || exec.Command(python, "-I", "-c", "import pip").Run() != nil {
		t.Skip("the machine's python3 has no pip")
	}
}

func TestRequirementsAreKept(t *testing.T) {
	requirePip(t)
	dir := wheels(t)
	p := project(t, twoTasks, withRequirements("apple\n", "# nothing\n"))
	o := Options{Project: p, Plan: together(p), OutDir: t.TempDir(), CacheDir: t.TempDir()}
	first := build(t, o)[0]
	wheeltest.Wheel{Name: "apple", Version: "3.0", Script: true}.Write(t, dir)
	o.OutDir = t.TempDir()
	if again := build(t, o)[0]; again.Digest != first.Digest {
		t.Error("a package that is not pinned moved between two builds with one cache")
	}
	write(t, p.Dir, map[string]string{"shout.txt": "pear_tree"})
	o.OutDir = t.TempDir()
	if changed := tree(t, build(t, o)[0].Dir); changed["site/pear_tree/__init__.py"].Content == "" {
		t.Error("changed requirements were not installed")
	}
}

func TestRequirementsErrors(t *testing.T) {
	requirePip(t)
	tests := []struct {
		name         string
		greet, shout string
		functions    []string
		clash        bool
		want         []string
	}{
		{
			name: "no such version", greet: "pear_tree\napple==9.9\n", shout: "pear-tree",
			functions: []string{"greet"},
			want:      []string{`function "greet"`, `"apple==9.9"`, "No matching distribution found for apple==9.9"},
		},
		{
			name: "clash", greet: "apple==1.0", shout: "apple>=2",
			functions: []string{"greet", "shout"}, clash: true,
			want: []string{`functions "greet", "shout"`, `"apple==1.0"`, `"apple>=2"`, "clash", "apart: [[greet, shout]]"},
		},
		{
			name: "not a requirement", greet: "apple == == 1", shout: "",
			functions: []string{"greet"},
			want:      []string{`"greet"`, "apple == == 1"},
		},
	}
	wheels(t)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			// Planning sees a clash between lines; pip has to where a dependency
			// clashes or, as here, where the files are others than were planned with.
			p := project(t, twoTasks, withRequirements("", ""))
			write(t, p.Dir, map[string]string{"greet/requirements.txt": tt.greet, "shout.txt": tt.shout})
			_, err := Build(t.Context(), Options{Project: p, Plan: together(p), OutDir: t.TempDir(), CacheDir: t.TempDir(), Interpreter: quickly})
			var r *RequirementsError
			if !errors.As(err, &r) {
				t.Fatalf("got %v", err)
			}
			if diff := cmp.Diff(tt.functions, r.Functions); diff != "" || r.Clash != tt.clash {
				t.Errorf("clash %v, functions %s", r.Clash, diff)
			}
			for _, w := range tt.want {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("error %q does not say %q", err, w)
				}
			}
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("error has several lines: %q", err)
			}
		})
	}
	t.Run("the same apart", func(t *testing.T) {
		p := project(t, twoTasks, withRequirements("apple==1.0", "apple>=2"))
		bundles := build(t, Options{Project: p, Plan: apart(p), OutDir: t.TempDir()})
		for i, want := range []string{"1.0", "2.0"} {
			if got := tree(t, bundles[i].Dir)["site/apple/__init__.py"].Content; !strings.Contains(got, want) {
				t.Errorf("%s has apple %q, want %s", bundles[i].Wrap, got, want)
			}
		}
	})
}

func TestMentions(t *testing.T) {
	tests := []struct {
		text, name string
		want       bool
	}{
		{"No matching distribution found for apple==9", "apple", true},
		{"No matching distribution found for pineapple==9", "apple", false},
		{"Cannot install pear-tree", "Pear_Tree", true},
		{"Cannot install apple-pie", "apple", false},
		{"found for apple.", "apple", true},
		{"", "apple", false},
	}
	for _, tt := range tests {
		if got := mentions(tt.text, tt.name); got != tt.want {
			t.Errorf("mentions(%q, %q) = %v", tt.text, tt.name, got)
		}
	}
}

func TestCredentialsStayOutOfMessages(t *testing.T) {
	got := lastWord(output{stderr: "ERROR: cannot reach https://user:secret@example.org/simple\n"})
	if strings.Contains(got, "secret") || !strings.Contains(got, "https://example.org/simple") {
		t.Errorf("got %q", got)
	}
}
