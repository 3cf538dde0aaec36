package wrap

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/chiron-faas/chiron/internal/procfs"
	"github.com/chiron-faas/chiron/plan"
)

// openFiles counts this process' descriptors: the agent's, for it runs in here.
func openFiles(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

// clearFailure wants a request that lost its process to say so, or to have been
// answered: by a process that was forked anew, before its handler had begun.
func clearFailure(t *testing.T, what string, a answer, err error) {
	t.Helper()
	if err != nil || a.status != 200 && (a.status != 500 || !strings.Contains(a.body, "States.TaskFailed") || !strings.Contains(a.body, "process")) {
		t.Errorf("%s: %v %+v", what, err, a)
	}
}

// TestPythonKilledAnywhere: kill -9 of the process of a function before its call,
// in it, as the reply comes, and while it is being forked. Its request fails at
// most, the next succeeds, and neither descriptors nor processes are left.
func TestPythonKilledAnywhere(t *testing.T) {
	dirs := writeBundles(t, sequence("Echo", "Sleep", "Pid"), nil, plan.Wrap{Processes: []plan.Process{pool1("Echo", "Sleep"), fork1("Pid")}})
	s := run(t, Options{Dir: dirs[0]})
	s.do(t, "POST", "/function/pid", "1")
	s.do(t, "POST", "/function/echo", "1")
	time.Sleep(300 * time.Millisecond) // what a first request opens is open
	zygote := s.stats().Zygote.PID
	files, processes := openFiles(t), len(procfs.Children(zygote))
	worker := func() int { return s.stats().Processes[0].PID }
	kill := func(pid int) {
		if pid != 0 {
			_ = syscall.Kill(pid, syscall.SIGKILL) // it may have ended
		}
	}
	fine := func(t *testing.T) {
		t.Helper()
		for _, path := range []string{"/function/echo", "/function/pid"} {
			if a := s.do(t, "POST", path, "7"); a.status != 200 {
				t.Errorf("the next request of %s: %+v", path, a)
			}
		}
	}
	for round := range 5 {
		kill(worker())
		fine(t) // before

		eventually(t, "a worker", func() bool { return worker() != 0 })
		var inside sync.WaitGroup
		inside.Go(func() {
			a, err := s.try("POST", "/function/sleep", "0.3")
			clearFailure(t, "during", a, err)
		})
		time.Sleep(time.Duration(round) * 50 * time.Millisecond)
		kill(worker())
		inside.Wait()
		fine(t)

		// As the reply comes: the handler ends in the moment of the signal.
		eventually(t, "a worker", func() bool { return worker() != 0 })
		pid := worker()
		inside.Go(func() {
			a, err := s.try("POST", "/function/sleep", "0.05")
			clearFailure(t, "as the reply comes", a, err)
		})
		time.Sleep(50*time.Millisecond + time.Duration(round)*time.Millisecond)
		kill(pid)
		inside.Wait()
		s.do(t, "POST", "/function/echo", "7")
		kill(worker()) // after it
		fine(t)
		time.Sleep(steady / 2) // or its restarts are spaced
	}
	// While it is being forked: each child of the zygote is killed when it is seen.
	old := map[int]bool{}
	for _, pid := range procfs.Children(zygote) {
		old[pid] = true
	}
	stop := make(chan struct{})
	var hunter sync.WaitGroup
	killed := 0
	hunter.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			for _, pid := range procfs.Children(zygote) {
				if !old[pid] {
					old[pid] = true
					kill(pid)
					killed++
				}
			}
		}
	})
	for range 20 {
		a, err := s.try("POST", "/function/pid", "1")
		clearFailure(t, "while it is forked", a, err)
	}
	close(stop)
	hunter.Wait()
	if killed == 0 {
		t.Error("no child was killed")
	}
	fine(t)
	if now := s.stats().Zygote.PID; now != zygote {
		t.Errorf("the zygote was %d and is %d", zygote, now)
	}
	eventually(t, "no more processes than before", func() bool { return len(procfs.Children(zygote)) <= processes })
	eventually(t, fmt.Sprintf("%d descriptors as before", files), func() bool { return openFiles(t) <= files })
}

// TestPythonFlood: a function that writes without end, past sys.stdout, holds up
// no other, and ends with its process.
func TestPythonFlood(t *testing.T) {
	dirs := writeBundles(t, sequence("Floods", "Echo"), map[string]time.Duration{"floods": 2 * time.Second},
		plan.Wrap{Processes: []plan.Process{pool1("Floods"), pool1("Echo")}})
	s := run(t, Options{Dir: dirs[0], Log: slog.New(slog.DiscardHandler)})
	var inside sync.WaitGroup
	inside.Go(func() {
		if a, err := s.try("POST", "/function/floods", "x"); err != nil || a.status != 504 || !strings.Contains(a.body, "States.Timeout") {
			t.Errorf("the flood: %v %+v", err, a)
		}
	})
	for range 50 {
		if a := s.do(t, "POST", "/function/echo", "beside"); a.status != 200 || a.body != "beside" {
			t.Errorf("beside a flood: %+v", a)
		}
		time.Sleep(10 * time.Millisecond)
	}
	inside.Wait()
	if a := s.do(t, "POST", "/function/echo", "after"); a.status != 200 {
		t.Errorf("after a flood: %+v", a)
	}
}

// TestPythonEnormous: 256 MiB in and out are over the limit, and said to be.
func TestPythonEnormous(t *testing.T) {
	dirs := writeBundles(t, sequence("Large", "Echo"), nil, alone("Large", "Echo")...)
	s := run(t, Options{Dir: dirs[0]})
	const size = 256 << 20
	if a := s.do(t, "POST", "/function/large", fmt.Sprint(size)); a.status != 500 || !strings.Contains(a.body, "States.TaskFailed") || !strings.Contains(a.body, "over the limit of 16777216") {
		t.Errorf("a result of 256 MiB: %d %s", a.status, a.body)
	}
	if a := s.do(t, "POST", "/function/echo", strings.Repeat("x", size)); a.status != 413 || !strings.Contains(a.body, "over the limit of 16777216 bytes") {
		t.Errorf("a body of 256 MiB: %d %s", a.status, a.body)
	}
	if a := s.do(t, "POST", "/function/echo", "after"); a.status != 200 {
		t.Errorf("after it: %+v", a)
	}
}

// TestPythonEnormousPermitted: where the limit permits it, 256 MiB come in, go from
// one process to the next, and out.
func TestPythonEnormousPermitted(t *testing.T) {
	handlers["echo2"] = handlers["echo"]
	dirs := writeBundles(t, sequence("Echo", "Echo2"), nil, plan.Wrap{Processes: []plan.Process{pool1("Echo"), pool1("Echo2")}})
	s := run(t, Options{Dir: dirs[0], MaxBody: 256 << 20})
	const size = 256 << 20
	part := strings.Repeat("0123456789abcdef", 1<<16) // 1 MiB
	readers := make([]io.Reader, size/len(part))
	for i := range readers {
		readers[i] = strings.NewReader(part)
	}
	req, err := http.NewRequest("POST", s.url+"/", io.MultiReader(readers...))
	if err != nil {
		t.Fatal(err)
	}
	req.ContentLength = size
	resp, err := s.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != 200 || resp.ContentLength != size {
		t.Fatalf("status %d, %d bytes", resp.StatusCode, resp.ContentLength)
	}
	got := make([]byte, len(part))
	for i := range readers {
		if _, err := io.ReadFull(resp.Body, got); err != nil || string(got) != part {
			t.Fatalf("MiB %d: %v, or other bytes", i, err)
		}
	}
	if n, err := resp.Body.Read(got); n != 0 || err != io.EOF {
		t.Errorf("%d bytes more, %v", n, err)
	}
	if a := s.do(t, "POST", "/function/echo", "after"); a.status != 200 {
		t.Errorf("after it: %+v", a)
	}
}

// TestPythonNoDescriptors: a process that has used up its descriptors gets no shared
// memory (EMFILE of memfd_create) and sends its large result through the socket; what
// it cannot take any more is its own failure, and it is replaced.
func TestPythonNoDescriptors(t *testing.T) {
	handlers["hoards"] = `
import os
held = []
def handle(req):
    try:
        while len(held) < 100_000:
            held.append(os.open("/dev/null", os.O_RDONLY))
    except OSError as err:
        return str(err) + " " * 1_000_000 + str(os.getpid())
    return "no limit"
`
	dirs := writeBundles(t, sequence("Hoards", "Echo"), nil, plan.Wrap{Processes: []plan.Process{pool1("Hoards"), pool1("Echo")}})
	s := run(t, Options{Dir: dirs[0]})
	a := s.do(t, "POST", "/function/hoards", "x")
	if strings.HasPrefix(a.body, "no limit") {
		t.Skip("descriptors are not bounded here")
	}
	if a.status != 200 || !strings.HasPrefix(a.body, "[Errno 24]") || len(a.body) < 1_000_000 {
		t.Fatalf("%d %.200s", a.status, a.body)
	}
	pid := s.stats().Processes[0].PID
	large := strings.Repeat("x", 1_000_000)
	if a := s.do(t, "POST", "/function/hoards", large); a.status != 500 || !strings.Contains(a.body, "States.TaskFailed") {
		t.Errorf("a large input: %d %.200s", a.status, a.body)
	}
	if a := s.do(t, "POST", "/function/echo", large); a.status != 200 || a.body != large {
		t.Errorf("the other process: %d %.200s", a.status, a.body)
	}
	eventually(t, "it is replaced", func() bool { now := s.stats().Processes[0].PID; return now != 0 && now != pid })
	if a := s.do(t, "POST", "/function/hoards", large); a.status != 200 || len(a.body) < 1_000_000 {
		t.Errorf("its replacement: %d %.200s", a.status, a.body)
	}
}
