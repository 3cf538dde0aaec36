package stack

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chiron-faas/chiron/workflow"
)

func write(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

const good = `version: 1.0
provider: {name: openfaas, gateway: "http://127.0.0.1:8080"}
functions:
  zeta-first:
    lang: python3-http
    handler: ./zeta
    image: ${REGISTRY:-docker.io/me}/zeta:latest
    environment: {exec_timeout: 45s, write_timeout: 60s, GREETING: "${WORD:-hello}", COUNT: 3}
    environment_file: [env.yml]
    secrets: [api-key]
    limits: {memory: 128Mi, cpu: 100m}
  alpha:
    lang: python3
    handler: alpha
`

func TestProject(t *testing.T) {
	dir := write(t, map[string]string{
		"stack.yaml": good, "env.yml": "environment:\n  GREETING: file\n  MORE: \"yes\"\n",
		"zeta/handler.py": "def handle(event, context):\n    return event\n", "zeta/requirements.txt": "requests==2.0\n",
		"alpha/handler.py": "def handle(req):\n    return req\n",
	})
	s, err := Read(filepath.Join(dir, "stack.yaml"), func(k string) string { return map[string]string{"WORD": "hi: there"}[k] })
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Notes) != 1 || !strings.Contains(s.Notes[0], "api-key") {
		t.Errorf("notes %q", s.Notes)
	}
	project, definition, err := s.Project("shop", "workflow.asl.json")
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string][]byte{"chiron.yaml": project, "workflow.asl.json": definition} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	p, err := workflow.Load(dir)
	if err != nil {
		t.Fatalf("%v\n%s%s", err, project, definition)
	}
	f := p.Functions["zeta-first"]
	if p.Name != "shop" || len(p.Functions) != 2 || f.Timeout != 45*time.Second || f.Memory != 128<<20 || f.Env["GREETING"] != "hi: there" || f.Env["COUNT"] != "3" || f.Env["MORE"] != "yes" || len(f.Env) != 3 || filepath.Base(f.Requirements) != "requirements.txt" || f.File != "handler.py" {
		t.Errorf("%+v", f)
	}
	if tasks := p.Definition.Tasks(); len(tasks) != 2 || p.Definition.StartAt != "zeta-first" {
		t.Errorf("the definition is not in the file's order:\n%s", definition)
	}
}

func TestReadRefuses(t *testing.T) {
	dir := write(t, map[string]string{"f/handler.py": ""})
	for text, want := range map[string]string{
		"":              "no functions",
		"functions: []": "no functions",
		"a: [":          "yaml",
		"functions: {f: {lang: node20, handler: f}, g: {lang: go, handler: f}}": `function "g": language "go"`,
		"functions: {f: {image: x}}":                                                     "only an image",
		"functions: {f: {lang: python3, handler: ../f}}":                                 "leads out",
		"functions: {f: {lang: python3, handler: none}}":                                 "no folder",
		"functions: {f: {lang: python27, handler: f}}":                                   "python27",
		"functions: {f: {lang: python3, handler: f, environment_file: [/x]}}":            "leads out",
		"functions: {f: {lang: python3, handler: f, environment_file: [x]}}":             "environment_file",
		"functions: {f: {lang: python3, handler: f, environment: {exec_timeout: soon}}}": "soon",
	} {
		file := filepath.Join(dir, "stack.yaml")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Read(file, os.Getenv); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
	if _, err := Read(filepath.Join(dir, "none.yaml"), os.Getenv); err == nil {
		t.Error("a file that there is not is read")
	}
}

func FuzzExpand(f *testing.F) {
	f.Add("${A}${B:-c}${C-d}$")
	f.Fuzz(func(t *testing.T, text string) {
		out := string(expand([]byte(text), func(string) string { return "" }))
		if !strings.Contains(text, "${") && out != text {
			t.Errorf("%q became %q", text, out)
		}
	})
}
