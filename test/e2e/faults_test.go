package e2e

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const oneTask = `{"StartAt": "A", "States": {"A": {"Type": "Task", "Resource": "a", "End": true}}}`

const twoTasks = `{"StartAt": "A", "States": {"A": {"Type": "Task", "Resource": "a", "Next": "B"}, "B": {"Type": "Task", "Resource": "a", "End": true}}}`

// manyTasks are eleven side by side.
func manyTasks() string {
	var branches []string
	for i := range 11 {
		branches = append(branches, fmt.Sprintf(`{"StartAt": "T%[1]d", "States": {"T%[1]d": {"Type": "Task", "Resource": "a", "End": true}}}`, i))
	}
	return `{"StartAt": "P", "States": {"P": {"Type": "Parallel", "End": true, "Branches": [` + strings.Join(branches, ",") + `]}}}`
}

// rules is a chiron.yaml with some.
func rules(text string) string {
	return "name: p\ndefinition: workflow.asl.json\nfunctions:\n  a: {lang: python, handler: a.py, timeout: 500ms}\n" + text + "\n"
}

// project has one function with this code, and files that replace its own.
func project(t *testing.T, code string, files map[string]string) string {
	t.Helper()
	all := map[string]string{
		"chiron.yaml":       "name: p\ndefinition: workflow.asl.json\nfunctions:\n  a: {lang: python, handler: a.py, timeout: 500ms}\n",
		"workflow.asl.json": oneTask,
		"a.py":              code,
		"plan.json":         `{"apiVersion":"chiron/v1","workflow":"p","model":"test","wraps":[{"name":"wrap-1","cpus":1,"processes":[{"mode":"pool","tasks":["A"]}]}]}`,
	}
	for name, text := range files {
		all[name] = text
	}
	return write(t, all)
}

// TestMistakes: what a user can do wrong before anything is served. Each gets an
// exit code and lines that say what, where, and what to do.
func TestMistakes(t *testing.T) {
	const fine = "def handler(event, context):\n    return event\n"
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = taken.Close() })
	for _, c := range []struct {
		name  string
		dir   string
		args  []string // DIR is the project
		code  int
		wants []string
	}{
		{"a definition that is not JSON", project(t, fine, map[string]string{"workflow.asl.json": "{\n  \"StartAt\": \"A\",\n  oops\n}"}), []string{"plan", "DIR"}, 1, []string{"workflow.asl.json:3", "not JSON"}},
		{"a state type that is not there yet", project(t, fine, map[string]string{"workflow.asl.json": `{"StartAt": "A", "States": {"A": {"Type": "Wait", "Seconds": 1, "End": true}}}`}), []string{"plan", "DIR"}, 1, []string{`state "A"`, `"Wait"`}},
		{"a Resource without a function", project(t, fine, map[string]string{"workflow.asl.json": strings.ReplaceAll(oneTask, `"a"`, `"b"`)}), []string{"plan", "DIR"}, 1, []string{"workflow.asl.json:1:", `"b"`}},
		{"a handler that is missing", project(t, fine, map[string]string{"chiron.yaml": "name: p\ndefinition: workflow.asl.json\nfunctions: {a: {handler: b.py}}\n"}), []string{"run", "DIR"}, 1, []string{"chiron.yaml:3", "b.py", "does not exist"}},
		{"a handler that does not import", project(t, "import nothing_of_that_name\n"+fine, nil), []string{"run", "DIR"}, 1, []string{`"a"`, "No module named 'nothing_of_that_name'"}},
		{"a handler with a syntax error", project(t, "def handler(event, context)\n    return event\n", nil), []string{"run", "DIR"}, 1, []string{"a.py", "SyntaxError"}},
		{"serving a handler that does not import", project(t, "import nothing_of_that_name\n"+fine, nil), []string{"up", "DIR", "--listen", "127.0.0.1:0"}, 1, []string{`"a"`, "No module named 'nothing_of_that_name'"}},
		{"an SLO that no plan meets", project(t, "def handler(event, context):\n    return sum(range(200000))\n", nil), []string{"plan", "DIR", "--slo", "1ns"}, 1, []string{"predicted", "wrap-1", "no plan can meet the SLO of 1ns", "A alone"}},
		{"a memory limit under a function's need", project(t, fine, map[string]string{"chiron.yaml": rules("limits: {memory: 1Mi}")}), []string{"plan", "DIR"}, 1, []string{`function "a" needs`, "over the 1.0 MB", "limits: memory"}},
		{"tasks to be both together and apart", project(t, fine, map[string]string{"workflow.asl.json": twoTasks, "chiron.yaml": rules("apart: [[A, B]]\ntogether: [[A, B]]")}), []string{"plan", "DIR"}, 1, []string{`"A" and "B" cannot be apart`, "together", "chiron.yaml:"}},
		{"more wraps than the project allows", project(t, fine, map[string]string{"workflow.asl.json": twoTasks, "chiron.yaml": rules("apart: [[A, B]]\nlimits: {wraps: 1}")}), []string{"plan", "DIR"}, 1, []string{"at most 1 wrap", `"A"`, `"B"`}},
		{"an exact search of too many", project(t, fine, map[string]string{"workflow.asl.json": manyTasks()}), []string{"plan", "DIR", "--exact"}, 1, []string{"11 tasks", "at most 10"}},
		{"a port in use", project(t, fine, nil), []string{"up", "DIR", "--listen", taken.Addr().String()}, 1, []string{taken.Addr().String(), "in use", "--listen"}},
		{"a port that is none", project(t, fine, nil), []string{"up", "DIR", "--listen", "127.0.0.1:port"}, 2, []string{"--listen"}},
		{"no python of that version", project(t, fine, map[string]string{"chiron.yaml": "name: p\ndefinition: workflow.asl.json\nfunctions: {a: {handler: a.py, runtime: 3.99}}\n"}), []string{"up", "DIR", "--listen", "127.0.0.1:0"}, 1, []string{"3.99"}},
		{"a folder without a project", t.TempDir(), []string{"run", "DIR"}, 1, []string{"chiron.yaml", "chiron init"}},
		{"an unknown verb", "", []string{"rollout"}, 2, []string{`"rollout"`}},
		{"an unknown flag", "", []string{"ps", "--all-of-it"}, 2, []string{"--all-of-it"}},
		{"down of what is not there", "", []string{"down", "nobody"}, 1, []string{`"nobody"`, "chiron ps"}},
		{"invoke of what is not served", "", []string{"invoke", "nobody", "--gateway", "127.0.0.1:1"}, 1, []string{"127.0.0.1:1"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			u := newUser(t)
			args := make([]string, len(c.args))
			for i, a := range c.args {
				args[i] = strings.ReplaceAll(a, "DIR", c.dir)
			}
			switch args[0] {
			case "plan", "run":
				args = append(args, "--calibration", calibration())
			}
			got := u.chiron(args...)
			if got.code != c.code {
				t.Errorf("exit code %d, want %d\n%s%s", got.code, c.code, got.out, got.errors)
			}
			for _, want := range c.wants {
				if !strings.Contains(got.out+got.errors, want) {
					t.Errorf("it does not say %q:\n%s%s", want, got.out, got.errors)
				}
			}
			if strings.Contains(got.errors, "goroutine ") || strings.Contains(got.errors, "Traceback (most recent call last)") {
				t.Errorf("a stack trace for a user's mistake:\n%s", got.errors)
			}
			u.gone()
		})
	}
}

// TestNoPython runs without any python3 on the PATH.
func TestNoPython(t *testing.T) {
	u := newUser(t)
	c := u.command("up", project(t, "def handler(event, context):\n    return event\n", nil), "--listen", "127.0.0.1:0")
	empty := t.TempDir()
	for i, v := range c.Env {
		switch {
		case strings.HasPrefix(v, "PATH="):
			c.Env[i] = "PATH=" + empty
		case strings.HasPrefix(v, "HOME="):
			c.Env[i] = "HOME=" + empty
		case strings.HasPrefix(v, "PYENV_ROOT="):
			c.Env[i] = "PYENV_ROOT=" + empty
		}
	}
	out, err := c.CombinedOutput()
	if err == nil || c.ProcessState.ExitCode() != 1 || !strings.Contains(string(out), "python3") {
		t.Errorf("%v: %s", err, out)
	}
	if n := strings.Count(strings.TrimSpace(string(out)), "\n"); n > 2 {
		t.Errorf("%d lines for one mistake:\n%s", n+1, out)
	}
}

// misbehaving does what the input says.
const misbehaving = `
import os, signal, sys, time
def handler(event, context):
    what = event["do"]
    if what == "raise":
        raise ValueError("no good")
    if what == "exit":
        sys.exit(3)
    if what == "die":
        os._exit(4)
    if what == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if what == "sleep":
        time.sleep(30)
    if what == "set":
        return {1, 2}
    if what == "leak":
        handler.kept = getattr(handler, "kept", []) + [os.open("/dev/null", os.O_RDONLY) for _ in range(10)]
    if what == "print":
        print("x" * 100000)
    return {"did": what, "pid": os.getpid()}
`

// TestMisbehaviour: a function's failure is its request's failure, and the next
// request works.
func TestMisbehaviour(t *testing.T) {
	for _, mode := range []string{"pool", "fork"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			u := newUser(t)
			dir := project(t, misbehaving, nil)
			planFile := filepath.Join(dir, "plan.json")
			text, err := os.ReadFile(planFile)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(planFile, []byte(strings.Replace(string(text), `"pool"`, `"`+mode+`"`, 1)), 0o600); err != nil {
				t.Fatal(err)
			}
			s := u.up(dir)
			for _, c := range []struct {
				do     string
				status int
				wants  []string
			}{
				{"raise", 500, []string{`"States.TaskFailed"`, "ValueError: no good"}},
				{"exit", 500, []string{`"States.TaskFailed"`}},
				{"die", 500, []string{`"States.TaskFailed"`}},
				{"kill", 500, []string{`"States.TaskFailed"`}},
				{"sleep", 504, []string{`"States.Timeout"`}},
				{"set", 500, []string{`"States.`, "JSON"}},
				{"leak", 200, []string{`"leak"`}},
				{"print", 200, []string{`"print"`}},
			} {
				status, body := post(t, s.url+"/function/p", fmt.Sprintf(`{"do": %q}`, c.do))
				if status != c.status {
					t.Errorf("%s: %d %s, want %d", c.do, status, body, c.status)
				}
				for _, want := range c.wants {
					if !strings.Contains(body, want) {
						t.Errorf("%s: the answer has no %q: %s", c.do, want, body)
					}
				}
				if status, body := post(t, s.url+"/function/p", `{"do": "nothing"}`); status != 200 || !strings.Contains(body, `"nothing"`) {
					t.Errorf("the request after %s: %d %s", c.do, status, body)
				}
			}
			if status, body := post(t, s.url+"/function/p", "not JSON"); status != 500 || !strings.Contains(body, "States.") {
				t.Errorf("an input that is not JSON: %d %s", status, body)
			}
			if status, body := post(t, s.url+"/function/p", strings.Repeat(" ", 17<<20)); status != 413 {
				t.Errorf("a body over the limit: %d %s", status, body)
			}
			if status, body := post(t, s.url+"/function/none", "{}"); status != 404 || !strings.Contains(body, "none") {
				t.Errorf("an unknown name: %d %s", status, body)
			}
		})
	}
}
