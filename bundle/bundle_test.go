package bundle

import (
	"bytes"
	"context"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/chiron-faas/chiron/host"
	"github.com/chiron-faas/chiron/plan"
	"github.com/chiron-faas/chiron/workflow"
)

// write makes files below dir; a name that ends in "@" is a link to its text.
func write(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		path := filepath.Join(dir, filepath.FromSlash(strings.TrimSuffix(name, "@")))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		var err error
		if strings.HasSuffix(name, "@") {
			err = os.Symlink(text, path)
		} else {
			err = os.WriteFile(path, []byte(text), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// twoTasks is a project with a function that is a folder and one that is a file.
var twoTasks = map[string]string{
	"chiron.yaml": `name: two
definition: workflow.asl.json
functions:
  greet: {lang: python, handler: greet, env: {GREETING: hello}, timeout: 2s, memory: 64MiB}
  shout: {lang: python, handler: shout.py}
`,
	"workflow.asl.json": `{"StartAt":"Greet","States":{
		"Greet":{"Type":"Task","Resource":"greet","Next":"Shout"},
		"Shout":{"Type":"Task","Resource":"shout","End":true}}}`,
	"greet/handler.py":       "from .words import WORD\ndef handle(req):\n    return WORD + req\n",
	"greet/words.py":         "WORD = 'hello '\n",
	"greet/data/names.csv":   "a,b\n",
	"greet/tool.sh":          "#!/bin/sh\n",
	"greet/__pycache__/x.py": "never",
	"greet/old.pyc":          "never",
	"greet/.git/config":      "never",
	"shout.py":               "def handle(req):\n    return req.upper()\n",
	"unrelated.txt":          "stays at home",
}

func project(t *testing.T, files ...map[string]string) *workflow.Project {
	t.Helper()
	dir := t.TempDir()
	for _, f := range files {
		write(t, dir, f)
	}
	p, err := workflow.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// together places all tasks in one wrap, apart each in its own.
func together(p *workflow.Project) *plan.Plan {
	pl := &plan.Plan{Workflow: p.Name, Model: "test", Wraps: []plan.Wrap{{Name: "wrap-1", CPUs: 1}}}
	process := plan.Process{Mode: plan.Pool, CPU: plan.Unpinned}
	for _, s := range p.Definition.Tasks() {
		process.Tasks = append(process.Tasks, s.Name)
	}
	pl.Wraps[0].Processes = []plan.Process{process}
	return pl
}

func apart(p *workflow.Project) *plan.Plan {
	pl := &plan.Plan{Workflow: p.Name, Model: "test"}
	for i, s := range p.Definition.Tasks() {
		pl.Wraps = append(pl.Wraps, plan.Wrap{
			Name: "wrap-" + string(rune('1'+i)), CPUs: 1,
			Processes: []plan.Process{{Mode: plan.Pool, CPU: plan.Unpinned, Tasks: []string{s.Name}}},
		})
	}
	return pl
}

// machinePython is found once: a shim takes its time.
var machinePython = sync.OnceValues(func() (string, error) {
	i, err := host.FindInterpreter(context.Background(), "python", "")
	return i.Path, err
})

func quickly(ctx context.Context, lang, runtime string) (string, error) {
	if runtime == "" {
		return machinePython()
	}
	return findInterpreter(ctx, lang, runtime)
}

func build(t *testing.T, o Options) []Bundle {
	t.Helper()
	if o.Interpreter == nil {
		o.Interpreter = quickly
	}
	if o.CacheDir == "" {
		o.CacheDir = t.TempDir()
	}
	bundles, err := Build(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return bundles
}

// entry is everything of a file that has to be the same.
type entry struct {
	Mode    fs.FileMode
	ModTime int64 // of files; folders' are nobody's
	Content string
}

func tree(t *testing.T, dir string) map[string]entry {
	t.Helper()
	files := make(map[string]entry)
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, name)
		if err != nil {
			return err
		}
		e := entry{Mode: info.Mode()}
		if !d.IsDir() {
			data, err := os.ReadFile(name)
			if err != nil {
				return err
			}
			e.Content, e.ModTime = string(data), info.ModTime().UnixNano()
		}
		files[filepath.ToSlash(rel)] = e
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func TestBuildWritesWhatTheManifestDescribes(t *testing.T) {
	p := project(t, twoTasks)
	if err := os.Chmod(filepath.Join(p.Dir, "greet/tool.sh"), 0o700); err != nil {
		t.Fatal(err)
	}
	out := t.TempDir()
	pl := apart(p)
	bundles := build(t, Options{Project: p, Plan: pl, OutDir: out})
	if len(bundles) != 2 {
		t.Fatalf("got %d bundles, want 2", len(bundles))
	}
	b := bundles[0]
	if b.Wrap != "wrap-1" || b.Dir != filepath.Join(out, "wrap-1") || b.PlanID != pl.Digest() {
		t.Errorf("got %+v", b)
	}
	if diff := cmp.Diff([]string{"greet"}, b.Functions); diff != "" {
		t.Error(diff)
	}
	files := tree(t, b.Dir)
	for name, mode := range map[string]fs.FileMode{
		"wrap.json": 0o644, "plan.json": 0o644, "workflow.asl.json": 0o644, "checksums": 0o644,
		"host/python/chiron_host/__init__.py": 0o644, "host/python/chiron_host/__pycache__": fs.ModeDir | 0o755,
		"functions/greet/handler.py": 0o644, "functions/greet/words.py": 0o644,
		"functions/greet/data/names.csv": 0o644, "functions/greet/tool.sh": 0o755,
		"functions/greet": fs.ModeDir | 0o755, ".": fs.ModeDir | 0o755,
	} {
		if e, ok := files[name]; !ok || e.Mode != mode {
			t.Errorf("%s: mode %v (there: %v), want %v", name, e.Mode, ok, mode)
		}
	}
	for name := range files {
		compiled := strings.Contains(name, "pycache") || strings.Contains(name, ".pyc")
		if compiled && !strings.HasPrefix(name, "host/") || strings.Contains(name, ".git") ||
			strings.Contains(name, "unrelated") || strings.Contains(name, "shout") {
			t.Errorf("%s is in the bundle", name)
		}
	}
	m, err := plan.ReadManifest(filepath.Join(b.Dir, "wrap.json"))
	if err != nil {
		t.Fatal(err)
	}
	want := []plan.ManifestFunction{{
		Name: "greet", File: "functions/greet/handler.py", Env: map[string]string{"GREETING": "hello"},
		Timeout: 2e9, Memory: 64 << 20,
	}}
	got := m.Functions
	got[0].Symbol = ""
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	read, err := plan.Read(filepath.Join(b.Dir, "plan.json"))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(pl, read); diff != "" {
		t.Error(diff)
	}
	data := []byte(files["workflow.asl.json"].Content)
	d, err := workflow.ParseDefinition("workflow.asl.json", data)
	if err != nil {
		t.Fatal(err)
	}
	if !d.Equal(p.Definition) {
		t.Errorf("definition of the bundle differs: %s", data)
	}
	if cmd := exec.Command("sha256sum", "--strict", "--check", "--quiet", "checksums"); cmd.Err == nil {
		cmd.Dir = b.Dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("sha256sum: %v: %s", err, out)
		}
	}
}

func TestBuildTwiceGivesTheSameBytes(t *testing.T) {
	first := build(t, Options{Project: project(t, twoTasks), Plan: apart(project(t, twoTasks)), OutDir: t.TempDir()})
	// Another folder, another umask, other times and modes of the sources.
	p := project(t, twoTasks)
	if err := os.Chmod(filepath.Join(p.Dir, "shout.py"), 0o600); err != nil {
		t.Fatal(err)
	}
	old := syscall.Umask(0o077)
	second := build(t, Options{Project: p, Plan: apart(p), OutDir: t.TempDir()})
	syscall.Umask(old)
	for i := range first {
		if first[i].Digest != second[i].Digest {
			t.Errorf("%s: digests %s and %s", first[i].Wrap, first[i].Digest, second[i].Digest)
		}
		if diff := cmp.Diff(tree(t, first[i].Dir), tree(t, second[i].Dir)); diff != "" {
			t.Errorf("%s: %s", first[i].Wrap, diff)
		}
	}
}

func TestBuildAgain(t *testing.T) {
	p := project(t, twoTasks)
	out := t.TempDir()
	inode := func() uint64 {
		info, err := os.Stat(filepath.Join(out, "wrap-1"))
		if err != nil {
			t.Fatal(err)
		}
		return info.Sys().(*syscall.Stat_t).Ino
	}
	o := Options{Project: p, Plan: together(p), OutDir: out, CacheDir: t.TempDir(), Interpreter: quickly}
	first := build(t, o)
	was := inode()
	if again := build(t, o); again[0].Digest != first[0].Digest || inode() != was {
		t.Error("a build without a change replaced the folder")
	}
	// What a plan was made for is no part of what runs.
	o.Plan = o.Plan.Clone()
	o.Plan.Objective = &plan.Objective{Goal: plan.FewestCPUs, Predicted: 1, Samples: 1}
	if again := build(t, o); again[0].Digest != first[0].Digest || again[0].PlanID != first[0].PlanID || inode() != was {
		t.Error("another objective of the same plan replaced the folder")
	}
	write(t, p.Dir, map[string]string{"shout.py": "def handle(req):\n    return req.lower()\n"})
	if changed := build(t, o); changed[0].Digest == first[0].Digest || inode() == was {
		t.Error("a build after a change did not replace the folder")
	}
	write(t, p.Dir, map[string]string{"shout.py": "def handle(req:\n"})
	before := tree(t, filepath.Join(out, "wrap-1"))
	if _, err := Build(t.Context(), o); err == nil {
		t.Error("a broken handler was built")
	}
	if diff := cmp.Diff(before, tree(t, filepath.Join(out, "wrap-1"))); diff != "" {
		t.Errorf("a failed build changed the folder: %s", diff)
	}
	entries, err := os.ReadDir(out)
	if err != nil || len(entries) != 1 {
		t.Errorf("builds left %v, %v", entries, err)
	}
}

func TestBuildDoesNotReplaceWhatIsNoBundle(t *testing.T) {
	p := project(t, twoTasks)
	out := t.TempDir()
	write(t, out, map[string]string{"wrap-1/thesis.txt": "years of work"})
	_, err := Build(t.Context(), Options{Project: p, Plan: together(p), OutDir: out, CacheDir: t.TempDir(), Interpreter: quickly})
	if err == nil || !strings.Contains(err.Error(), "is no bundle") {
		t.Fatalf("got %v", err)
	}
	if _, err := os.Stat(filepath.Join(out, "wrap-1/thesis.txt")); err != nil {
		t.Error(err)
	}
}

func TestBuildRefuses(t *testing.T) {
	outside := t.TempDir()
	write(t, outside, map[string]string{"secret": "s"})
	tests := []struct {
		name  string
		files map[string]string
		spoil func(t *testing.T, p *workflow.Project, o *Options)
		want  []string
	}{
		{
			name:  "link that leaves the folder",
			files: map[string]string{"greet/secret@": filepath.Join(outside, "secret")},
			want:  []string{`function "greet"`, "greet/secret leaves the folder"},
		},
		{
			name:  "relative link that leaves the folder",
			files: map[string]string{"greet/up@": "../unrelated.txt"},
			want:  []string{"greet/up leaves the folder"},
		},
		{
			name:  "link to a folder that it is in",
			files: map[string]string{"greet/data/loop@": ".."},
			want:  []string{"leads to a folder that it is in"},
		},
		{
			name:  "link that leads nowhere",
			files: map[string]string{"greet/gone@": "nothing"},
			want:  []string{"greet/gone leads nowhere"},
		},
		{
			name: "fifo",
			spoil: func(t *testing.T, p *workflow.Project, _ *Options) {
				if err := syscall.Mkfifo(filepath.Join(p.Dir, "greet/pipe"), 0o600); err != nil {
					t.Fatal(err)
				}
			},
			want: []string{"greet/pipe is neither a file nor a folder"},
		},
		{
			name:  "file name with a line end",
			files: map[string]string{"greet/a\nb": ""},
			want:  []string{`file name "a\nb"`, "rename it"},
		},
		{
			name:  "too many files",
			spoil: func(_ *testing.T, _ *workflow.Project, o *Options) { o.Limits.Files = 3 },
			want:  []string{"more than 3 files"},
		},
		{
			name:  "too many bytes",
			spoil: func(_ *testing.T, _ *workflow.Project, o *Options) { o.Limits.Bytes = 40 },
			want:  []string{"more than 40 bytes"},
		},
		{
			name: "handler gone since the project was loaded",
			spoil: func(t *testing.T, p *workflow.Project, _ *Options) {
				if err := os.Remove(filepath.Join(p.Dir, "shout.py")); err != nil {
					t.Fatal(err)
				}
			},
			want: []string{`function "shout"`, "shout.py"},
		},
		{
			name: "plan of another workflow",
			spoil: func(_ *testing.T, _ *workflow.Project, o *Options) {
				o.Plan.Wraps[0].Processes[0].Tasks[0] = "Other"
			},
			want: []string{`"Other"`, "plan again"},
		},
		{
			name:  "no interpreter",
			spoil: func(_ *testing.T, p *workflow.Project, _ *Options) { setRuntime(p, "python3.99") },
			want:  []string{`function "greet"`, "python3.99"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := project(t, twoTasks, tt.files)
			o := Options{Project: p, Plan: together(p), OutDir: t.TempDir(), CacheDir: t.TempDir(), Interpreter: quickly}
			if tt.spoil != nil {
				tt.spoil(t, p, &o)
			}
			_, err := Build(t.Context(), o)
			if err == nil {
				t.Fatal("it was built")
			}
			for _, w := range tt.want {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("error %q does not say %q", err, w)
				}
			}
			if strings.Contains(err.Error(), "\n") && tt.name != "plan of another workflow" {
				t.Errorf("error has several lines: %q", err)
			}
			if entries, err := os.ReadDir(o.OutDir); err != nil || len(entries) > 0 {
				t.Errorf("left behind: %v, %v", entries, err)
			}
		})
	}
}

func setRuntime(p *workflow.Project, runtime string) {
	for _, f := range p.Functions {
		f.Runtime = runtime
	}
}

func TestBuildFollowsLinksInside(t *testing.T) {
	p := project(t, twoTasks, map[string]string{"greet/alias.py@": "words.py", "greet/more@": "data"})
	b := build(t, Options{Project: p, Plan: together(p), OutDir: t.TempDir()})[0]
	files := tree(t, filepath.Join(b.Dir, "functions/greet"))
	if files["alias.py"].Content != twoTasks["greet/words.py"] || files["more/names.csv"].Content != "a,b\n" {
		t.Errorf("links were not followed: %v", files)
	}
	if _, err := Verify(b.Dir); err != nil {
		t.Error(err)
	}
}

func TestSyntaxErrors(t *testing.T) {
	p := project(t, twoTasks, map[string]string{
		"greet/handler.py": "import os\n\ndef handle(req):\n    return (\n",
		"shout.py":         "def handle(req):\n\treturn 1\n        return 2\n",
	})
	_, err := Build(t.Context(), Options{Project: p, Plan: together(p), OutDir: t.TempDir(), CacheDir: t.TempDir(), Interpreter: quickly})
	if err == nil {
		t.Fatal("it was built")
	}
	for _, want := range []string{
		`function "greet": ` + filepath.Join(p.Dir, "greet/handler.py") + ":4: SyntaxError: ",
		`function "shout": ` + filepath.Join(p.Dir, "shout.py") + ":3: ",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error %q does not say %q", err, want)
		}
	}
	if bytes.Count([]byte(err.Error()), []byte("\n")) != 1 {
		t.Errorf("want one line for each function: %q", err)
	}
}

// A handler's module level must not run at build time.
func TestSyntaxCheckDoesNotRunTheHandler(t *testing.T) {
	mark := filepath.Join(t.TempDir(), "ran")
	p := project(t, twoTasks, map[string]string{
		"shout.py": "open(" + `"` + mark + `"` + ", 'w')\ndef handle(req):\n    return req\n",
	})
	build(t, Options{Project: p, Plan: together(p), OutDir: t.TempDir()})
	if _, err := os.Stat(mark); err == nil {
		t.Error("the handler ran")
	}
}
