package wrap

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
	"github.com/chiron-faas/chiron/plan"
)

// standbyWrap serves one standby process of one task, "A", and waits for its
// first child.
func standbyWrap(t *testing.T, h *fakeHost, ready int, o Options) (*served, *shelf) {
	t.Helper()
	if h.handlers == nil {
		h.handlers = map[string]func(host.Call) (host.Reply, error){"a": echo}
	}
	p := standby1("A")
	p.Ready = ready
	s := serve(t, o, testBundle(t, sequence("A"), time.Second, 0, plan.Wrap{CPUs: 1, Processes: []plan.Process{p}}), h.start)
	eventually(t, "ready", s.ready)
	return s, s.layout.processes[0].shelf
}

// Each request has a child of its own, which was warmed before, and is replaced
// behind it.
func TestStandby(t *testing.T) {
	h := &fakeHost{}
	s, shelf := standbyWrap(t, h, 0, Options{})
	for i := range 20 {
		eventually(t, "a child waits", func() bool { return shelf.waitingNow() > 0 })
		s.post(t, fmt.Sprint(i), fmt.Sprint(i))
	}
	// Where a replacement took longer than a request, two may be wanted.
	left := 0
	eventually(t, "only children that wait are left", func() bool {
		left = len(h.alive())
		return left > 0 && left == shelf.waitingNow()
	})
	if got := len(h.workers); got < 20+left {
		t.Errorf("%d children for 20 requests, of which %d wait", got, left)
	}
	for _, w := range h.workers {
		if !w.warmed.Load() {
			t.Errorf("child %d was not warmed", w.pid)
		}
	}
	if st := s.stats().Processes[0]; st.Late != 0 || st.Uses != 20 || st.Waiting != left || st.ReplacementUS == 0 {
		t.Errorf("stats %+v", st)
	}
}

// Requests that find no child fork, and do not wait for one; then as many wait
// as came at once, but no more than may.
func TestStandbyFollowsTheLoad(t *testing.T) {
	release := make(chan struct{})
	h := &fakeHost{handlers: map[string]func(host.Call) (host.Reply, error){
		"a": func(c host.Call) (host.Reply, error) { <-release; return host.Reply{Body: c.Body}, nil },
	}}
	s, shelf := standbyWrap(t, h, 3, Options{})
	var wg sync.WaitGroup
	for range 5 {
		wg.Go(func() { s.post(t, "x", "x") })
	}
	eventually(t, "all five run", func() bool {
		n := int64(0)
		for _, w := range h.alive() {
			n += w.inside.Load()
		}
		return n == 5
	})
	close(release)
	wg.Wait()
	if late := s.stats().Processes[0].Late; late < 2 {
		t.Errorf("%d of five requests at once forked", late)
	}
	eventually(t, "only those that wait are left", func() bool { return len(h.alive()) == shelf.waitingNow() })
	// The demand is what is left of the burst; its end is forgotten.
	shelf.mu.Lock()
	shelf.demand.busiest, shelf.demand.before = 3, 0
	shelf.mu.Unlock()
	shelf.notify()
	eventually(t, "three wait", func() bool { return shelf.waitingNow() == 3 })
	shelf.mu.Lock()
	shelf.demand.busiest = 0
	shelf.mu.Unlock()
	shelf.notify()
	eventually(t, "one waits", func() bool { return shelf.waitingNow() == 1 && len(h.alive()) == 1 })
}

// While requests are inside, a replacement is put off, but not for ever.
func TestStandbyYields(t *testing.T) {
	began := make(chan time.Time, 8)
	h := &fakeHost{
		handlers: map[string]func(host.Call) (host.Reply, error){"a": func(c host.Call) (host.Reply, error) {
			time.Sleep(10 * replacePatience)
			return host.Reply{Body: c.Body}, nil
		}},
		warmUp: func(context.Context, *fakeWorker, []string) error { began <- time.Now(); return nil },
	}
	s, _ := standbyWrap(t, h, 0, Options{})
	<-began // the first
	start := time.Now()
	done := make(chan struct{})
	go func() { defer close(done); s.post(t, "x", "x") }()
	at := <-began
	if waited := at.Sub(start); waited < replacePatience {
		t.Errorf("the replacement began %v after the request", waited)
	}
	select {
	case <-done:
		t.Error("the replacement waited for the request's end")
	default:
	}
	<-done
}

// Children that die while they wait are replaced, also where nobody looks.
func TestStandbyDeaths(t *testing.T) {
	h := &fakeHost{}
	s, shelf := standbyWrap(t, h, 0, Options{})
	for range 3 {
		eventually(t, "a child waits", func() bool { return shelf.waitingNow() > 0 })
		for _, w := range h.alive() {
			w.die()
		}
		s.post(t, "x", "x")
	}
	eventually(t, "only children that wait are left", func() bool { n := shelf.waitingNow(); return n > 0 && len(h.alive()) == n })
	t.Run("the zygote", func(t *testing.T) {
		for range 3 {
			h.mu.Lock()
			z := h.zygotes[len(h.zygotes)-1]
			h.mu.Unlock()
			z.Close()
			s.post(t, "y", "y")
		}
		eventually(t, "only children that wait are left", func() bool { n := shelf.waitingNow(); return n > 0 && len(h.alive()) == n })
	})
}

func TestStandbyCannotBeMade(t *testing.T) {
	broken := errors.New("cannot be warmed")
	for name, test := range map[string]struct {
		spawnErr func(int) error
		warmUp   func(context.Context, *fakeWorker, []string) error
		log      string
		entries  bool // they are called to the end
	}{
		// The first three children; requests fork then.
		"fork fails": {
			spawnErr: func(n int) error {
				if n <= 3 {
					return &host.SpawnError{Errno: syscall.EAGAIN, CPU: host.AnyCPU}
				}
				return nil
			},
			log: "resource temporarily unavailable", entries: true,
		},
		"warming fails": {
			warmUp: func(_ context.Context, w *fakeWorker, _ []string) error {
				if w.pid <= 4 {
					return broken
				}
				return nil
			},
			log: broken.Error(), entries: true,
		},
		"the entry ends the process": {
			warmUp: func(_ context.Context, w *fakeWorker, functions []string) error {
				if len(functions) > 0 {
					return &host.ExitError{Function: "a", Pid: w.pid, Code: 3}
				}
				return nil
			},
			log: "not called any more",
		},
		"the entry hangs": {
			warmUp: func(_ context.Context, w *fakeWorker, functions []string) error {
				if len(functions) > 0 {
					return fmt.Errorf("function %q: %w", "a", context.DeadlineExceeded)
				}
				return nil
			},
			log: "not called any more",
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := &fakeHost{spawnErr: test.spawnErr, warmUp: test.warmUp}
			s, shelf := standbyWrap(t, h, 0, Options{})
			eventually(t, "a child waits at last", func() bool { return shelf.waitingNow() == 1 })
			eventually(t, "no other is left", func() bool { return len(h.alive()) == 1 })
			if !strings.Contains(s.logs.String(), test.log) {
				t.Errorf("the log lacks %q: %s", test.log, s.logs)
			}
			s.post(t, "x", "x")
			if got := shelf.entries != nil; got != test.entries {
				t.Errorf("the entries are called: %v", got)
			}
		})
	}
}

// A stage's end does not kill standby children on which nothing runs at once, and
// all others it does.
func TestStandbyLingers(t *testing.T) {
	h := &fakeHost{}
	z, err := h.start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var kids children
	for _, kid := range []child{{standby: true}, {standby: true, calls: 1}, {}} {
		if kid.worker, err = z.Spawn(t.Context(), host.WorkerOptions{}); err != nil {
			t.Fatal(err)
		}
		kids.byProcess = append(kids.byProcess, kid)
	}
	begin := time.Now()
	kids.end()
	alive := h.alive()
	if took := time.Since(begin); took < plan.Linger && (len(alive) != 1 || alive[0] != h.workers[0]) {
		t.Errorf("%d children live %v after their stage", len(alive), took)
	}
	eventually(t, "none lives", func() bool { return len(h.alive()) == 0 })
}

// A standby child whose call failed may still run it: it ends with the stage.
func TestStandbyFailureEndsAtOnce(t *testing.T) {
	h := &fakeHost{handlers: map[string]func(host.Call) (host.Reply, error){
		"a": func(host.Call) (host.Reply, error) { return host.Reply{}, &host.HandlerError{Function: "a", Type: "E"} },
	}}
	s, shelf := standbyWrap(t, h, 1, Options{})
	first := h.alive()[0]
	if got := s.do(t, "POST", "/", "1"); got.status != 500 {
		t.Errorf("answered %+v", got)
	}
	select {
	case <-first.done:
	default:
		t.Error("the child of a request that failed lives after the answer")
	}
	eventually(t, "a child waits", func() bool { return shelf.waitingNow() > 0 })
}

// A stage of several standby processes takes one child of each.
func TestStandbyStage(t *testing.T) {
	h := &fakeHost{handlers: map[string]func(host.Call) (host.Reply, error){"a": echo, "b": echo, "c": echo}}
	b := testBundle(t, parallel(sequence("A"), sequence("B"), sequence("C")), time.Second, 0,
		plan.Wrap{CPUs: 2, Processes: []plan.Process{standby1("A"), standby1("B"), fork1("C")}})
	s := serve(t, Options{}, b, h.start)
	eventually(t, "ready", s.ready)
	shelves := []*shelf{s.layout.processes[0].shelf, s.layout.processes[1].shelf}
	for range 10 {
		eventually(t, "both wait", func() bool { return shelves[0].waitingNow() > 0 && shelves[1].waitingNow() > 0 })
		s.post(t, "1", "[1,1,1]")
	}
	// Where a replacement took longer than a request, two may be wanted of one.
	left := 0
	eventually(t, "those that wait are left", func() bool {
		left = len(h.alive())
		return left == shelves[0].waitingNow()+shelves[1].waitingNow() && left >= 2
	})
	if got := len(h.workers); got < 10*3+left {
		t.Errorf("%d children for ten requests of three, of which %d wait", got, left)
	}
}

// A pool's worker is replaced after its uses, and no call is lost.
func TestPoolUses(t *testing.T) {
	h := &fakeHost{}
	h.handlers = map[string]func(host.Call) (host.Reply, error){"a": func(c host.Call) (host.Reply, error) {
		time.Sleep(time.Millisecond)
		return host.Reply{Body: c.Body}, nil
	}}
	p := pool1("A")
	p.Uses = 10
	s := serve(t, Options{}, testBundle(t, sequence("A"), time.Second, 0, plan.Wrap{CPUs: 1, Processes: []plan.Process{p}}), h.start)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for i := range 50 {
				s.post(t, fmt.Sprint(i), fmt.Sprint(i))
			}
		})
	}
	wg.Wait()
	eventually(t, "one worker is left", func() bool { return len(h.alive()) == 1 })
	if st := s.stats().Processes[0]; st.Restarts < 5 || st.Restarts > 40 {
		t.Errorf("%d replacements after 400 calls, 10 each", st.Restarts)
	}
	for _, w := range h.workers {
		if !w.warmed.Load() {
			t.Errorf("worker %d was not warmed", w.pid)
		}
	}
}
