package host_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/chiron-faas/chiron/host"
)

// faulty are handlers that go wrong in every way that a handler can.
var faulty = map[string]source{
	"good": {"handler.py": "def handle(req):\n    return req\n"},
	"bad": {"handler.py": `
import ctypes, json, os, signal, subprocess, sys, threading, time

KEPT = []

class Unspeakable(Exception):
    def __str__(self):
        raise RuntimeError("no words")

def handle(req):
    what, _, rest = req.partition(" ")
    return globals()[what](rest)

def raises(rest):
    raise ValueError("no good: " + rest)

def raises_unspeakable(rest):
    raise Unspeakable()

def raises_base(rest):
    raise BaseException("base")

def sys_exit(rest):
    sys.exit(int(rest))

def interrupts(rest):
    raise KeyboardInterrupt

def runs_away(rest):
    return runs_away(rest)

def os_exit(rest):
    os._exit(int(rest))

def segfaults(rest):
    ctypes.string_at(0)

def aborts(rest):
    os.abort()

def kills_itself(rest):
    os.kill(os.getpid(), int(rest))

def sleeps(rest):
    time.sleep(float(rest))

def spins(rest):
    end = time.monotonic() + float(rest)
    while time.monotonic() < end:
        pass

def ignores_signals(rest):
    for n in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(n, signal.SIG_IGN)
    time.sleep(float(rest))

def leaks_thread(rest):
    threading.Thread(target=time.sleep, args=(600,)).start()
    return threading.active_count()

def leaks_descriptor(rest):
    KEPT.append(open("/dev/null"))
    return len(KEPT)

def leaks_process(rest):
    return subprocess.Popen(["sleep", "600"]).pid

def leaks_session(rest):
    return subprocess.Popen(["sleep", "600"], start_new_session=True).pid

def takes_all_descriptors(rest):
    try:
        while True:
            KEPT.append(os.open("/dev/null", os.O_RDONLY))
    except OSError as err:
        return err.strerror

def closes_descriptors(rest):
    os.closerange(3, 1024)

def floods(rest):
    for i in range(15000):
        print("line", i, "x" * 80)
    return "flooded"

def floods_fd(rest):
    line = b"y" * 99 + b"\n"
    for i in range(50):
        os.write(1, line * 100)
    return "flooded"

def floods_without_end(rest):
    sys.stderr.write("z" * (3 << 20))
    return "flooded"

def returns_set(rest):
    return {1, 2, 3}

def returns_nan(rest):
    return [float("nan")]

def returns_circle(rest):
    circle = []
    circle.append(circle)
    return circle

def returns_huge(rest):
    return "x" * int(rest)

def returns_surrogate(rest):
    return ["\ud800"]

def forks(rest):
    pid = os.fork()
    if pid == 0:
        raise SystemExit("in the child")
    return os.waitpid(pid, 0)[1]

def closes_streams(rest):
    sys.stdout.close()
    sys.stderr.close()
    os.close(1)
    os.close(2)
    print("to nobody")
    return "closed"

def changes_all(rest):
    os.chdir("/")
    os.environ.clear()
    sys.path.clear()
    sys.setrecursionlimit(100)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    os.umask(0)
    return "changed"

def takes_memory(rest):
    return len(bytearray(int(rest)))
`},
}

// maxFaulty bounds bodies in these tests.
const maxFaulty = 1 << 20

func TestFaults(t *testing.T) {
	for _, i := range interpreters(t) {
		t.Run(i.Version, func(t *testing.T) {
			t.Parallel()
			var log logs
			spec := specOf(t, faulty)
			spec.Interpreter, spec.MaxBody, spec.Log = i.Path, maxFaulty, log.add
			z := start(t, spec)
			t.Run("raise", func(t *testing.T) { testRaises(t, z) })
			t.Run("die", func(t *testing.T) { testDeaths(t, z) })
			t.Run("hang", func(t *testing.T) { testHangs(t, z) })
			t.Run("leak", func(t *testing.T) { testLeaks(t, z) })
			t.Run("flood", func(t *testing.T) { testFloods(t, z, &log) })
			t.Run("odd", func(t *testing.T) { testOddities(t, z) })
			t.Run("threads", func(t *testing.T) { testFewThreads(t, z) })
			t.Run("memory", func(t *testing.T) { testMemory(t, z) })
		})
	}
}

// try calls bad with a request.
func try(w *host.Worker, request string) (host.Reply, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	return w.Call(ctx, host.Call{Function: "bad", Body: []byte(request), RequestID: request})
}

// works wants a worker to serve on.
func works(t *testing.T, w *host.Worker) {
	t.Helper()
	if got := call(t, w, "good", "still"); got != "still" {
		t.Errorf("got %q", got)
	}
}

// testRaises: the call fails, the process lives on.
func testRaises(t *testing.T, z *host.Zygote) {
	w := spawn(t, z, anyCPU(1))
	defer w.Close()
	pid := w.Pid()
	for _, test := range []struct{ request, kind, message, traceback string }{
		{"raises it", "ValueError", "no good: it", "in raises\n"},
		{"raises_unspeakable", "Unspeakable", "<no description", "in raises_unspeakable\n"},
		{"raises_base", "BaseException", "base", "in raises_base\n"},
		{"sys_exit 3", "SystemExit", "the handler called sys.exit(3)", "in sys_exit\n"},
		{"sys_exit 0", "SystemExit", "the handler called sys.exit(0)", ""},
		{"interrupts", "KeyboardInterrupt", "", "in interrupts\n"},
		{"runs_away", "RecursionError", "maximum recursion depth", "runs_away"},
		{"returns_set", "BadResult", "set is not JSON serializable", ""},
		{"returns_nan", "BadResult", "not JSON", ""},
		{"returns_circle", "BadResult", "holds itself", ""},
		{fmt.Sprintf("returns_huge %d", maxFaulty+1), "BadResult", "over the limit", ""},
		{"returns_huge -", "ValueError", "invalid literal", ""},
		{"\xff", "BadInput", "not UTF-8", ""},
	} {
		_, err := try(w, test.request)
		var failed *host.HandlerError
		if !errors.As(err, &failed) {
			t.Errorf("%s: got %v, want a *HandlerError", test.request, err)
			continue
		}
		if failed.Function != "bad" || failed.Type != test.kind || !strings.Contains(failed.Message, test.message) || !strings.Contains(failed.Traceback, test.traceback) {
			t.Errorf("%s: got %+v", test.request, failed)
		}
		if strings.Contains(failed.Traceback, "chiron_host") {
			t.Errorf("%s: the traceback shows the host: %s", test.request, failed.Traceback)
		}
	}
	r, err := try(w, fmt.Sprintf("returns_huge %d", maxFaulty))
	if err != nil || len(r.Body) != maxFaulty {
		t.Errorf("a body as large as may be: %d bytes, %v", len(r.Body), err)
	}
	r, err = try(w, "returns_surrogate")
	if err != nil || string(r.Body) != `["\ud800"]` {
		t.Errorf("a lone surrogate: %q, %v", r.Body, err)
	}
	works(t, w)
	if w.Pid() != pid {
		t.Errorf("pid %d became %d", pid, w.Pid())
	}
}

// testDeaths: the call and those beside it get an *ExitError that says how the
// process ended; a new worker serves at once.
func testDeaths(t *testing.T, z *host.Zygote) {
	for _, test := range []struct {
		request string
		signal  syscall.Signal
		code    int
	}{
		{"os_exit 5", 0, 5},
		{"os_exit 0", 0, 0},
		{"segfaults", syscall.SIGSEGV, 0},
		{"aborts", syscall.SIGABRT, 0},
		{"kills_itself 9", syscall.SIGKILL, 0},
		{"kills_itself 15", syscall.SIGTERM, 0},
		{"closes_descriptors", 0, 0},
	} {
		w := spawn(t, z, anyCPU(2))
		beside := make(chan error, 1)
		go func() {
			_, err := try(w, "sleeps 60")
			beside <- err
		}()
		eventually(t, "a busy lane", func() bool { _, busy := w.Lanes(); return busy == 1 })
		_, err := try(w, test.request)
		for _, err := range []error{err, <-beside} {
			var exit *host.ExitError
			if !errors.As(err, &exit) {
				t.Errorf("%s: got %v, want an *ExitError", test.request, err)
				continue
			}
			if exit.Function != "bad" || exit.Pid != w.Pid() {
				t.Errorf("%s: got %+v", test.request, exit)
			}
			// Without its descriptors it is killed, for it does not end by itself.
			if test.request != "closes_descriptors" && (exit.Signal != test.signal || exit.Code != test.code) {
				t.Errorf("%s: got %+v, want signal %d, code %d", test.request, exit, test.signal, test.code)
			}
		}
		if err := ended(t, w); err == nil || alive(w.Pid()) {
			t.Errorf("%s: it ended with %v", test.request, err)
		}
		if _, err := try(w, "raises"); err == nil {
			t.Errorf("%s: a dead worker took a call", test.request)
		}
	}
	// From outside, in a call and idle.
	for _, busy := range []bool{true, false} {
		w := spawn(t, z, anyCPU(1))
		works(t, w)
		failed := make(chan error, 1)
		if busy {
			go func() {
				_, err := try(w, "spins 60")
				failed <- err
			}()
			eventually(t, "a busy lane", func() bool { _, busy := w.Lanes(); return busy == 1 })
		}
		if err := syscall.Kill(w.Pid(), syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		if busy {
			var exit *host.ExitError
			if err := <-failed; !errors.As(err, &exit) || exit.Signal != syscall.SIGKILL {
				t.Errorf("killed in a call: %v", err)
			}
		}
		if err := ended(t, w); err == nil {
			t.Error("killed: no error")
		}
		if took := time.Since(begin); took > 2*time.Second {
			t.Errorf("it took %v to see that it was killed", took)
		}
	}
	w := spawn(t, z, anyCPU(1))
	defer w.Close()
	works(t, w)
}

// testHangs: the caller is told in time, other lanes serve on, and a worker
// that hangs can be ended.
func testHangs(t *testing.T, z *host.Zygote) {
	const deadline = 50 * time.Millisecond
	for _, request := range []string{"sleeps 60", "spins 60", "ignores_signals 60"} {
		w := spawn(t, z, anyCPU(2))
		works(t, w)
		begin := time.Now()
		_, err := w.Call(context.Background(), host.Call{Function: "bad", Body: []byte(request), Deadline: begin.Add(deadline)})
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: got %v", request, err)
		}
		if took := time.Since(begin); took < deadline || took > deadline+time.Second {
			t.Errorf("%s: it took %v", request, took)
		}
		works(t, w)
		if all, busy := w.Lanes(); all != 2 || busy != 1 {
			t.Errorf("%s: %d lanes, %d busy", request, all, busy)
		}
		w.Retire(10 * time.Millisecond)
		var exit *host.ExitError
		if err := ended(t, w); !errors.As(err, &exit) || exit.Signal != syscall.SIGKILL {
			t.Errorf("%s: it ended with %v", request, err)
		}
	}
	// Given up by the caller, and soon done: the lane serves again.
	w := spawn(t, z, anyCPU(1))
	defer w.Close()
	works(t, w)
	for n := range 20 {
		ctx, cancel := context.WithTimeout(context.Background(), time.Duration(n)*time.Millisecond/2)
		_, err := w.Call(ctx, host.Call{Function: "bad", Body: []byte("sleeps 0.005")})
		cancel()
		if err != nil && !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		works(t, w)
	}
}

// testLeaks: what handlers leave behind ends with their worker, and neither
// this process nor the zygote gathers anything.
func testLeaks(t *testing.T, z *host.Zygote) {
	var left []int
	before := descriptors(t, z.Pid())
	for range 3 {
		w := spawn(t, z, anyCPU(2))
		for range 10 {
			for _, request := range []string{"leaks_thread", "leaks_descriptor"} {
				if _, err := try(w, request); err != nil {
					t.Fatal(err)
				}
			}
		}
		for _, request := range []string{"leaks_process", "leaks_session"} {
			r, err := try(w, request)
			if err != nil {
				t.Fatal(err)
			}
			left = append(left, number(t, string(r.Body)))
		}
		works(t, w)
		begin := time.Now()
		w.Close()
		if took := time.Since(begin); took > time.Second {
			t.Errorf("the threads held it up for %v", took)
		}
		var exit *host.ExitError
		if err := w.Err(); !errors.As(err, &exit) || exit.Code != 0 || exit.Signal != 0 {
			t.Errorf("it ended with %v", err)
		}
	}
	for _, pid := range left {
		eventually(t, fmt.Sprintf("the end of process %d", pid), func() bool { return !alive(pid) })
	}
	if after := descriptors(t, z.Pid()); after != before {
		t.Errorf("the zygote had %d descriptors, now %d", before, after)
	}
	w := spawn(t, z, anyCPU(1))
	if r, err := try(w, "takes_all_descriptors"); err != nil || string(r.Body) != "Too many open files" {
		t.Errorf("got %q, %v", r.Body, err)
	}
	works(t, w)
	w.Close()
}

// testFloods: output is bounded, told by request, and never holds up a call.
func testFloods(t *testing.T, z *host.Zygote, log *logs) {
	w := spawn(t, z, anyCPU(1))
	defer w.Close()
	for _, request := range []string{"floods", "floods_fd", "floods_without_end"} {
		if r, err := try(w, request); err != nil || string(r.Body) != "flooded" {
			t.Fatalf("%s: %q, %v", request, r.Body, err)
		}
	}
	works(t, w)
	const note = "[the rest of this call's output was dropped: over 1048576 bytes]"
	printed := log.of("stdout", "floods")
	if n := len(printed); n < 10000 || n > 15000 || printed[n-1] != note || printed[0] != "line 0 "+strings.Repeat("x", 80) {
		t.Errorf("%d lines, the last is %q", n, printed[max(0, n-1):])
	}
	size := 0
	for _, text := range log.of("stderr", "floods_without_end") {
		size += len(text)
	}
	if size < 1<<20 || size > 1<<20+200 {
		t.Errorf("%d bytes of a line without end", size)
	}
	// Past sys.stdout it is the process's, of no request, and whole.
	eventually(t, "all that was written to the descriptor", func() bool { return log.bytes("stdout", "") == 50*100*99 })
}

// testOddities: what handlers do to their own process does not reach others.
func testOddities(t *testing.T, z *host.Zygote) {
	for request, want := range map[string]string{"forks": "256", "closes_streams": "closed", "changes_all": "changed"} {
		w := spawn(t, z, anyCPU(1))
		r, err := try(w, request)
		if err != nil || string(r.Body) != want {
			t.Errorf("%s: got %q, %v", request, r.Body, err)
		}
		works(t, w)
		w.Close()
	}
	// Many at once, of all kinds: each gets its own answer.
	w := spawn(t, z, host.WorkerOptions{CPU: host.AnyCPU, Lanes: 2, MaxLanes: 6})
	defer w.Close()
	var wg sync.WaitGroup
	for n := range 12 {
		wg.Go(func() {
			for k := range 10 {
				text := fmt.Sprintf("%d-%d", n, k)
				if n%3 == 0 {
					_, err := try(w, "raises "+text)
					var failed *host.HandlerError
					if !errors.As(err, &failed) || failed.Message != "no good: "+text {
						t.Errorf("got %v", err)
					}
					continue
				}
				r, err := w.Call(context.Background(), host.Call{Function: "good", Body: []byte(text)})
				if err != nil || string(r.Body) != text {
					t.Errorf("got %q, %v; want %q", r.Body, err, text)
				}
			}
		})
	}
	wg.Wait()
}

// testMemory: a worker with a limit gets MemoryError and lives on.
func testMemory(t *testing.T, z *host.Zygote) {
	w := spawn(t, z, host.WorkerOptions{CPU: host.AnyCPU, DataLimit: 512 << 20})
	defer w.Close()
	_, err := try(w, "takes_memory 1073741824")
	var failed *host.HandlerError
	if !errors.As(err, &failed) || failed.Type != "MemoryError" {
		t.Errorf("got %v", err)
	}
	works(t, w)
}

// testFewThreads: where no more threads can be had, here because their stacks are
// over the limit of memory, calls take turns on those that there are.
func testFewThreads(t *testing.T, z *host.Zygote) {
	const calls, limit = 60, 256 << 20 // a thread's stack is 8 MiB of it
	for _, lanes := range []int{1, calls} {
		w := spawn(t, z, host.WorkerOptions{CPU: host.AnyCPU, Lanes: lanes, MaxLanes: calls, DataLimit: limit})
		var wg sync.WaitGroup
		for range calls {
			wg.Go(func() {
				if _, err := try(w, "sleeps 0.1"); err != nil {
					t.Errorf("%d lanes at first: %v", lanes, err)
				}
			})
		}
		wg.Wait()
		if all, busy := w.Lanes(); all < 2 || all >= calls || busy != 0 {
			t.Errorf("%d lanes at first, %d now, %d busy: want fewer than %d, none busy", lanes, all, busy, calls)
		}
		works(t, w)
		w.Close()
		var exit *host.ExitError
		if err := w.Err(); !errors.As(err, &exit) || exit.Code != 0 || exit.Signal != 0 {
			t.Errorf("it ended with %v", err)
		}
	}
}
