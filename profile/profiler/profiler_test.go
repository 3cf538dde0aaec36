package profiler

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chiron-faas/chiron/profile"
	"github.com/chiron-faas/chiron/profile/ebpf"
	"github.com/chiron-faas/chiron/profile/perf"
	"github.com/chiron-faas/chiron/profile/portable"
	"github.com/chiron-faas/chiron/profile/strace"

	"github.com/google/go-cmp/cmp"
)

const ms = time.Millisecond

// mixed waits 10 ms, is on the CPU for 10 ms, writes a file, waits 5 ms.
const mixed = `
import os, time

def handle(req):
    time.sleep(0.010)
    begin = time.thread_time()
    x = 0
    while time.thread_time() - begin < 0.010:
        for i in range(1000):
            x += i * i
    with open("report.txt", "w") as f:
        f.write("x" * 100)
    os.rename("report.txt", "final.txt")
    time.sleep(0.005)
    return req
`

// chatty makes many calls that block for no time at all.
const chatty = `
import os

def handle(req):
    r, w = os.pipe()
    for _ in range(100):
        os.write(w, b"x")
        os.read(r, 1)
    os.close(r)
    os.close(w)
    return req
`

// available skips a test whose tracer does not work here.
func available(t *testing.T, tracer string) {
	t.Helper()
	if _, _, err := choose(t.Context(), tracers(), tracer); err != nil {
		t.Skip(err)
	}
}

func TestRunMeasuresRealHandlers(t *testing.T) {
	for _, tracer := range []string{ebpf.Name, perf.Name, strace.Name, portable.Name} {
		t.Run(tracer, func(t *testing.T) {
			available(t, tracer)
			var phases []Phase
			p, err := Run(t.Context(), Options{
				Project:  newProject(t, chain("Mixed"), map[string]string{"mixed": mixed}),
				Tracer:   tracer,
				Runs:     MinRuns,
				Progress: func(p Progress) { phases = append(phases, p.Phase) },
			})
			if err != nil {
				t.Fatal(err)
			}
			if len(p.Functions) != 1 {
				t.Fatalf("got %d functions, want 1", len(p.Functions))
			}
			f := p.Functions[0]
			if f.Name != "mixed" || f.Lang != "python" || !strings.HasPrefix(f.Version, "3.") || f.Tracer != tracer {
				t.Errorf("got %q, %q, %q, %q", f.Name, f.Lang, f.Version, f.Tracer)
			}
			if f.Runs < MinRuns || f.Cold.Mean < 25*ms || f.PeakRSS < 1<<20 || f.InputBytes != 4 || f.OutputBytes != 4 {
				t.Errorf("runs %d, cold %v, peak %d, in %d, out %d", f.Runs, f.Cold.Mean, f.PeakRSS, f.InputBytes, f.OutputBytes)
			}
			if f.Wall.Min < 25*ms || f.CPU.Min < 10*ms || f.CPU.Mean > f.Wall.Mean {
				t.Errorf("wall %+v, cpu %+v", f.Wall, f.CPU)
			}
			wantFiles := []string{"final.txt", "report.txt"}
			if tracer == portable.Name || tracer == perf.Name {
				wantFiles = wantFiles[:1] // it sees what is left
			}
			if diff := cmp.Diff(wantFiles, f.Files); diff != "" {
				t.Errorf("files: %s", diff)
			}
			checkMixed(t, f)
			if phases[0] != PhaseStart || phases[len(phases)-1] != PhaseDone {
				t.Errorf("progress: %v", phases)
			}
			if left := children(t); len(left) > 0 {
				t.Errorf("processes are left: %v", left)
			}
		})
	}
}

// checkMixed wants wait, compute, wait, in this order and about as long as the
// handler says; sleep never returns early, the CPU loop counts CPU time.
func checkMixed(t *testing.T, f profile.Function) {
	t.Helper()
	var sum, blocked time.Duration
	var shape []profile.Class // of the long ones
	var cause string          // of the first of them
	for _, p := range f.Periods {
		sum += p.Mean
		if p.Class == profile.Block {
			blocked += p.Mean
		}
		if p.Mean >= 3*ms {
			if len(shape) == 0 {
				cause = p.Cause
			}
			shape = append(shape, p.Class)
		}
	}
	if sum != f.Wall.Mean {
		t.Errorf("the periods sum to %v, the wall time is %v", sum, f.Wall.Mean)
	}
	if off := f.Wall.Mean - f.CPU.Mean - f.RunQueue; (blocked - off).Abs() > off/10 {
		t.Errorf("the blocks sum to %v; off the CPU it was %v", blocked, off)
	}
	if len(shape) < 3 || shape[0] != profile.Block || shape[len(shape)-1] != profile.Block {
		t.Errorf("the long periods are %v, want block, cpu, block; all: %v", shape, f.Periods)
	}
	if cause != "clock_nanosleep" && !strings.Contains(cause, "select") {
		t.Errorf("the first wait is for %q", cause)
	}
}

// hashing computes for 3 ms, then hashes without the lock.
const hashing = `
import hashlib, time

def handle(req):
    begin = time.thread_time()
    while time.thread_time() - begin < 0.003:
        pass
    hashlib.pbkdf2_hmac("sha256", b"x", b"y", 30000)
    return req
`

// Work without the lock is native, as much as the thread's clock says.
func TestEBPFSeesNative(t *testing.T) {
	available(t, ebpf.Name)
	p, err := Run(t.Context(), Options{
		Project: newProject(t, chain("Hash"), map[string]string{"hash": hashing}),
		Tracer:  ebpf.Name,
		Runs:    MinRuns,
	})
	if err != nil {
		t.Fatal(err)
	}
	f := p.Functions[0]
	var long []profile.Class
	var native, cpu time.Duration
	for _, period := range f.Periods {
		if period.Mean > ms {
			long = append(long, period.Class)
		}
		switch period.Class {
		case profile.Native:
			native += period.Mean
		case profile.CPU:
			cpu += period.Mean
		case profile.Block:
		}
	}
	if diff := cmp.Diff([]profile.Class{profile.CPU, profile.Native}, long); diff != "" {
		t.Errorf("%s of %v", diff, f.Periods)
	}
	// Waits for a CPU are part of all that is no block.
	busy := f.CPU.Mean + f.RunQueue
	if share, want := float64(native)/float64(native+cpu), float64(f.CPU.Mean-3*ms)/float64(f.CPU.Mean); share < want-0.1 || share > want+0.1 {
		t.Errorf("native is %.2f of %v, want %.2f: %v", share, busy, want, f.Periods)
	}
}

// What strace costs must not be taken for the function's own time: it slows
// this handler some hundred times.
func TestStraceCostIsNotTheFunctions(t *testing.T) {
	available(t, strace.Name)
	p, err := Run(t.Context(), Options{
		Project: newProject(t, chain("Chatty"), map[string]string{"chatty": chatty}),
		Tracer:  strace.Name,
		Runs:    MinRuns,
	})
	if err != nil {
		t.Fatal(err)
	}
	f := p.Functions[0]
	if f.Slowdown < 3 {
		t.Errorf("strace slows it only by %.1f: the test proves nothing", f.Slowdown)
	}
	if notes := strings.Join(f.Notes, "\n"); !strings.Contains(notes, "strace slowed it") || !strings.Contains(notes, "system calls a run") {
		t.Errorf("the profile does not say that strace slowed it: %q", notes)
	}
	var blocked time.Duration
	for _, period := range f.Periods {
		if period.Class == profile.Block {
			blocked += period.Mean
		}
	}
	if off := max(0, f.Wall.Mean-f.CPU.Mean-f.RunQueue); blocked > off+time.Microsecond {
		t.Errorf("the blocks take %v, though it was off the CPU for %v: %v", blocked, off, f.Periods)
	}
}

// caller connects to a server and binds a port, in its first call only.
const caller = `
import socket

kept = []

def handle(req):
    if not kept:
        s = socket.socket()
        s.connect(("127.0.0.1", PORT))
        d = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        d.bind(("127.0.0.1", 0))
        kept.extend([s, d])
    return req
`

func TestSockets(t *testing.T) {
	available(t, strace.Name)
	server, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	_, port, err := net.SplitHostPort(server.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	code := strings.ReplaceAll(caller, "PORT", port)
	p, err := Run(t.Context(), Options{Project: newProject(t, chain("Caller"), map[string]string{"caller": code}), Tracer: strace.Name, Runs: MinRuns})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"bind udp 127.0.0.1:0", "connect tcp 127.0.0.1:" + port}
	if diff := cmp.Diff(want, p.Functions[0].Sockets); diff != "" {
		t.Error(diff)
	}
}

// Data flows as in the workflow, and equal calls are measured once.
func TestRunFollowsTheWorkflow(t *testing.T) {
	definition := `{"StartAt": "First", "States": {
		"First": {"Type": "Task", "Resource": "grow", "Next": "Both"},
		"Both": {"Type": "Parallel", "End": true, "Branches": [
			{"StartAt": "Left", "States": {"Left": {"Type": "Task", "Resource": "grow", "End": true}}},
			{"StartAt": "Right", "States": {"Right": {"Type": "Task", "Resource": "grow", "End": true}}},
			{"StartAt": "Other", "States": {"Other": {"Type": "Task", "Resource": "size", "End": true}}}
		]}}}`
	project := newProject(t, definition, map[string]string{
		"grow": "def handler(event, context):\n    return event + '!'\n",
		"size": "import time\ndef handle(req):\n    return len(req)\n",
	})
	var shared []string
	p, err := Run(t.Context(), Options{
		Project: project, Tracer: portable.Name, Runs: MinRuns,
		Progress: func(p Progress) {
			if p.Phase == PhaseShared {
				shared = append(shared, p.Task)
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	type row struct {
		Name    string
		Tasks   []string
		In, Out int
	}
	var got []row
	for _, f := range p.Functions {
		got = append(got, row{f.Name, f.Tasks, f.InputBytes, f.OutputBytes})
	}
	want := []row{
		{"grow", []string{"First"}, len(`"in"`), len(`"in!"`)},
		{"grow", []string{"Left", "Right"}, len(`"in!"`), len(`"in!!"`)},
		{"size", []string{"Other"}, len(`"in!"`), len(`5`)},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"Right"}, shared); diff != "" {
		t.Errorf("measured once: %s", diff)
	}
}

func TestRunNamesWhatFailed(t *testing.T) {
	for name, test := range map[string]struct {
		code string
		want []string
	}{
		"raises":        {"def handle(req):\n    x = 1\n    raise ValueError('no good')\n", []string{"ValueError: no good", "second.py:3"}},
		"exits":         {"import os\ndef handle(req):\n    os._exit(3)\n", []string{"exited with code 3"}},
		"syntax":        {"def handle(req)\n    return req\n", []string{"does not import", "SyntaxError"}},
		"imports":       {"import no_such_module\n", []string{"does not import", "no_such_module"}},
		"hangs":         {"import time\ndef handle(req):\n    time.sleep(60)\n", []string{"ran past its timeout of 300ms"}},
		"fails later":   {"n = 0\ndef handle(req):\n    global n\n    n += 1\n    assert n < 5\n    return req\n", []string{"AssertionError", "second.py:5"}},
		"never imports": {"import time\ntime.sleep(60)\n", []string{"did not import within 3s", "top level of second.py"}},
		"not there":     {"", []string{"second.py"}},
		"fails at once": {"def handle(req):\n    return undefined_name\n", []string{"NameError", "second.py:2"}},
	} {
		t.Run(name, func(t *testing.T) {
			project := newProject(t, chain("Second"), map[string]string{"second": test.code})
			project.Functions["second"].Timeout = 300 * ms
			_, err := Run(t.Context(), Options{Project: project, Tracer: portable.Name, Runs: MinRuns, ImportTimeout: 3 * time.Second})
			var failed *Error
			if !errors.As(err, &failed) {
				t.Fatalf("got %v, want an *Error", err)
			}
			for _, want := range append(test.want, `function "second"`, `state "Second"`) {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("got %q, which does not say %q", err, want)
				}
			}
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("got more than one line: %q", err)
			}
			if left := children(t); len(left) > 0 {
				t.Errorf("processes are left: %v", left)
			}
		})
	}
}

func TestRunStopsWhenCancelled(t *testing.T) {
	for _, tracer := range []string{ebpf.Name, perf.Name, strace.Name, portable.Name} {
		t.Run(tracer, func(t *testing.T) {
			available(t, tracer)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			project := newProject(t, chain("Slow"), map[string]string{
				"slow": "import time\ndef handle(req):\n    time.sleep(0.05)\n    return req\n",
			})
			begun := time.Time{}
			_, err := Run(ctx, Options{Project: project, Tracer: tracer, Progress: func(p Progress) {
				if p.Phase == PhaseTraced && p.Runs == 1 {
					begun = time.Now()
					cancel()
				}
			}})
			if !errors.Is(err, context.Canceled) {
				t.Errorf("got %v", err)
			}
			if took := time.Since(begun); took > 8*time.Second {
				t.Errorf("it took %v to stop", took)
			}
			if left := children(t); len(left) > 0 {
				t.Errorf("processes are left: %v", left)
			}
		})
	}
}

func TestRunRefusesOptions(t *testing.T) {
	project := newProject(t, chain("F"), map[string]string{"f": "def handle(req):\n    return req\n"})
	for name, test := range map[string]struct {
		options Options
		want    string
	}{
		"no project": {Options{}, "no project"},
		"few runs":   {Options{Project: project, Runs: 3}, "at least 10"},
		"budget":     {Options{Project: project, Budget: -1}, "budget"},
		"tracer":     {Options{Project: project, Tracer: "dtrace"}, `no tracer "dtrace": choose one of ebpf, perf, strace, portable`},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := Run(t.Context(), test.options); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}

// lesser are the tracers of a machine that permits no eBPF.
func lesser() []profile.Tracer { return []profile.Tracer{strace.Tracer{}, portable.Tracer{}} }

// Without strace the portable tracer does it, and the profile says why.
func TestRunWithoutStrace(t *testing.T) {
	project := newProject(t, chain("F"), map[string]string{"f": "def handle(req):\n    return req\n"})
	t.Setenv("PATH", t.TempDir())
	p, err := Run(t.Context(), Options{Project: project, Runs: MinRuns, only: lesser()})
	if err != nil {
		t.Fatal(err)
	}
	f := p.Functions[0]
	if f.Tracer != portable.Name || len(f.Notes) == 0 || !strings.Contains(f.Notes[0], "strace is not installed") {
		t.Errorf("tracer %q, notes %q", f.Tracer, f.Notes)
	}
	if _, err := Run(t.Context(), Options{Project: project, Tracer: strace.Name}); err == nil || !strings.Contains(err.Error(), "not installed") {
		t.Errorf("strace, asked for by name: %v", err)
	}
}

// A strace that says nothing useful is replaced for that function.
func TestRunFallsBackForAFunction(t *testing.T) {
	dir := t.TempDir()
	// It claims to have attached, traces nothing, and ends when asked to.
	fake := "#!/bin/sh\ntrap 'exit 0' INT\necho 'strace: Process 1 attached' >&2\nwhile :; do /bin/sleep 0.05; done\n"
	if err := os.WriteFile(filepath.Join(dir, "strace"), []byte(fake), 0o755); err != nil { //nolint:gosec // it has to run
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":/bin")
	project := newProject(t, chain("F"), map[string]string{"f": "def handle(req):\n    return req\n"})
	p, err := Run(t.Context(), Options{Project: project, Runs: MinRuns, only: lesser()})
	if err != nil {
		t.Fatal(err)
	}
	if f := p.Functions[0]; f.Tracer != portable.Name || !strings.Contains(strings.Join(f.Notes, "\n"), "not traced with strace") {
		t.Errorf("tracer %q, notes %q", f.Tracer, f.Notes)
	}
}

// A function that takes long gets fewer runs than asked for, and a note.
func TestBudget(t *testing.T) {
	project := newProject(t, chain("F"), map[string]string{"f": "import time\ndef handle(req):\n    time.sleep(0.1)\n    return req\n"})
	begin := time.Now()
	p, err := Run(t.Context(), Options{Project: project, Tracer: portable.Name, Budget: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	f := p.Functions[0]
	if f.Runs < fewestRuns || f.Runs >= DefaultRuns || !strings.Contains(strings.Join(f.Notes, "\n"), "budget of 1s") {
		t.Errorf("%d runs, notes %q", f.Runs, f.Notes)
	}
	if took := time.Since(begin); took > 20*time.Second {
		t.Errorf("it took %v", took)
	}
}

func TestTracers(t *testing.T) {
	var names []string
	for _, a := range Tracers(t.Context()) {
		names = append(names, a.Name)
		if a.Sees == "" {
			t.Errorf("%s does not say what it sees", a.Name)
		}
		if a.Name == portable.Name && a.Err != nil {
			t.Errorf("the portable tracer does not work: %v", a.Err)
		}
	}
	if diff := cmp.Diff([]string{ebpf.Name, perf.Name, strace.Name, portable.Name}, names); diff != "" {
		t.Error(diff)
	}
}

func TestRaisedAt(t *testing.T) {
	traceback := "Traceback (most recent call last):\n  File \"/a/f.py\", line 3, in handle\n    g()\n  File \"/a/rules.py\", line 12, in g\nValueError: File \"x\n"
	if got := raisedAt(traceback); got != "rules.py:12" {
		t.Errorf("got %q", got)
	}
	if got := raisedAt("nothing"); got != "" {
		t.Errorf("got %q", got)
	}
}
