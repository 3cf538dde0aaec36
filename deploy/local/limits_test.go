package local

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/chiron-faas/chiron/bundle"
	"github.com/chiron-faas/chiron/deploy"
	"github.com/chiron-faas/chiron/deploy/targettest"
	"github.com/chiron-faas/chiron/plan"
)

// greedy takes what its input names.
const greedy = `
import ctypes, json, os, subprocess, threading, time

def handler(event, context):
    what = event.get("do") if isinstance(event, dict) else None
    if what == "memory":
        held = bytearray(event["bytes"])
        for at in range(0, len(held), 4096):
            held[at] = 1
    if what == "child memory":
        subprocess.run(["python3", "-c", "b = bytearray(%d); b[::4096] = b'x' * len(b[::4096])" % event["bytes"]], check=True)
    if what == "fork bomb":
        while True:
            if os.fork() == 0:
                time.sleep(0.001)
    if what == "bomb behind":
        if os.fork() == 0:
            while True:
                try:
                    os.fork()
                except OSError:
                    time.sleep(0.001)
        time.sleep(0.5)
    if what == "threads":
        stop = threading.Event()
        try:
            for _ in range(event["n"]):
                threading.Thread(target=stop.wait).start()
        finally:
            stop.set()
    if what == "fill":
        with open("filling", "wb") as f:
            while True:
                f.write(b"x" * 65536)
                f.flush()
    if what == "note":
        with open("note", "wb") as f:
            f.write(b"x" * 4000000)
    if what == "echo":
        return event["text"]
    if what == "sleep":
        time.sleep(event["s"])
    return {"pid": os.getpid()}
`

// limited deploys one wrap of one process; what is not permitted here skips.
func limited(t *testing.T, mode plan.Mode, o Options, memory int64, controllers ...string) deploy.Running {
	t.Helper()
	o.Agent, o.Grace = agentFile, 2*time.Second
	if o.Dir == "" {
		o.Dir = shortDir(t)
	}
	target, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range controllers {
		if !slices.ContainsFunc(target.hierarchies, func(h hierarchy) bool { return h.has(c) }) {
			t.Skipf("no control group of %s may be made here: %s", c, target.noGroups)
		}
	}
	pl := &plan.Plan{Workflow: "w", Model: "test", Wraps: []plan.Wrap{{
		Name: "wrap-1", CPUs: 1, Memory: memory,
		Processes: []plan.Process{{Mode: mode, CPU: 0, Tasks: []string{"a"}}, {Mode: plan.Pool, CPU: 0, Tasks: []string{"b"}}},
	}}}
	return upFor(t, target, built(t, pl, greedy))
}

func built(t *testing.T, pl *plan.Plan, code string) deploy.Deployment {
	t.Helper()
	bundles, err := bundle.Build(t.Context(), bundle.Options{Project: project(t, code), Plan: pl, OutDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	return deploy.Deployment{Name: "limited", Plan: pl, Bundles: bundles}
}

// invoke calls function inc, or other.
func invoke(t *testing.T, r deploy.Running, function, input string) (int, string) {
	t.Helper()
	e, ok := r.Function(function)
	if !ok {
		t.Fatalf("no function %s", function)
	}
	status, body, err := targettest.Invoke(t.Context(), e, input)
	if err != nil {
		t.Fatalf("%s %s: %v", function, input, err)
	}
	return status, body
}

// unharmed wants the wrap to be the one that it was, both functions to work, and
// no more processes than before.
func unharmed(t *testing.T, r deploy.Running, before deploy.Status) {
	t.Helper()
	for _, f := range []string{"inc", "other"} {
		if status, body := invoke(t, r, f, `{"n": 1}`); status != 200 {
			t.Errorf("%s afterwards: %d %s", f, status, body)
		}
	}
	var now deploy.Status
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		var err error
		if now, err = r.Status(t.Context()); err != nil {
			t.Fatal(err)
		}
		if now.Wraps[0].Processes <= before.Wraps[0].Processes || time.Now().After(end) {
			break
		}
	}
	if w, was := now.Wraps[0], before.Wraps[0]; w.PID != was.PID || w.Restarts != 0 || w.Processes > was.Processes {
		t.Errorf("the wrap was %+v and is %+v", was, w)
	}
}

func statusOf(t *testing.T, r deploy.Running) deploy.Status {
	t.Helper()
	invoke(t, r, "other", `{"n": 1}`)
	s, err := r.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

var bothModes = []plan.Mode{plan.Pool, plan.Fork}

// TestOutOfMemory: the kernel kills the worker that took the memory, and its
// request says so.
func TestOutOfMemory(t *testing.T) {
	const limit = 96 << 20
	for _, mode := range bothModes {
		t.Run(string(mode), func(t *testing.T) {
			r := limited(t, mode, Options{}, limit, "memory")
			before := statusOf(t, r)
			if before.Wraps[0].MemoryLimit != limit {
				t.Errorf("limit %d", before.Wraps[0].MemoryLimit)
			}
			beside := make(chan string, 1)
			go func() {
				status, body := invoke(t, r, "other", `{"n": 1}`)
				beside <- fmt.Sprint(status, body)
			}()
			for range 3 {
				status, body := invoke(t, r, "inc", fmt.Sprintf(`{"do": "memory", "bytes": %d}`, 2*limit))
				if status != 500 || !strings.Contains(body, `"States.TaskFailed"`) || !strings.Contains(body, "the wrap reached its memory limit of 100.7 MB (") {
					t.Errorf("%d %s", status, body)
				}
				unharmed(t, r, before)
			}
			if got := <-beside; !strings.HasPrefix(got, "200") {
				t.Errorf("the request beside: %s", got)
			}
			// What the handler started is killed, not the handler: it sees that.
			status, body := invoke(t, r, "inc", fmt.Sprintf(`{"do": "child memory", "bytes": %d}`, 2*limit))
			if status != 500 || !strings.Contains(body, "SIGKILL") {
				t.Errorf("%d %s", status, body)
			}
			unharmed(t, r, before)
		})
	}
}

// TestImportOutOfMemory: what takes too much while it is imported cannot start,
// and is told why.
func TestImportOutOfMemory(t *testing.T) {
	target := newTarget(t, shortDir(t), true)
	if !slices.ContainsFunc(target.hierarchies, func(h hierarchy) bool { return h.has("memory") }) {
		t.Skip("no control group of memory may be made here: " + target.noGroups)
	}
	d := built(t, &plan.Plan{Workflow: "w", Model: "test", Wraps: []plan.Wrap{{
		Name: "wrap-1", CPUs: 1, Memory: 64 << 20, Processes: []plan.Process{{Mode: plan.Pool, CPU: 0, Tasks: []string{"a", "b"}}},
	}}}, "\nheld = b'x' * (256 << 20)\n")
	_, err := target.Up(t.Context(), d)
	var start *deploy.StartError
	if !errors.As(err, &start) || !strings.Contains(start.Message, "reached its memory limit of 67.1 MB") {
		t.Errorf("%v; want a StartError that names the limit", err)
	}
}

// TestKilledByHand: a SIGKILL that no limit has sent is not said to be one's.
func TestKilledByHand(t *testing.T) {
	r := limited(t, plan.Pool, Options{}, 96<<20, "memory")
	_, body := invoke(t, r, "inc", `{}`)
	pid, err := strconv.Atoi(strings.Trim(strings.TrimPrefix(body, `{"pid":`), " }"))
	if err != nil {
		t.Fatal(err)
	}
	kill := time.AfterFunc(300*time.Millisecond, func() {
		if p, err := os.FindProcess(pid); err == nil {
			_ = p.Kill()
		}
	})
	defer kill.Stop()
	if status, body := invoke(t, r, "inc", `{"do": "sleep", "s": 20}`); status != 500 || !strings.Contains(body, "was killed") || strings.Contains(body, "reached its memory limit") {
		t.Errorf("%d %s", status, body)
	}
}

// TestForkBomb: a function that starts processes without end fails by the name of
// the limit, and what it has started is gone.
func TestForkBomb(t *testing.T) {
	for _, mode := range bothModes {
		t.Run(string(mode), func(t *testing.T) {
			r := limited(t, mode, Options{Processes: 48}, 0, "pids")
			before := statusOf(t, r)
			for _, do := range []string{`{"do": "fork bomb"}`, `{"do": "threads", "n": 100}`} {
				status, body := invoke(t, r, "inc", do)
				if status != 500 || !strings.Contains(body, `"States.TaskFailed"`) || !strings.Contains(body, "limit of 48 processes and threads (") {
					t.Errorf("%s: %d %s", do, status, body)
				}
				unharmed(t, r, before)
			}
			// It answers, and goes on behind.
			status, body := invoke(t, r, "inc", `{"do": "bomb behind"}`)
			t.Logf("bomb behind: %d %s", status, body)
			for end := time.Now().Add(10 * time.Second); ; time.Sleep(50 * time.Millisecond) {
				status, body := invoke(t, r, "inc", `{"do": "threads", "n": 2}`)
				if status == 200 {
					break
				}
				if time.Now().After(end) {
					t.Fatalf("the wrap does not get rid of it: %d %s", status, body)
				}
			}
			unharmed(t, r, before)
		})
	}
}

// TestDataLimit: without control groups a process is held to the memory, and the
// MemoryError names the limit.
func TestDataLimit(t *testing.T) {
	for _, mode := range bothModes {
		t.Run(string(mode), func(t *testing.T) {
			const limit = 256 << 20
			r := limited(t, mode, Options{NoCgroups: true}, limit)
			before := statusOf(t, r)
			status, body := invoke(t, r, "inc", fmt.Sprintf(`{"do": "memory", "bytes": %d}`, 2*limit))
			if status != 500 || !strings.Contains(body, "MemoryError") || !strings.Contains(body, "may have 268.4 MB of private memory") {
				t.Errorf("%d %s", status, body)
			}
			unharmed(t, r, before)
		})
	}
}

// TestDiskFull: a function that fills the disk fails; all else goes on, and a wrap
// that dies meanwhile is restarted, without what it had written.
func TestDiskFull(t *testing.T) {
	dir := shortDir(t)
	if err := syscall.Mount("chiron-test", dir, "tmpfs", 0, "size=8m,mode=0700"); err != nil {
		t.Skipf("no file system of a bounded size may be mounted here: %v", err)
	}
	t.Cleanup(func() { // after the deployment, which is up later, is down
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	r := limited(t, plan.Fork, Options{Dir: dir}, 0)
	before := statusOf(t, r)
	status, body := invoke(t, r, "inc", `{"do": "fill"}`)
	if status != 500 || !strings.Contains(body, `"States.TaskFailed"`) || !strings.Contains(body, "No space left on device") {
		t.Errorf("%d %s", status, body)
	}
	unharmed(t, r, before)
	if err := syscall.Kill(before.Wraps[0].PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		e, _ := r.Function("inc")
		status, body, err := targettest.Invoke(t.Context(), e, `{"n": 1}`)
		if err == nil && status == 200 {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("a wrap is not restarted while the disk is full: %d %s, %v", status, body, err)
		}
	}
	// What the dead one had written went with it.
	if status, body := invoke(t, r, "inc", `{"do": "note"}`); status != 200 {
		t.Errorf("%d %s", status, body)
	}
	for _, f := range []string{"inc", "other"} {
		if status, body := invoke(t, r, f, `{"n": 1}`); status != 200 {
			t.Errorf("%s afterwards: %d %s", f, status, body)
		}
	}
}
