package host_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/chiron-faas/chiron/host"

	"github.com/google/go-cmp/cmp"
)

// served are handlers that do as they are told.
var served = map[string]source{
	"text":   {"handler.py": "def handle(req):\n    return req\n"},
	"lambda": {"handler.py": "def handler(event, context):\n    return [event, context.aws_request_id, context.memory_limit_in_mb]\n"},
	"event": {"handler.py": `
def handle(event, context):
    return {"statusCode": 207, "body": [event.method, event.path, event.query, event.headers["x-a"], event.body.decode()],
            "headers": {"X-B": "b"}}
`},
	"sleep": {"handler.py": "import time\ndef handle(req):\n    time.sleep(float(req))\n    return req\n"},
	"spin":  {"handler.py": "import time\ndef handle(req):\n    end = time.thread_time() + float(req)\n    while time.thread_time() < end: pass\n"},
	"about": {"handler.py": `
import os, sys, threading
def handle(req):
    return {"pid": os.getpid(), "main": threading.current_thread() is threading.main_thread(),
            "cpus": sorted(os.sched_getaffinity(0)), "interval": sys.getswitchinterval(), "group": os.getpgrp()}
`},
	"print": {"handler.py": "import sys\ndef handle(req):\n    print('out', req)\n    print('err', req, file=sys.stderr)\n"},
}

func TestCallKinds(t *testing.T) {
	spec := specOf(t, served)
	for i := range spec.Functions {
		spec.Functions[i].Memory = 64 << 20
	}
	z := start(t, spec)
	w := spawn(t, z, anyCPU(1))
	ctx := context.Background()
	body := []byte("héllo")
	r, err := w.Call(ctx, host.Call{Function: "text", Body: body})
	if err != nil || string(r.Body) != "héllo" || r.Content != host.Text || r.Status != 0 || r.Headers != nil {
		t.Errorf("text: %+v, %v", r, err)
	}
	r, err = w.Call(ctx, host.Call{Function: "lambda", Body: []byte(` {"a":1}`), RequestID: "r-7"})
	if err != nil || string(r.Body) != `[{"a":1},"r-7",64]` || r.Content != host.JSON {
		t.Errorf("lambda: %s, %v", r.Body, err)
	}
	r, err = w.Call(ctx, host.Call{Function: "event", Body: []byte("b"), Meta: &host.Meta{
		Method: "PATCH", Path: "/p", Query: map[string][]string{"q": {"1", "2"}}, Headers: map[string]string{"X-A": "a"},
	}})
	if err != nil || string(r.Body) != `["PATCH","/p",{"q":"1"},"a","b"]` || r.Status != 207 {
		t.Errorf("event: %s, status %d, %v", r.Body, r.Status, err)
	}
	if diff := cmp.Diff([][2]string{{"X-B", "b"}}, r.Headers); diff != "" {
		t.Errorf("headers: %s", diff)
	}
	for _, k := range []struct {
		function string
		want     host.Kind
	}{{"text", host.KindText}, {"event", host.KindEvent}, {"lambda", host.KindLambda}, {"none", ""}} {
		if got := z.Kind(k.function); got != k.want {
			t.Errorf("kind of %s: %q", k.function, got)
		}
	}
}

func TestCallSizes(t *testing.T) {
	w := spawn(t, start(t, specOf(t, served)), anyCPU(1))
	for _, size := range []int{0, 1, 4<<10 - 24, 16<<10 - 40, 32<<10 - 1, 32 << 10, 32<<10 + 1, 64<<10 - 24, 64 << 10, 1 << 20, host.DefaultMaxBody} {
		body := bytes.Repeat([]byte("0123456789abcdef"), size/16+1)[:size]
		r, err := w.Call(context.Background(), host.Call{Function: "text", Body: body})
		if err != nil || !bytes.Equal(r.Body, body) {
			t.Errorf("%d bytes: %d came back, %v", size, len(r.Body), err)
		}
	}
}

// What cannot be sent is refused before anything is.
func TestCallRefused(t *testing.T) {
	spec := specOf(t, served)
	spec.MaxBody = 100
	w := spawn(t, start(t, spec), anyCPU(1))
	_, err := w.Call(context.Background(), host.Call{Function: "text", Body: make([]byte, 101)})
	var size *host.BodyError
	if !errors.As(err, &size) || *size != (host.BodyError{Size: 101, Limit: 100}) {
		t.Errorf("long body: %v", err)
	}
	for name, test := range map[string]struct {
		call host.Call
		want string
	}{
		"function": {host.Call{Function: "none"}, `function "none" is not in this host`},
		"id":       {host.Call{Function: "text", RequestID: strings.Repeat("x", 1025)}, "request id of 1025 bytes"},
		"meta":     {host.Call{Function: "text", Meta: &host.Meta{Path: strings.Repeat("x", 1<<20)}}, "over the limit"},
	} {
		if _, err := w.Call(context.Background(), test.call); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := w.Call(ctx, host.Call{Function: "sleep", Body: []byte("60")}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled before: %v", err)
	}
	w.Kill()
}

func TestReplyTimes(t *testing.T) {
	w := spawn(t, start(t, specOf(t, served)), anyCPU(1))
	call(t, w, "text", "warm")
	const length = 40 * time.Millisecond
	for _, function := range []string{"sleep", "spin"} {
		begin := time.Now()
		r, err := w.Call(context.Background(), host.Call{Function: function, Body: []byte("0.04")})
		took := time.Since(begin)
		if err != nil {
			t.Fatal(err)
		}
		if r.Start <= 0 || r.Run < length || r.Start+r.Run > took {
			t.Errorf("%s: start %v, run %v of %v", function, r.Start, r.Run, took)
		}
		if busy := function == "spin"; busy != (r.CPU >= length) || r.CPU > r.Run+5*time.Millisecond {
			t.Errorf("%s: CPU %v of %v", function, r.CPU, r.Run)
		}
	}
}

// about is what the function of that name tells.
func about(t *testing.T, w *host.Worker) string { return call(t, w, "about", "") }

func TestWorkerOptions(t *testing.T) {
	z := start(t, specOf(t, served))
	w := spawn(t, z, host.WorkerOptions{CPU: 0, SwitchInterval: 250 * time.Microsecond})
	want := fmt.Sprintf(`{"pid":%d,"main":true,"cpus":[0],"interval":0.00025,"group":%d}`, w.Pid(), w.Pid())
	if got := about(t, w); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	w = spawn(t, z, host.WorkerOptions{CPU: 4095})
	_, err := w.Call(context.Background(), host.Call{Function: "text"})
	var failed *host.SpawnError
	if !errors.As(err, &failed) || failed.CPU != 4095 || w.Pid() != 0 {
		t.Errorf("a CPU that is not there: %v", err)
	}
	if err := ended(t, w); !errors.As(err, &failed) {
		t.Errorf("a CPU that is not there: %v", err)
	}
	if _, err := z.Spawn(context.Background(), host.WorkerOptions{Lanes: 1000}); err == nil {
		t.Error("a worker of 1000 lanes was spawned")
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := z.Spawn(ctx, anyCPU(1)); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

// Lanes are added up to the bound; calls beyond wait, and each gets its own
// answer.
func TestLanes(t *testing.T) {
	z := start(t, specOf(t, served))
	for _, o := range []host.WorkerOptions{
		{CPU: host.AnyCPU, Lanes: 1, MaxLanes: 1}, {CPU: host.AnyCPU, Lanes: 1, MaxLanes: 8}, {CPU: host.AnyCPU, Lanes: 4, MaxLanes: 4},
	} {
		w := spawn(t, z, o)
		if !strings.Contains(about(t, w), `"main":true`) {
			t.Error("the first call did not run in the main thread")
		}
		var wg sync.WaitGroup
		for n := range 24 {
			wg.Go(func() {
				for k := range 20 {
					text := fmt.Sprint(n*100 + k)
					r, err := w.Call(context.Background(), host.Call{Function: "text", Body: []byte(text)})
					if err != nil || string(r.Body) != text {
						t.Errorf("got %q, %v; want %q", r.Body, err, text)
					}
				}
			})
		}
		wg.Wait()
		all, busy := w.Lanes()
		if busy != 0 || all < o.Lanes || all > o.MaxLanes {
			t.Errorf("%+v: %d lanes, %d busy", o, all, busy)
		}
		w.Close()
	}
	w := spawn(t, z, host.WorkerOptions{CPU: host.AnyCPU, Lanes: 1, MaxLanes: 3})
	begin := time.Now()
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() { call(t, w, "sleep", "0.2") })
	}
	wg.Wait()
	if took := time.Since(begin); took > 550*time.Millisecond {
		t.Errorf("three sleeps of 200 ms on three lanes took %v", took)
	}
	if all, _ := w.Lanes(); all != 3 {
		t.Errorf("%d lanes", all)
	}
}

// A call that waits for a lane is bounded like one that runs, and does not
// lose the lane that comes for it too late.
func TestWaitForALane(t *testing.T) {
	w := spawn(t, start(t, specOf(t, served)), anyCPU(1))
	call(t, w, "text", "up")
	running := make(chan struct{})
	go func() {
		defer close(running)
		_, _ = w.Call(context.Background(), host.Call{Function: "sleep", Body: []byte("0.15")})
	}()
	eventually(t, "a busy lane", func() bool { _, busy := w.Lanes(); return busy == 1 })
	begin := time.Now()
	if _, err := w.Call(context.Background(), host.Call{Function: "text", Deadline: begin.Add(20 * time.Millisecond)}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("deadline: %v", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	if _, err := w.Call(ctx, host.Call{Function: "text"}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("context: %v", err)
	}
	if took := time.Since(begin); took > 120*time.Millisecond {
		t.Errorf("it took %v to give up twice", took)
	}
	if got := call(t, w, "text", "next"); got != "next" {
		t.Errorf("got %q", got)
	}
	<-running
}

func TestRetire(t *testing.T) {
	z := start(t, specOf(t, served))
	w := spawn(t, z, host.WorkerOptions{CPU: host.AnyCPU, Lanes: 1, MaxLanes: 1})
	call(t, w, "text", "up")
	var inFlight, waiting error
	var wg sync.WaitGroup
	wg.Go(func() {
		_, inFlight = w.Call(context.Background(), host.Call{Function: "sleep", Body: []byte("0.1")})
	})
	eventually(t, "a busy lane", func() bool { _, busy := w.Lanes(); return busy == 1 })
	wg.Go(func() { _, waiting = w.Call(context.Background(), host.Call{Function: "text"}) })
	time.Sleep(20 * time.Millisecond) // let it wait
	w.Retire(5 * time.Second)
	w.Retire(0) // the first counts
	if _, err := w.Call(context.Background(), host.Call{Function: "text"}); !errors.Is(err, host.ErrRetired) {
		t.Errorf("new: %v", err)
	}
	wg.Wait()
	if inFlight != nil {
		t.Errorf("in flight: %v", inFlight)
	}
	if !errors.Is(waiting, host.ErrRetired) {
		t.Errorf("waiting: %v", waiting)
	}
	var exit *host.ExitError
	if err := ended(t, w); !errors.As(err, &exit) || exit.Code != 0 || exit.Signal != 0 {
		t.Errorf("it ended with %v", err)
	}
	w.Close()
	w.Kill()
}

// A worker may be ended before it is there, and while it comes.
func TestEndAtOnce(t *testing.T) {
	z := start(t, specOf(t, served))
	for n := range 30 {
		w := spawn(t, z, anyCPU(2))
		time.Sleep(time.Duration(n%6) * 500 * time.Microsecond)
		switch n % 3 {
		case 0:
			w.Kill()
		case 1:
			w.Retire(0)
		default:
			w.Close()
		}
		if ended(t, w) == nil {
			t.Error("no error")
		}
	}
}

// The zygote's death ends its workers and the calls on them, also of workers
// that it was asked for and never forked.
func TestZygoteDies(t *testing.T) {
	for _, stopped := range []bool{false, true} {
		z := start(t, specOf(t, served))
		busy := spawn(t, z, anyCPU(1))
		call(t, busy, "text", "up")
		failed := make(chan error, 2)
		hang := func(w *host.Worker) {
			_, err := w.Call(context.Background(), host.Call{Function: "sleep", Body: []byte("60")})
			failed <- err
		}
		go hang(busy)
		eventually(t, "a busy lane", func() bool { _, n := busy.Lanes(); return n == 1 })
		workers := []*host.Worker{busy}
		if stopped {
			if err := syscall.Kill(z.Pid(), syscall.SIGSTOP); err != nil {
				t.Fatal(err)
			}
			late := spawn(t, z, anyCPU(1))
			workers = append(workers, late)
			go hang(late)
		}
		if err := syscall.Kill(z.Pid(), syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		for _, w := range workers {
			var exit *host.ExitError
			if err := ended(t, w); !errors.As(err, &exit) {
				t.Errorf("it ended with %v", err)
			}
			if err := <-failed; !errors.As(err, &exit) || exit.Function != "sleep" {
				t.Errorf("its call: %v", err)
			}
		}
		eventually(t, "the worker's end", func() bool { return !alive(busy.Pid()) })
		<-z.Done()
		if _, err := z.Spawn(context.Background(), anyCPU(1)); err == nil {
			t.Error("a dead zygote took a worker")
		}
		z.Close()
	}
}

func TestClose(t *testing.T) {
	spec := specOf(t, served)
	spec.StopGrace = 100 * time.Millisecond
	before := runtime.NumGoroutine()
	z := start(t, spec)
	var workers []*host.Worker
	failed := make(chan error, 3)
	for range 3 {
		w := spawn(t, z, anyCPU(1))
		call(t, w, "text", "up")
		workers = append(workers, w)
		go func() {
			_, err := w.Call(context.Background(), host.Call{Function: "sleep", Body: []byte("60")})
			failed <- err
		}()
		eventually(t, "a busy lane", func() bool { _, n := w.Lanes(); return n == 1 })
	}
	dir := z.WorkDir()
	begin := time.Now()
	z.Close()
	z.Close()
	if took := time.Since(begin); took > 2*time.Second {
		t.Errorf("it took %v", took)
	}
	for _, w := range workers {
		var exit *host.ExitError
		if err := <-failed; !errors.As(err, &exit) {
			t.Errorf("a call in flight: %v", err)
		}
		if alive(w.Pid()) {
			t.Errorf("worker %d lives on", w.Pid())
		}
	}
	select {
	case <-z.Done():
	default:
		t.Error("Done is open after Close")
	}
	if exists(dir) {
		t.Errorf("%s is left", dir)
	}
	eventually(t, "the end of every goroutine", func() bool { return runtime.NumGoroutine() <= before })
}

// A call is given up while the host is closed, by somebody whom Close does not know
// of: it waits for what drains the call all the same. (Where it does not, the race
// detector says so in one run of a hundred.)
func TestCloseWhileGivenUp(t *testing.T) {
	spec := specOf(t, served)
	spec.StopGrace = 100 * time.Millisecond
	z := start(t, spec)
	w := spawn(t, z, anyCPU(1))
	call(t, w, "text", "up")
	ctx, cancel := context.WithCancel(t.Context())
	var caller sync.WaitGroup
	caller.Go(func() {
		if _, err := w.Call(ctx, host.Call{Function: "sleep", Body: []byte("60")}); err == nil {
			t.Error("no error")
		}
	})
	eventually(t, "a busy lane", func() bool { _, n := w.Lanes(); return n == 1 })
	cancel()
	time.Sleep(time.Duration(time.Now().UnixNano()%120) * time.Microsecond)
	z.Close()
	caller.Wait()
}

func TestPrints(t *testing.T) {
	var log logs
	spec := specOf(t, served)
	spec.Log = log.add
	w := spawn(t, start(t, spec), anyCPU(4))
	var wg sync.WaitGroup
	for n := range 4 {
		wg.Go(func() {
			for k := range 10 {
				id := fmt.Sprintf("%d-%d", n, k)
				if _, err := w.Call(context.Background(), host.Call{Function: "print", Body: []byte("a\nb"), RequestID: id}); err != nil {
					t.Error(err)
				}
				// What a call printed has come before its reply.
				for _, stream := range []string{"stdout", "stderr"} {
					if diff := cmp.Diff([]string{stream[3:] + " a", "b"}, log.of(stream, id)); diff != "" {
						t.Errorf("%s of %s: %s", stream, id, diff)
					}
				}
			}
		})
	}
	wg.Wait()
}

// Fifty forks: neither side gathers descriptors or goroutines.
func TestForksGatherNothing(t *testing.T) {
	z := start(t, specOf(t, served))
	settle := func() (int, int, int) {
		return descriptors(t, z.Pid()), descriptors(t, syscall.Getpid()), runtime.NumGoroutine()
	}
	w := spawn(t, z, anyCPU(2))
	call(t, w, "text", "first")
	w.Close()
	theirs, ours, goroutines := settle()
	for range 50 {
		w := spawn(t, z, host.WorkerOptions{CPU: host.AnyCPU, Lanes: 2, MaxLanes: 4})
		call(t, w, "text", "x")
		w.Close()
	}
	eventually(t, "as before", func() bool {
		a, b, c := settle()
		return a <= theirs && b <= ours && c <= goroutines
	})
}
