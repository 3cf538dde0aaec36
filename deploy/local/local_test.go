package local

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/chiron-faas/chiron/bundle"
	"github.com/chiron-faas/chiron/deploy"
	"github.com/chiron-faas/chiron/deploy/targettest"
	"github.com/chiron-faas/chiron/internal/procfs"
	"github.com/chiron-faas/chiron/internal/programtest"
	"github.com/chiron-faas/chiron/plan"
	"github.com/chiron-faas/chiron/workflow"
)

// agentFile is the chiron-agent that all tests run. Set by TestMain, and only read
// afterwards.
var agentFile string

// The test program stands in for a keeper that is to be killed.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "keep" {
		agentFile = os.Args[4]
		os.Exit(runKeeper(os.Args[2], os.Args[3]))
	}
	os.Exit(withAgent(m))
}

func withAgent(m *testing.M) int {
	dir, err := os.MkdirTemp("", "local")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	agentFile = filepath.Join(dir, programtest.Agent)
	if err := programtest.Build(context.Background(), dir, programtest.Options{}, programtest.Agent); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// runKeeper deploys what the parent has built and waits for its end.
func runKeeper(dir, deployment string) int {
	var d deploy.Deployment
	data, err := os.ReadFile(deployment)
	if err == nil {
		err = json.Unmarshal(data, &d)
	}
	var t *Target
	if err == nil {
		t, err = New(Options{Agent: agentFile, Dir: dir})
	}
	var r deploy.Running
	if err == nil {
		r, err = t.Up(context.Background(), d)
	}
	if err != nil {
		fmt.Println("error:", err)
		return 1
	}
	fmt.Println("up")
	<-r.Done()
	return 0
}

const handler = `
import os
def handler(event, context):
    print("printed by %s", flush=True)
    return {"n": event["n"] + 1} if isinstance(event, dict) else event
`

const parallel = `{"StartAt": "p", "States": {"p": {"Type": "Parallel", "Next": "pick", "Branches": [
  {"StartAt": "a", "States": {"a": {"Type": "Task", "Resource": "inc", "End": true}}},
  {"StartAt": "b", "States": {"b": {"Type": "Task", "Resource": "other", "End": true}}}]},
  "pick": {"Type": "Pass", "InputPath": "$[0]", "End": true}}}`

// project writes a project whose handlers hold code, and loads it.
func project(t *testing.T, code string) *workflow.Project {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"chiron.yaml": `name: w
definition: workflow.asl.json
functions:
  inc: {lang: python, handler: inc.py}
  other: {lang: python, handler: other.py}
`,
		"workflow.asl.json": parallel,
		"inc.py":            fmt.Sprintf(handler, "inc") + code,
		"other.py":          fmt.Sprintf(handler, "other"),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	p, err := workflow.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// deployment builds bundles of two wraps.
func deployment(t *testing.T, name, code string) deploy.Deployment {
	t.Helper()
	pl := &plan.Plan{Workflow: "w", Model: "test", Wraps: []plan.Wrap{
		{Name: "wrap-1", CPUs: 1, Processes: []plan.Process{{Mode: plan.Pool, CPU: 0, Tasks: []string{"a"}}}},
		{Name: "wrap-2", CPUs: 1, Processes: []plan.Process{{Mode: plan.Fork, CPU: 0, Tasks: []string{"b"}}}},
	}}
	bundles, err := bundle.Build(t.Context(), bundle.Options{Project: project(t, code), Plan: pl, OutDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	return deploy.Deployment{Name: name, Plan: pl, Bundles: bundles}
}

// shortDir is a folder with a short path, since sockets lie in it.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "chl")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// marked lists the processes that have the mark in their environment: the
// variable of the agents, or the folder that only their functions' processes have
// there, since these do not inherit the agents' variables.
func marked(t *testing.T, marks ...string) []string {
	t.Helper()
	var found []string
	all, err := processes()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range all {
		env, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(s.PID), "environ"))
		if err == nil && slices.ContainsFunc(marks, func(m string) bool { return strings.Contains(string(env), m) }) {
			cmd, _ := os.ReadFile(filepath.Join("/proc", strconv.Itoa(s.PID), "cmdline"))
			found = append(found, fmt.Sprintf("%d %s", s.PID, strings.ReplaceAll(string(cmd), "\x00", " ")))
		}
	}
	return found
}

func TestContract(t *testing.T) {
	for _, c := range []struct{ groups, warm bool }{{true, false}, {false, false}, {true, true}, {false, true}} {
		t.Run(fmt.Sprintf("cgroups=%v,warm=%v", c.groups, c.warm), func(t *testing.T) {
			t.Parallel()
			groups := c.groups
			made := func(t *testing.T, name, code string) deploy.Deployment {
				d := deployment(t, name, code)
				d.Warm = c.warm
				return d
			}
			mark := fmt.Sprintf("CHIRON_TEST_MARK=%d.%v.%v", os.Getpid(), groups, c.warm)
			dir := shortDir(t)
			target, err := New(Options{
				Agent: agentFile, Dir: dir, NoCgroups: !groups, Environ: []string{mark}, Grace: 2 * time.Second,
			})
			if err != nil {
				t.Fatal(err)
			}
			targettest.Suite{
				Target:   target,
				Good:     func(t *testing.T, name string) deploy.Deployment { return made(t, name, "") },
				Function: "inc", Input: `{"n":1}`, Output: `{"n":2}`,
				Broken: func(t *testing.T, name string) deploy.Deployment {
					return made(t, name, "\nimport nothing_of_that_name\n")
				},
				Message: "nothing_of_that_name",
				Kill: func(t *testing.T, w deploy.WrapStatus) {
					if err := syscall.Kill(w.PID, syscall.SIGKILL); err != nil {
						t.Fatal(err)
					}
				},
				Left: func(t *testing.T) []string { return marked(t, mark, dir+"/") },
			}.Run(t)
		})
	}
}

// startKeeper starts a program that keeps a deployment up, and waits until it is.
func startKeeper(t *testing.T, dir, name string) *exec.Cmd {
	t.Helper()
	d := deployment(t, name, "")
	d.Warm = true // more that has to go with its keeper
	data, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "d.json")
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	keeper := exec.Command(os.Args[0], "keep", dir, file, agentFile)
	out, err := keeper.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := keeper.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || line != "up\n" {
		t.Fatalf("the keeper says %q, %v", line, err)
	}
	return keeper
}

// TestKeeperIsKilled: kill -9 of the keeper leaves no process, and what it left
// in files does not stand in the way.
func TestKeeperIsKilled(t *testing.T) {
	dir := shortDir(t)
	// Agents do not inherit the keeper's environment: they are known by their
	// arguments.
	left := func() []string {
		var found []string
		all, err := processes()
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range all {
			cmd, _ := os.ReadFile(filepath.Join("/proc", strconv.Itoa(s.PID), "cmdline"))
			cwd, _ := os.Readlink(filepath.Join("/proc", strconv.Itoa(s.PID), "cwd"))
			if s.PID != os.Getpid() && (strings.Contains(string(cmd), dir) || strings.HasPrefix(cwd, dir)) {
				found = append(found, fmt.Sprintf("%d %s", s.PID, strings.ReplaceAll(string(cmd), "\x00", " ")))
			}
		}
		return found
	}
	keeper := startKeeper(t, dir, "orphan")
	target, err := New(Options{Agent: agentFile, Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	if s, err := target.Status(t.Context(), "orphan"); err != nil || s.State != deploy.Up || s.Keeper != keeper.Process.Pid {
		t.Errorf("status from another process: %+v, %v", s, err)
	}
	if len(left()) < 3 {
		t.Fatalf("the deployment's processes are not seen: %v", left())
	}
	if err := keeper.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = keeper.Wait() // killed
	for end := time.Now().Add(10 * time.Second); len(left()) > 0 && time.Now().Before(end); {
		time.Sleep(10 * time.Millisecond)
	}
	if l := left(); len(l) > 0 {
		t.Errorf("left behind by a keeper that was killed: %v", l)
	}
	if s, err := target.Status(t.Context(), "orphan"); err != nil || s.State != deploy.Dead {
		t.Errorf("status %+v, %v, want dead", s, err)
	}
	r, err := target.Up(t.Context(), deployment(t, "orphan", ""))
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Down(t.Context()); err != nil {
		t.Error(err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) > 0 {
		t.Errorf("left in the state folder: %v, %v", entries, err)
	}
}

func TestAssignCPUs(t *testing.T) {
	for _, c := range []struct {
		name    string
		machine []int
		load    map[int]int
		asked   []int
		want    string
	}{
		{"enough", []int{0, 1, 2, 3}, nil, []int{2, 1, 1}, "[[0 1] [2] [3]]"},
		{"too few are shared", []int{0, 1}, nil, []int{3, 1}, "[[0 1 0] [1]]"},
		{"the idle ones first", []int{0, 1, 2}, map[int]int{0: 1}, []int{1, 1, 1}, "[[1] [2] [0]]"},
	} {
		t.Run(c.name, func(t *testing.T) {
			load := map[int]int{}
			for k, v := range c.load {
				load[k] = v
			}
			if got := fmt.Sprint(assignCPUs(c.machine, load, c.asked)); got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
		})
	}
}

func TestFamily(t *testing.T) {
	all := []procfs.Stat{
		{PID: 5, Parent: 9, Group: 5, Session: 5}, // a child listed before its parent
		{PID: 9, Parent: 1, Group: 9, Session: 3}, // left the group, in the session
		{PID: 3, Parent: 1, Group: 3, Session: 3},
		{PID: 4, Parent: 3, Group: 4, Session: 4},
		{PID: 6, Parent: 1, Group: 6, Session: 6},
	}
	if got := family(all, 3); !slices.Equal(got, []int{3, 4, 5, 9}) {
		t.Errorf("family %v", got)
	}
}

// TestWrapsApart: each wrap of a plan as a deployment of its own, wrap 1 told
// where the other is, and an environment for the functions.
func TestWrapsApart(t *testing.T) {
	target, err := New(Options{Agent: agentFile, Dir: shortDir(t), Grace: 2 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	whole := deployment(t, "apart", "\nif os.environ.get('GIVEN') != 'a b=c': raise SystemExit('no GIVEN')\n")
	part := func(n int) deploy.Deployment {
		d := whole
		d.Name, d.Only, d.Bundles = fmt.Sprintf("apart-%d", n+1), d.Plan.Wraps[n].Name, d.Bundles[n:n+1]
		d.Env = []string{"GIVEN=a b=c"}
		return d
	}
	up := func(d deploy.Deployment) deploy.Running {
		r, err := target.Up(t.Context(), d)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := r.Down(context.Background()); err != nil {
				t.Error(err)
			}
		})
		return r
	}
	two := up(part(1))
	one := part(0)
	one.Peers = map[string]string{"wrap-2": "unix://" + two.Workflow().Address}
	r := up(one)
	if status, body, err := targettest.Invoke(t.Context(), r.Workflow(), `{"n":1}`); err != nil || status != 200 || body != `{"n":2}` {
		t.Errorf("%d %s %v", status, body, err)
	}
	if s, err := r.Status(t.Context()); err != nil || len(s.Wraps) != 1 || s.Wraps[0].Name != "wrap-1" {
		t.Errorf("%+v, %v: want wrap-1 alone", s.Wraps, err)
	}
	wrong := part(0)
	wrong.Only = "wrap-2"
	if _, err := target.Up(t.Context(), wrong); err == nil {
		t.Error("the bundle of another wrap is taken")
	}
}
