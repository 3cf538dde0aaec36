package pipeline

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chiron-faas/chiron/host"
	"github.com/chiron-faas/chiron/internal/atomicfile"
	"github.com/chiron-faas/chiron/workflow"
)

// projectFiles are a small project with two functions.
var projectFiles = map[string]string{
	"chiron.yaml": `name: small
slo: 1s
definition: workflow.asl.json
input: sample.json
functions:
  double: {lang: python, handler: functions/double.py}
  add: {lang: python, handler: functions/add, env: {BY: "1"}}
`,
	"workflow.asl.json": `{"StartAt":"Double","States":{
		"Double":{"Type":"Task","Resource":"double","Next":"Add"},
		"Add":{"Type":"Task","Resource":"add","End":true}}}`,
	"sample.json":              `20`,
	"functions/double.py":      "def handler(event, context):\n    return event * 2\n",
	"functions/add/handler.py": "import os\n\n\ndef handle(req):\n    return str(int(req) + int(os.environ['BY']))\n",
}

func writeProject(t *testing.T) string {
	t.Helper()
	if _, err := host.FindInterpreter(t.Context(), "python", ""); err != nil {
		t.Skip(err)
	}
	dir := t.TempDir()
	for name, text := range projectFiles {
		write(t, dir, name, text)
	}
	return dir
}

func write(t *testing.T, dir, name, text string) {
	t.Helper()
	file := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := atomicfile.Write(file, []byte(text)); err != nil {
		t.Fatal(err)
	}
}

func load(t *testing.T, dir string) *workflow.Project {
	t.Helper()
	p, err := workflow.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestProfileIsReused where nothing that it depends on has changed, and only
// there.
func TestProfileIsReused(t *testing.T) {
	dir := writeProject(t)
	o := ProfileOptions{Project: load(t, dir), Runs: 10, Tracer: "portable", Reuse: true}
	for _, want := range []bool{false, true} {
		p, reused, err := Profile(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		if reused != want || len(p.Functions) != 2 || p.Functions[1].Name != "add" || p.Functions[0].Wall.Mean <= 0 {
			t.Fatalf("reused %v, want %v: %+v", reused, want, p.Functions)
		}
	}
	config := projectFiles["chiron.yaml"]
	for _, change := range []struct{ what, file, text, want string }{
		{"a function", "functions/double.py", "def handler(event, context):\n    return event * 3\n", "changed since"},
		{"a file beside a handler", "functions/add/table.json", "[]", "changed since"},
		{"compiled modules", "functions/add/__pycache__/x.pyc", "x", ""},
		{"the input", "sample.json", "21", "changed since"},
		{"the environment", "chiron.yaml", strings.ReplaceAll(config, `BY: "1"`, `BY: "2"`), "changed since"},
		{"the SLO", "chiron.yaml", strings.ReplaceAll(config, "slo: 1s", "slo: 2s"), ""},
		{"what it was made from", ".chiron/profile.inputs.json", "{", "not known"},
		{"the profile, to what is none", "profile.json", "{", "profile.json"},
	} {
		before, err := os.ReadFile(filepath.Join(dir, change.file))
		write(t, dir, change.file, change.text)
		project := load(t, dir)
		digest, digestErr := digestInputs(t.Context(), project)
		if digestErr != nil {
			t.Fatal(digestErr)
		}
		p, why := fresh(FilesOf(project), digest, o)
		if (p != nil) != (change.want == "") || !strings.Contains(why, change.want) {
			t.Errorf("after a change of %s: %q, want %q", change.what, why, change.want)
		}
		if err == nil {
			write(t, dir, change.file, string(before))
		} else if err := os.Remove(filepath.Join(dir, change.file)); err != nil {
			t.Fatal(err)
		}
	}
	o.Tracer = "strace"
	digest, err := digestInputs(t.Context(), o.Project)
	if err != nil {
		t.Fatal(err)
	}
	if p, why := fresh(FilesOf(o.Project), digest, o); p != nil || !strings.Contains(why, "another tracer") {
		t.Errorf("with another tracer: %q", why)
	}
}

func TestProfileOfAFunctionThatFails(t *testing.T) {
	dir := writeProject(t)
	write(t, dir, "functions/double.py", "def handler(event, context):\n    raise ValueError('no trade')\n")
	_, _, err := Profile(t.Context(), ProfileOptions{Project: load(t, dir), Runs: 10, Tracer: "portable"})
	if err == nil || !strings.Contains(err.Error(), "ValueError: no trade") || strings.Contains(err.Error(), "\n") {
		t.Errorf("got %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "profile.json")); err == nil {
		t.Error("a profile was written all the same")
	}
}
