package wrap

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/chiron-faas/chiron/host"
	"github.com/chiron-faas/chiron/plan"
)

func appendName(name string) func(host.Call) (host.Reply, error) {
	return func(c host.Call) (host.Reply, error) {
		return host.Reply{Content: host.Text, Body: append(append([]byte{}, c.Body...), name...)}, nil
	}
}

func TestSequence(t *testing.T) {
	h := &fakeHost{handlers: map[string]func(host.Call) (host.Reply, error){"a": appendName("a"), "b": appendName("b"), "c": appendName("c")}}
	b := testBundle(t, sequence("A", "B", "C"), time.Second, 0, plan.Wrap{CPUs: 1, Processes: []plan.Process{pool1("A", "C"), fork1("B")}})
	s := serve(t, Options{}, b, h.start)
	a := s.post(t, "in ", "in abc")
	if a.header.Get("X-Call-Id") == "" || a.header.Get("X-Duration-Seconds") == "" {
		t.Errorf("headers %v lack the call's id or duration", a.header)
	}
	if got := a.header.Get("Content-Type"); got != "text/plain; charset=utf-8" {
		t.Errorf("content type %q of a text", got)
	}
	eventually(t, "the fork child is gone", func() bool { return len(h.alive()) == 1 })
}

func TestParallelJoinsInOrder(t *testing.T) {
	h := &fakeHost{handlers: map[string]func(host.Call) (host.Reply, error){
		"slow": func(host.Call) (host.Reply, error) {
			time.Sleep(20 * time.Millisecond)
			return host.Reply{Body: []byte("1")}, nil
		},
		"b": func(host.Call) (host.Reply, error) { return host.Reply{Body: []byte(`{"x":2}`)}, nil },
		"c": func(host.Call) (host.Reply, error) { return host.Reply{Body: []byte(`"drei"`)}, nil },
	}}
	b := testBundle(t, parallel(sequence("Slow"), sequence("B"), sequence("C")), time.Second, 0,
		plan.Wrap{CPUs: 1, Processes: []plan.Process{pool1("Slow", "B"), fork1("C")}})
	s := serve(t, Options{}, b, h.start)
	a := s.post(t, "{}", `[1,{"x":2},"drei"]`)
	if got := a.header.Get("Content-Type"); got != "application/json" {
		t.Errorf("content type %q", got)
	}
}

// A process' tasks start in the plan's order, whatever the branches' order.
func TestStartOrder(t *testing.T) {
	var mu sync.Mutex
	var order []string
	record := func(name string) func(host.Call) (host.Reply, error) {
		return func(host.Call) (host.Reply, error) {
			mu.Lock()
			defer mu.Unlock()
			order = append(order, name)
			return host.Reply{Body: []byte("0")}, nil
		}
	}
	h := &fakeHost{handlers: map[string]func(host.Call) (host.Reply, error){}}
	names := []string{"A", "B", "C", "D", "E"}
	var branches []string
	for _, n := range names {
		h.handlers[strings.ToLower(n)] = record(n)
		branches = append(branches, sequence(n))
	}
	b := testBundle(t, parallel(branches...), time.Second, 0,
		plan.Wrap{CPUs: 1, Processes: []plan.Process{pool1("E", "C", "A"), pool1("D", "B")}})
	l, err := newLayout(b, []int{0})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	fan, _ := b.definition.State("Fan")
	for _, p := range l.splits[fan].local {
		got = append(got, fan.Branches[p.branch].StartAt)
	}
	if want := "[E C A D B]"; fmt.Sprint(got) != want {
		t.Errorf("branches start as %v, want %v", got, want)
	}
	s := serve(t, Options{}, b, h.start)
	s.post(t, "{}", "[0,0,0,0,0]")
	if len(order) != 5 {
		t.Errorf("ran %v", order)
	}
}

// Children are forked one after the other in the plan's order; a child's task
// does not wait for the next child.
func TestForksInOrder(t *testing.T) {
	const spawn = 30 * time.Millisecond
	var mu sync.Mutex
	began := map[string]time.Time{}
	handler := func(name string) func(host.Call) (host.Reply, error) {
		return func(host.Call) (host.Reply, error) {
			mu.Lock()
			defer mu.Unlock()
			began[name] = time.Now()
			return host.Reply{Body: []byte("0")}, nil
		}
	}
	h := &fakeHost{spawnTime: spawn, handlers: map[string]func(host.Call) (host.Reply, error){"a": handler("a"), "b": handler("b"), "c": handler("c")}}
	b := testBundle(t, parallel(sequence("A"), sequence("B"), sequence("C")), time.Second, 0,
		plan.Wrap{CPUs: 1, Processes: []plan.Process{fork1("C"), fork1("B"), fork1("A")}})
	s := serve(t, Options{}, b, h.start)
	s.post(t, "{}", "[0,0,0]")
	if !began["c"].Before(began["b"]) || !began["b"].Before(began["a"]) {
		t.Errorf("tasks began as %v, want c, b, a", began)
	}
	if gap := began["a"].Sub(began["c"]); gap < spawn {
		t.Errorf("the third task began %v after the first: its fork takes longer", gap)
	}
	eventually(t, "all children are gone", func() bool { return len(h.alive()) == 0 })
}

// TestForkFailure: a fork that fails fails its request, and is tried again where
// there was only no room for it now.
func TestForkFailure(t *testing.T) {
	for _, c := range []struct {
		name  string
		errno syscall.Errno
		times int
		want  string // of the failure; empty: it succeeds
	}{
		{"no memory", syscall.ENOMEM, 1, "cannot allocate memory"},
		{"no room for a moment", syscall.EAGAIN, 2, ""},
		{"no room", syscall.EAGAIN, 4, "resource temporarily unavailable"},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := &fakeHost{handlers: map[string]func(host.Call) (host.Reply, error){"a": echo}, spawnErr: func(n int) error {
				if n <= c.times {
					return &host.SpawnError{Errno: c.errno, CPU: host.AnyCPU}
				}
				return nil
			}}
			b := testBundle(t, sequence("A"), time.Second, 0, plan.Wrap{CPUs: 1, Processes: []plan.Process{fork1("A")}})
			s := serve(t, Options{}, b, h.start)
			if c.want != "" {
				a := s.do(t, "POST", "/", "x")
				if a.status != 500 || !strings.Contains(a.body, "States.TaskFailed") || !strings.Contains(a.body, c.want) {
					t.Errorf("status %d, body %s", a.status, a.body)
				}
			}
			s.post(t, "y", "y")
		})
	}
}

func TestTimeoutRetiresTheWorkerOnly(t *testing.T) {
	release := make(chan struct{})
	h := &fakeHost{handlers: map[string]func(host.Call) (host.Reply, error){
		"hang": func(host.Call) (host.Reply, error) { <-release; return host.Reply{}, nil },
		"slow": func(host.Call) (host.Reply, error) {
			time.Sleep(150 * time.Millisecond)
			return host.Reply{Body: []byte("done")}, nil
		},
		"pid": echo,
	}}
	defer close(release)
	b := testBundle(t, sequence("Hang", "Slow", "Pid"), 5*time.Second, 0, plan.Wrap{CPUs: 1, Processes: []plan.Process{pool1("Hang", "Slow", "Pid")}})
	b.manifest.Functions[0].Timeout = 50 * time.Millisecond
	s := serve(t, Options{}, b, h.start)
	var wg sync.WaitGroup
	wg.Go(func() {
		if a, err := s.try("POST", "/function/slow", ""); err != nil || a.body != "done" {
			t.Errorf("a call beside the one that hangs: %v %+v", err, a)
		}
	})
	a := s.do(t, "POST", "/function/hang", "")
	if a.status != 504 || !strings.Contains(a.body, `"error":"States.Timeout"`) || !strings.Contains(a.body, "50ms") {
		t.Errorf("status %d, body %s", a.status, a.body)
	}
	start := time.Now()
	if a := s.do(t, "POST", "/function/pid", "x"); a.status != 200 {
		t.Errorf("next call: %+v", a)
	}
	if d := time.Since(start); d > time.Second {
		t.Errorf("the next call took %v", d)
	}
	wg.Wait()
	eventually(t, "the worker that hangs is killed", func() bool { return len(h.alive()) == 1 })
	if st := s.stats(); st.Processes[0].Restarts != 1 {
		t.Errorf("restarts %d, want 1", st.Processes[0].Restarts)
	}
}

func TestWorkerDies(t *testing.T) {
	h := &fakeHost{handlers: map[string]func(host.Call) (host.Reply, error){
		"exit": func(host.Call) (host.Reply, error) { return host.Reply{}, errFakeExit }, "ok": echo,
	}}
	b := testBundle(t, sequence("Exit", "Ok"), time.Second, 0, plan.Wrap{CPUs: 1, Processes: []plan.Process{pool1("Exit", "Ok")}})
	s := serve(t, Options{}, b, h.start)
	for range 3 {
		if a := s.do(t, "POST", "/", ""); a.status != 500 || !strings.Contains(a.body, "States.TaskFailed") {
			t.Errorf("status %d, body %s", a.status, a.body)
		}
		start := time.Now()
		if a := s.do(t, "POST", "/function/ok", "x"); a.body != "x" {
			t.Errorf("next call: %+v", a)
		}
		if d := time.Since(start); d > time.Second {
			t.Errorf("the next call took %v", d)
		}
	}
	// Dead while nobody looked: the call that finds it goes to the replacement.
	for range 4 {
		for _, w := range h.alive() {
			w.die()
		}
		if a := s.do(t, "POST", "/function/ok", "y"); a.body != "y" {
			t.Fatalf("after a death between requests: %+v", a)
		}
		time.Sleep(time.Millisecond)
	}
}

func TestZygoteDies(t *testing.T) {
	h := &fakeHost{handlers: map[string]func(host.Call) (host.Reply, error){"a": echo, "b": echo}}
	b := testBundle(t, sequence("A", "B"), time.Second, 0, plan.Wrap{CPUs: 1, Processes: []plan.Process{pool1("A"), fork1("B")}})
	s := serve(t, Options{}, b, h.start)
	s.post(t, "x", "x")
	for range 3 {
		h.mu.Lock()
		z := h.zygotes[len(h.zygotes)-1]
		h.mu.Unlock()
		z.Close()
		s.post(t, "x", "x")
	}
	if st := s.stats(); st.Zygote.Restarts < 3 {
		t.Errorf("%d restarts of the zygote, want 3", st.Zygote.Restarts)
	}
}

func TestFirstStartFails(t *testing.T) {
	want := errors.New("handler.py does not import")
	h := &fakeHost{startErr: func(int) error { return want }}
	b := testBundle(t, sequence("A"), time.Second, 0, plan.Wrap{CPUs: 1, Processes: []plan.Process{pool1("A")}})
	a, err := newAgent(Options{Listen: "127.0.0.1:0"}.withDefaults(), b, h.start)
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Serve(t.Context()); !errors.Is(err, want) {
		t.Errorf("Serve: %v, want %v", err, want)
	}
}

func TestQueue(t *testing.T) {
	entered, release := make(chan string, 10), make(chan struct{})
	h := &fakeHost{handlers: map[string]func(host.Call) (host.Reply, error){"a": func(c host.Call) (host.Reply, error) {
		entered <- string(c.Body)
		<-release
		return host.Reply{Body: c.Body}, nil
	}}}
	b := testBundle(t, sequence("A"), 10*time.Second, 0, plan.Wrap{CPUs: 1, Processes: []plan.Process{pool1("A")}})
	s := serve(t, Options{Concurrency: 1, Queue: 2}, b, h.start)
	var wg sync.WaitGroup
	for i, name := range []string{"first", "second", "third"} {
		wg.Go(func() {
			if a, err := s.try("POST", "/", name); err != nil || a.body != name {
				t.Errorf("%s: %v %+v", name, err, a)
			}
		})
		eventually(t, name+" is in", func() bool { st := s.stats(); return st.InFlight == 1 && st.Queued == int64(i) })
	}
	if a := s.do(t, "POST", "/", "fourth"); a.status != 429 || a.header.Get("Retry-After") == "" {
		t.Errorf("beyond the queue: %+v", a)
	}
	close(release)
	wg.Wait()
	for _, want := range []string{"first", "second", "third"} {
		if got := <-entered; got != want {
			t.Errorf("worked on %s, want %s: first come, first served", got, want)
		}
	}
}

func TestLimits(t *testing.T) {
	h := &fakeHost{handlers: map[string]func(host.Call) (host.Reply, error){"a": echo}}
	b := testBundle(t, sequence("A"), time.Second, 0, plan.Wrap{CPUs: 1, Processes: []plan.Process{pool1("A")}})
	s := serve(t, Options{MaxBody: 1000}, b, h.start)
	s.post(t, strings.Repeat("x", 1000), strings.Repeat("x", 1000))
	for _, tc := range []struct {
		name, method, path, body string
		header                   []string
		status                   int
	}{
		{"body over the limit", "POST", "/", strings.Repeat("x", 1001), nil, 413},
		{"function's body over the limit", "POST", "/function/a", strings.Repeat("x", 1001), nil, 413},
		{"no such path", "GET", "/nothing", "", nil, 404},
		{"no such function", "POST", "/function/b", "", nil, 404},
		{"workflow by GET", "GET", "/", "", nil, 405},
		{"bad timeout", "POST", "/", "", []string{"X-Timeout", "soon"}, 400},
		{"stage by GET", "GET", "/_/stage", "", nil, 405},
		{"stage of another plan", "POST", "/_/stage?plan=plan-b&state=A", "", nil, 409},
		{"stage of no task", "POST", "/_/stage?plan=plan-a&state=X", "", nil, 400},
		{"health", "GET", "/_/health", "", nil, 200},
		{"health by POST", "POST", "/_/health", "", nil, 405},
		{"stats", "GET", "/_/stats", "", nil, 200},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if a := s.do(t, tc.method, tc.path, tc.body, tc.header...); a.status != tc.status {
				t.Errorf("status %d, want %d; body %s", a.status, tc.status, a.body)
			}
		})
	}
}

func TestRequestDeadline(t *testing.T) {
	release := make(chan struct{})
	defer close(release)
	h := &fakeHost{handlers: map[string]func(host.Call) (host.Reply, error){"a": func(host.Call) (host.Reply, error) { <-release; return host.Reply{}, nil }}}
	b := testBundle(t, sequence("A"), 10*time.Second, 0, plan.Wrap{CPUs: 1, Processes: []plan.Process{pool1("A")}})
	s := serve(t, Options{}, b, h.start)
	if a := s.do(t, "POST", "/", "", "X-Timeout", "50ms"); a.status != 504 || !strings.Contains(a.body, "States.Timeout") {
		t.Errorf("%+v", a)
	}
}

func TestFailState(t *testing.T) {
	h := &fakeHost{handlers: map[string]func(host.Call) (host.Reply, error){"a": echo}}
	b := testBundle(t, `{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"a","Next":"No"},"No":{"Type":"Fail","Error":"TooRisky","Cause":"margin"}}}`,
		time.Second, 0, plan.Wrap{CPUs: 1, Processes: []plan.Process{pool1("A")}})
	s := serve(t, Options{}, b, h.start)
	if a := s.do(t, "POST", "/", ""); a.status != 500 || a.body != `{"error":"TooRisky","cause":"margin"}` {
		t.Errorf("%+v", a)
	}
}

func TestReady(t *testing.T) {
	start := make(chan struct{})
	h := &fakeHost{handlers: map[string]func(host.Call) (host.Reply, error){"a": echo}}
	b := testBundle(t, sequence("A"), time.Second, 0, plan.Wrap{CPUs: 1, Processes: []plan.Process{pool1("A")}})
	s := serve(t, Options{}, b, func(ctx context.Context) (zygote, error) { <-start; return h.start(ctx) })
	if a := s.do(t, "GET", "/_/ready", ""); a.status != 503 {
		t.Errorf("before the import: %+v", a)
	}
	if a := s.do(t, "GET", "/_/health", ""); a.status != 200 {
		t.Errorf("health before the import: %+v", a)
	}
	close(start)
	eventually(t, "ready", func() bool { return s.do(t, "GET", "/_/ready", "").status == 200 })
}

func TestDrain(t *testing.T) {
	entered := make(chan struct{})
	h := &fakeHost{handlers: map[string]func(host.Call) (host.Reply, error){"a": func(c host.Call) (host.Reply, error) {
		close(entered)
		time.Sleep(200 * time.Millisecond)
		return host.Reply{Body: []byte("done")}, nil
	}}}
	b := testBundle(t, sequence("A"), 10*time.Second, 0, plan.Wrap{CPUs: 1, Processes: []plan.Process{pool1("A")}})
	s := serve(t, Options{}, b, h.start)
	var wg sync.WaitGroup
	wg.Go(func() {
		if a, err := s.try("POST", "/", ""); err != nil || a.body != "done" {
			t.Errorf("the request inside: %v %+v", err, a)
		}
	})
	<-entered
	wg.Go(func() {
		if err := s.stop(); err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	eventually(t, "draining", func() bool { return s.door.isShut() })
	if a := s.do(t, "POST", "/", ""); a.status != 503 {
		t.Errorf("a request while draining: %+v", a)
	}
	wg.Wait()
	if n := len(h.alive()); n > 0 {
		t.Errorf("%d workers are left", n)
	}
}

func TestDrainGivesUp(t *testing.T) {
	entered, release := make(chan struct{}), make(chan struct{})
	defer close(release)
	h := &fakeHost{handlers: map[string]func(host.Call) (host.Reply, error){"a": func(c host.Call) (host.Reply, error) {
		close(entered)
		<-release
		return host.Reply{}, nil
	}}}
	b := testBundle(t, sequence("A"), time.Minute, 0, plan.Wrap{CPUs: 1, Processes: []plan.Process{pool1("A")}})
	s := serve(t, Options{GracePeriod: 50 * time.Millisecond}, b, h.start)
	go func() { _, _ = s.try("POST", "/", "") }()
	<-entered
	start := time.Now()
	if err := s.stop(); err != nil {
		t.Errorf("Serve: %v", err)
	}
	if d := time.Since(start); d > 5*time.Second {
		t.Errorf("it took %v", d)
	}
}

func TestLeash(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Close() }()
	h := &fakeHost{handlers: map[string]func(host.Call) (host.Reply, error){"a": echo}}
	b := testBundle(t, sequence("A"), time.Second, 0, plan.Wrap{CPUs: 1, Processes: []plan.Process{pool1("A")}})
	a, err := newAgent(Options{Listen: "127.0.0.1:0", Leash: r}.withDefaults(), b, h.start)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- a.Serve(t.Context()) }()
	_, _ = w.WriteString("still here\n")
	select {
	case err := <-done:
		t.Fatalf("Serve ended while the leash is held: %v", err)
	case <-time.After(50 * time.Millisecond):
	}
	_ = w.Close()
	if err := <-done; !errors.Is(err, ErrLeashCut) {
		t.Errorf("Serve: %v, want ErrLeashCut", err)
	}
}

func TestTraceHeader(t *testing.T) {
	h := &fakeHost{handlers: map[string]func(host.Call) (host.Reply, error){"a": func(c host.Call) (host.Reply, error) {
		time.Sleep(5 * time.Millisecond)
		return host.Reply{Body: c.Body, Run: 5 * time.Millisecond, CPU: time.Millisecond}, nil
	}, "b": echo}}
	b := testBundle(t, `{"StartAt":"Ä","States":{"Ä":{"Type":"Task","Resource":"a","Next":"B"},"B":{"Type":"Task","Resource":"b","End":true}}}`,
		time.Second, 0, plan.Wrap{CPUs: 1, Processes: []plan.Process{pool1("Ä"), pool1("B")}})
	s := serve(t, Options{}, b, h.start)
	a := s.do(t, "POST", "/", "", "Chiron-Trace", "1")
	var spans []Span
	if err := json.Unmarshal([]byte(a.header.Get("Chiron-Trace")), &spans); err != nil {
		t.Fatal(err)
	}
	if len(spans) != 2 || spans[0].Task != "Ä" || spans[1].Process != 1 {
		t.Fatalf("spans %+v", spans)
	}
	if s := spans[0]; s.EndUS-s.StartUS < 5000 || s.RunUS != 5000 || s.CPUUS != 1000 || spans[1].StartUS < s.EndUS {
		t.Errorf("spans %+v", spans)
	}
	if a := s.do(t, "POST", "/", ""); a.header.Get("Chiron-Trace") != "" {
		t.Error("a trace that nobody asked for")
	}
}

func TestCallID(t *testing.T) {
	// Sockets order what handler and test do; the race detector does not know.
	var given atomic.Value
	h := &fakeHost{handlers: map[string]func(host.Call) (host.Reply, error){"a": func(c host.Call) (host.Reply, error) {
		given.Store(c.RequestID)
		return host.Reply{}, nil
	}}}
	b := testBundle(t, sequence("A"), time.Second, 0, plan.Wrap{CPUs: 1, Processes: []plan.Process{pool1("A")}})
	s := serve(t, Options{}, b, h.start)
	if a := s.do(t, "POST", "/", "", "X-Call-Id", "mine-1"); a.header.Get("X-Call-Id") != "mine-1" || given.Load() != "mine-1" {
		t.Errorf("id %q at the function, %q in the answer", given.Load(), a.header.Get("X-Call-Id"))
	}
	for _, bad := range []string{strings.Repeat("x", 200), "a b"} {
		if a := s.do(t, "POST", "/", "", "X-Call-Id", bad); len(a.header.Get("X-Call-Id")) != 36 || given.Load() != a.header.Get("X-Call-Id") {
			t.Errorf("id %q became %q", bad, a.header.Get("X-Call-Id"))
		}
	}
}

// A failing branch is answered at once; the other ends by itself.
func TestFirstFailureAnswers(t *testing.T) {
	release := make(chan struct{})
	h := &fakeHost{handlers: map[string]func(host.Call) (host.Reply, error){
		"bad": func(host.Call) (host.Reply, error) {
			return host.Reply{}, &host.HandlerError{Function: "bad", Type: "ValueError", Message: "no"}
		},
		"slow": func(host.Call) (host.Reply, error) { <-release; return host.Reply{Body: []byte("1")}, nil },
	}}
	b := testBundle(t, parallel(sequence("Slow"), sequence("Bad")), time.Minute, 0,
		plan.Wrap{CPUs: 1, Processes: []plan.Process{pool1("Slow"), pool1("Bad")}})
	s := serve(t, Options{}, b, h.start)
	a := s.do(t, "POST", "/", "{}")
	if a.status != 500 || a.body != `{"error":"States.TaskFailed","cause":"function \"bad\": ValueError: no"}` {
		t.Errorf("%+v", a)
	}
	close(release)
}

func TestListen(t *testing.T) {
	for _, tc := range []struct{ in, network, address, err string }{
		{"unix:///run/x", "unix", "/run/x", ""},
		{"unix:/run/x", "unix", "/run/x", ""},
		{"tcp://127.0.0.1:0", "tcp", "127.0.0.1:0", ""},
		{"0.0.0.0:8080", "tcp", "0.0.0.0:8080", ""},
		{":8080", "tcp", "127.0.0.1:8080", ""},
		{"[::1]:80", "tcp", "[::1]:80", ""},
		{"unix://run/x", "", "", "absolute"},
		{"unix:///" + strings.Repeat("x", 200), "", "", "107"},
		{"8080", "", "", "neither"},
		{"localhost:http", "", "", "number"},
	} {
		network, address, err := ParseAddress(tc.in)
		if network != tc.network || address != tc.address || (err == nil) != (tc.err == "") || err != nil && !strings.Contains(err.Error(), tc.err) {
			t.Errorf("ParseAddress(%q) = %q, %q, %v", tc.in, network, address, err)
		}
	}
	path := "unix://" + t.TempDir() + "/s"
	l, err := listen(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := listen(path); err == nil || !strings.Contains(err.Error(), "another process serves") {
		t.Errorf("a served socket: %v", err)
	}
	l.(interface{ SetUnlinkOnClose(bool) }).SetUnlinkOnClose(false)
	_ = l.Close() // as kill -9 leaves it
	if l, err = listen(path); err != nil {
		t.Errorf("a stale socket: %v", err)
	} else {
		_ = l.Close()
	}
}
