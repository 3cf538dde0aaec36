package workflow

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// writeTree writes files under a new folder and returns it, without symbolic
// links on the way to it.
func writeTree(t *testing.T, files map[string]string) string {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

const oneTask = `{"StartAt": "A", "States": {"A": {"Type": "Task", "Resource": "a", "End": true}}}`

func TestLoad(t *testing.T) {
	dir := writeTree(t, map[string]string{
		"chiron.yaml": `
name: finra-5
slo: {latency: 120ms, percentile: 99.9}
definition: workflow.asl.yaml
input: sample.json
functions:
  a:
    handler: rules/a.py:handle
    runtime: 3.10
    env: {RATE: 1.10, DEBUG: true, NAME: "x y"}
    timeout: 1.5s
    memory: 128Mi
    requirements: rules/requirements.txt
  b:
    lang: python
    handler: b
`,
		"workflow.asl.yaml": `
StartAt: A
States:
  A: {Type: Task, Resource: a, Next: B}
  B: {Type: Task, Resource: "arn:aws:lambda:us-east-1:123456789012:function:b:$LATEST", End: true}
`,
		"sample.json":            `{"x": [1, 2]}`,
		"rules/a.py":             "def handle(req): return req\n",
		"rules/requirements.txt": "",
		"b/index.py":             "def handle(req): return req\n",
		"b/main.py":              "",
	})
	for _, path := range []string{dir, filepath.Join(dir, "chiron.yaml")} {
		p, err := Load(path)
		if err != nil {
			t.Fatal(err)
		}
		if p.Name != "finra-5" || p.Dir != dir || p.File != filepath.Join(dir, "chiron.yaml") ||
			p.DefinitionFile != filepath.Join(dir, "workflow.asl.yaml") || p.InputFile != filepath.Join(dir, "sample.json") {
			t.Errorf("project: %+v", p)
		}
		if p.SLO != (SLO{Latency: 120 * time.Millisecond, Percentile: 99.9}) {
			t.Errorf("slo: %+v", p.SLO)
		}
		if got := string(p.Input); got != `{"x": [1, 2]}` {
			t.Errorf("input: %s", got)
		}
		if got := p.Definition.States["B"].Function; got != "b" {
			t.Errorf("function of B: %q", got)
		}
		want := map[string]*Function{
			"a": {
				Name: "a", Lang: "python", Runtime: "3.10", Dir: filepath.Join(dir, "rules"), File: "a.py", Symbol: "handle",
				Requirements: filepath.Join(dir, "rules/requirements.txt"),
				Env:          map[string]string{"RATE": "1.10", "DEBUG": "true", "NAME": "x y"},
				Timeout:      1500 * time.Millisecond, Memory: 128 << 20,
				Pos: Position{File: filepath.Join(dir, "chiron.yaml"), Line: 7, Column: 3},
			},
			"b": {
				Name: "b", Lang: "python", Dir: filepath.Join(dir, "b"), Folder: true, File: "index.py", Timeout: DefaultTimeout,
				Pos: Position{File: filepath.Join(dir, "chiron.yaml"), Line: 14, Column: 3},
			},
		}
		if diff := cmp.Diff(want, p.Functions); diff != "" {
			t.Errorf("functions (-want +got):\n%s", diff)
		}
	}
}

func TestLoadList(t *testing.T) {
	dir := writeTree(t, map[string]string{
		"chiron.yaml": "name: x\ndefinition: w.json\nslo: 1s\nfunctions:\n- {name: a, handler: a.py}\n",
		"w.json":      oneTask,
		"a.py":        "",
	})
	p, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	if p.Functions["a"] == nil || p.Functions["a"].File != "a.py" || p.Functions["a"].Dir != dir || p.Functions["a"].Folder {
		t.Errorf("function: %+v", p.Functions["a"])
	}
	if p.SLO != (SLO{Latency: time.Second, Percentile: DefaultPercentile}) || !json.Valid(p.Input) || string(p.Input) != "{}" {
		t.Errorf("slo %+v, input %s", p.SLO, p.Input)
	}
}

// TestLoadFaults changes one line of a good project at a time. Each want is
// the whole report, without the folder.
func TestLoadFaults(t *testing.T) {
	good := map[string]string{
		"name":       "name: x",
		"definition": "definition: w.json",
		"functions":  "functions:\n  a: {handler: a.py}",
	}
	tests := []struct {
		name  string
		part  string // of good, replaced by text
		text  string
		wants []string // each a line of the report, in order
	}{
		{"no name", "name", "", []string{`chiron.yaml:1:1: "name" is missing; write: name: `}},
		{"bad name", "name", "name: My_App", []string{`chiron.yaml:1:7: name must be a DNS label, not "My_App"; at most 63 lower-case letters, digits and -, with no - at the ends: my-app`}},
		{"long name", "name", "name: " + strings.Repeat("a", 64), []string{`chiron.yaml:1:7: name must be a DNS label`}},
		{"unknown field", "name", "name: x\nsloo: 1s", []string{`chiron.yaml:2:1: no such field in the project: "sloo"; did you mean "slo"?; fields: name, slo, definition, functions, input, objectStore, apart, together, limits, scale, prices`}},
		{"twice", "name", "name: x\nname: y", []string{`chiron.yaml:2:1: "name" appears twice in one mapping; the first is on line 1`}},
		{"slo without unit", "name", "name: x\nslo: 120", []string{`chiron.yaml:2:6: slo must be a duration, not 120; its unit is missing: 120ms?`}},
		{"slo zero", "name", "name: x\nslo: 0s", []string{`chiron.yaml:2:6: slo must be more than 0, not "0s"`}},
		{"slo percentile", "name", "name: x\nslo: {latency: 1s, percentile: 100}", []string{`chiron.yaml:2:32: percentile must be a number between 0 and 100, not 100; write: percentile: 99, or: percentile: mean`}},
		{"slo without latency", "name", "name: x\nslo: {percentile: 99}", []string{`chiron.yaml:2:6: slo has no "latency"; write: slo: 120ms, or slo: {latency: 120ms, percentile: 99}`}},
		{"no definition", "definition", "", []string{`chiron.yaml:1:1: "definition" is missing; write: definition: workflow.asl.json`}},
		{"definition missing", "definition", "definition: v.json", []string{`chiron.yaml:2:13: definition "v.json" does not exist; did you mean "w.json"?`}},
		{"definition is a folder", "definition", "definition: sub", []string{`chiron.yaml:2:13: definition "sub": not a regular file`}},
		{"definition escapes", "definition", "definition: ../w.json", []string{`chiron.yaml:2:13: definition "../w.json" leads out of the project's folder; name a path inside it, relative to chiron.yaml`}},
		{"definition escapes within", "definition", "definition: sub/../../w.json", []string{`chiron.yaml:2:13: definition "sub/../../w.json" leads out of the project's folder; name a path inside it, relative to chiron.yaml`}},
		{"definition absolute", "definition", "definition: /etc/passwd", []string{`chiron.yaml:2:13: definition "/etc/passwd" leads out of the project's folder; name a path inside it, relative to chiron.yaml`}},
		{"definition by link", "definition", "definition: out.json", []string{`chiron.yaml:2:13: definition "out.json" leads out of the project's folder through a symbolic link; put the file itself into the folder`}},
		{"no functions", "functions", "", []string{
			`chiron.yaml:1:1: "functions" is missing; write: functions: {NAME: {handler: FILE}}`,
			`w.json:1:63: state "A": Resource names no function of chiron.yaml: "a"; there are no functions`,
		}},
		{"functions a string", "functions", "functions: a.py", []string{
			`chiron.yaml:3:12: "functions" must be a mapping of names or a list, not "a.py"; write: functions: {NAME: {handler: FILE}}`,
			`w.json:1:63: state "A": Resource names no function of chiron.yaml: "a"; there are no functions`,
		}},
		{"other function", "functions", "functions: {aa: {handler: a.py}}", []string{`w.json:1:63: state "A": Resource names no function of chiron.yaml: "a"; did you mean "aa"?; functions: aa`}},
		{"function twice in a list", "functions", "functions: [{name: a, handler: a.py}, {name: a, handler: a.py}]", []string{`chiron.yaml:3:46: two functions are named "a"; the first is on line 3`}},
		{"function without name", "functions", "functions: [{name: a, handler: a.py}, {handler: a.py}]", []string{`chiron.yaml:3:39: a function in the list has no name; write: - name: NAME`}},
		{"bad function name", "functions", "functions: {a: {handler: a.py}, ../b: {handler: a.py}}", []string{`chiron.yaml:3:33: function "../b": a function's name is letters, digits, - and _, and begins with a letter or digit`}},
		{"handler missing", "functions", "functions: {a: {handler: b.py}}", []string{`chiron.yaml:3:26: handler "b.py" does not exist; did you mean "a.py"?`}},
		{"no handler", "functions", "functions: {a: {lang: python}}", []string{`chiron.yaml:3:13: function "a" has no handler; write: handler: FILE, FILE:SYMBOL or a folder`}},
		{"handler folder empty", "functions", "functions: {a: {handler: sub}}", []string{`chiron.yaml:3:26: handler "sub" is a folder with none of handler.py, index.py, main.py, function.py; or name the file: handler: sub/FILE.py`}},
		{"handler escapes", "functions", "functions: {a: {handler: ../a.py}}", []string{`chiron.yaml:3:26: handler "../a.py" leads out of the project's folder; name a path inside it, relative to chiron.yaml`}},
		{"handler by link", "functions", "functions: {a: {handler: out}}", []string{`chiron.yaml:3:26: handler "out/handler.py" leads out of the project's folder through a symbolic link`}},
		{"handler in Lambda's form", "functions", "functions: {a: {handler: a.handler}}", []string{`chiron.yaml:3:26: handler "a.handler" does not exist; write: handler: a.py:handler`}},
		{"handler symbol", "functions", "functions: {a: {handler: 'a.py:1x'}}", []string{`chiron.yaml:3:26: handler "a.py:1x": "1x" is no name of a Python function; write FILE:NAME with the name of a function in the file`}},
		{"handler of another language", "functions", "functions: {a: {handler: h.js}}", []string{`chiron.yaml:3:26: handler "h.js": language "node" is not supported yet; supported: python`}},
		{"another language", "functions", "functions: {a: {handler: a.py, lang: node}}", []string{`chiron.yaml:3:38: language "node" is not supported yet; leave it out, or write: lang: python`}},
		{"runtime", "functions", "functions: {a: {handler: a.py, runtime: .venv/bin/python}}", []string{`chiron.yaml:3:41: runtime is none that can be looked for: ".venv/bin/python"; write a version ("3.12"), a command (python3.12) or an absolute path`}},
		{"timeout", "functions", "functions: {a: {handler: a.py, timeout: 5 seconds}}", []string{`chiron.yaml:3:41: timeout must be a duration, not "5 seconds"; write a number and its unit: 120ms, 1.5s, 2m`}},
		{"memory", "functions", "functions: {a: {handler: a.py, memory: 128Mo}}", []string{`chiron.yaml:3:40: memory: "128Mo" is no amount of memory: write 128Mi or 64MB`}},
		{"memory without unit", "functions", "functions: {a: {handler: a.py, memory: 128}}", []string{`chiron.yaml:3:40: memory of 128 bytes is too little for any function; is its unit missing: 128Mi?`}},
		{"env", "functions", "functions: {a: {handler: a.py, env: {1A: x, B: [y], C: }}}", []string{
			`chiron.yaml:3:38: env "1A" is no name of a variable; letters, digits and _, not a digit first`,
			`chiron.yaml:3:48: env B must be text, not an array; write it in quotes`,
			`chiron.yaml:3:56: env C must be text, not null; write it in quotes`,
		}},
		{"requirements", "functions", "functions: {a: {handler: a.py, requirements: sub}}", []string{`chiron.yaml:3:46: requirements "sub" is not a regular file; name a pip requirements file`}},
		{"function field", "functions", "functions: {a: {handler: a.py, mem: 1Gi}}", []string{`chiron.yaml:3:32: no such field in function "a": "mem"; fields: lang, runtime, handler, requirements, env, timeout, memory`}},
		{"scale is no mapping", "name", "name: x\nscale: 4", []string{`chiron.yaml:2:8: "scale" must be a mapping, not 4; write: scale: {concurrency: 16, instances: 0..4, idle: 30s}`}},
		{"scale field", "name", "name: x\nscale: {max: 4}", []string{`chiron.yaml:2:9: no such field in "scale": "max"; fields: concurrency, instances, idle`}},
		{"concurrency", "name", "name: x\nscale: {concurrency: 0}", []string{`chiron.yaml:2:22: concurrency must be a whole number from 1 to 65536, not 0; write a number such as 16`}},
		{"too much concurrency", "name", "name: x\nscale: {concurrency: 10001}", []string{`chiron.yaml:2:22: concurrency is at most 10000`}},
		{"instances", "name", "name: x\nscale: {instances: 4..2}", []string{`chiron.yaml:2:20: instances of "4..2": MAX must be at least 1, and not below MIN; write: instances: 0..4`}},
		{"instances of a list", "name", "name: x\nscale: {instances: [1, 2]}", []string{`chiron.yaml:2:20: instances of an array: write a number, or MIN..MAX such as 0..4; at most 1000; write: instances: 0..4`}},
		{"idle", "name", "name: x\nscale: {idle: 30}", []string{`chiron.yaml:2:15: idle must be a duration, not 30; its unit is missing: 30ms?`}},
		{"object store beyond loopback", "name", "name: x\nobjectStore: 0.0.0.0:9753", []string{`chiron.yaml:2:14: "objectStore" must be a loopback address with a port, not "0.0.0.0:9753"; write for example 127.0.0.1:9753`}},
		{"object store without a port", "name", "name: x\nobjectStore: 127.0.0.1", []string{`chiron.yaml:2:14: "objectStore" must be a loopback address with a port, not "127.0.0.1"; write for example 127.0.0.1:9753`}},
		{"input missing", "name", "name: x\ninput: w.jsn", []string{`chiron.yaml:2:8: input "w.jsn" does not exist; did you mean "w.json"?`}},
		{"input not JSON", "name", "name: x\ninput: bad.json", []string{`bad.json:2:2: not JSON: expected a field's name, found "}"; remove the comma before it`}},
		{"merge key", "name", "name: x\n<<: {slo: 1s}", []string{`chiron.yaml:2:1: YAML's merge key << is not supported; write the fields out`}},
		{"two documents", "name", "name: x\n---\nname: x", []string{`chiron.yaml:2:1: a second YAML document in one file; keep one document a file`}},
		{"not YAML later", "functions", "functions:\n  a: {handler: a.py", []string{`chiron.yaml:4: not YAML: did not find expected ',' or '}'`}},
		{"tab", "functions", "functions:\n\ta: {handler: a.py}", []string{`chiron.yaml:4: not YAML: found character that cannot start any token; indent with spaces, not tabs, and quote text that begins with a special character`}},
		{"not YAML", "name", "name: x: y", []string{`chiron.yaml:1: not YAML: mapping values are not allowed in this context`}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			project := ""
			for _, part := range []string{"name", "definition", "functions"} {
				text := good[part]
				if part == test.part {
					text = test.text
				}
				if text != "" {
					project += text + "\n"
				}
			}
			dir := writeTree(t, map[string]string{
				"in/chiron.yaml": project, "in/w.json": oneTask, "in/a.py": "", "in/h.js": "", "in/sub/x": "",
				"in/bad.json": "{\"a\": 1,\n }", "w.json": oneTask, "handler.py": "",
			})
			for link, target := range map[string]string{"in/out.json": "../w.json", "in/out/handler.py": "../../handler.py"} {
				if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, link)), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.Symlink(target, filepath.Join(dir, link)); err != nil {
					t.Fatal(err)
				}
			}
			dir = filepath.Join(dir, "in")
			p, err := Load(dir)
			if err == nil {
				t.Fatalf("loaded: %+v", p)
			}
			lines := strings.Split(err.Error(), "\n")
			if len(lines) != len(test.wants) {
				t.Fatalf("got %d lines, want %d:\n%v", len(lines), len(test.wants), err)
			}
			for i, want := range test.wants {
				got := strings.TrimPrefix(lines[i], dir+"/")
				if got != want && !(isPrefixCase(test.name) && strings.HasPrefix(got, want)) {
					t.Errorf("got  %s\nwant %s", got, want)
				}
			}
		})
	}
}

// isPrefixCase: the rest of the message names the temporary folder, or repeats
// a long text.
func isPrefixCase(name string) bool {
	return name == "no name" || name == "long name" || name == "handler by link"
}

func TestLoadNoProject(t *testing.T) {
	dir := writeTree(t, map[string]string{"yml/chiron.yml": "", "def/w.json": oneTask, "dir/chiron.yaml/x": "", "empty/x": ""})
	for path, want := range map[string]string{
		"none":       "none: no such file or folder; make a project there with: chiron init DIR/none",
		"empty":      "empty: no chiron.yaml in this folder; make a project there with: chiron init DIR/empty",
		"yml":        "yml: no chiron.yaml in this folder; rename chiron.yml to chiron.yaml",
		"def/w.json": "def/w.json:1:1: this is a definition, not a project; name the folder with the chiron.yaml that names it",
		"dir":        "dir/chiron.yaml: not a regular file",
	} {
		_, err := Load(filepath.Join(dir, path))
		if err == nil {
			t.Errorf("%s: loaded", path)
			continue
		}
		got := strings.ReplaceAll(strings.TrimPrefix(err.Error(), dir+"/"), dir, "DIR")
		if got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}

func TestParseMemory(t *testing.T) {
	for text, want := range map[string]int64{
		"134217728": 134217728, "128Mi": 128 << 20, "128MiB": 128 << 20, "64MB": 64e6, "64M": 64e6, "1k": 1000, "1kB": 1000,
		"1Ki": 1024, "1.5Gi": 3 << 29, "2T": 2e12, "512 Mi": 512 << 20, "0": 0,
	} {
		got, err := ParseMemory(text)
		if err != nil || got != want {
			t.Errorf("%s: got %d, %v; want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", "Mi", "-1Mi", "1.2.3M", "1e3", "0.0001Ki", "99999999999T", "128 MiBs", "1i", "0x10"} {
		if got, err := ParseMemory(text); err == nil {
			t.Errorf("%q: got %d, want an error", text, got)
		}
	}
}
