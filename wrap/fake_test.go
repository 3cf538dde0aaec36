package wrap

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chiron-faas/chiron/host"
	"github.com/chiron-faas/chiron/plan"
	"github.com/chiron-faas/chiron/workflow"
)

// fakeHost is a language host whose functions are Go functions.
type fakeHost struct {
	handlers map[string]func(host.Call) (host.Reply, error)
	// spawnTime is how long a fork takes.
	spawnTime time.Duration
	// spawnErr, when set, decides about the n-th spawn, from 1.
	spawnErr func(n int) error
	// startErr, when set, decides about the n-th zygote, from 1.
	startErr func(n int) error
	// warmUp, when set, is what warming a worker comes to.
	warmUp func(ctx context.Context, w *fakeWorker, functions []string) error

	mu      sync.Mutex
	pids    int
	zygotes []*fakeZygote
	workers []*fakeWorker
	spawns  int
	starts  int
	// calls are the functions of each call, in order.
	calls []string
}

type fakeZygote struct {
	h    *fakeHost
	pid  int
	done chan struct{}
	once sync.Once
	free time.Time // when the fork asked for last is over; guarded by h.mu
}

type fakeWorker struct {
	h       *fakeHost
	parent  *fakeZygote
	pid     int
	options host.WorkerOptions
	born    time.Time
	err     error // after done
	done    chan struct{}
	once    sync.Once
	retired atomic.Bool
	warmed  atomic.Bool
	inside  atomic.Int64
	// gone counts calls whose caller gave up: they never end by themselves.
	gone atomic.Int64
}

func (h *fakeHost) start(context.Context) (zygote, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.starts++
	if h.startErr != nil {
		if err := h.startErr(h.starts); err != nil {
			return nil, err
		}
	}
	h.pids++
	z := &fakeZygote{h: h, pid: h.pids, done: make(chan struct{})}
	h.zygotes = append(h.zygotes, z)
	return z, nil
}

func (z *fakeZygote) Spawn(_ context.Context, o host.WorkerOptions) (worker, error) {
	z.h.mu.Lock()
	defer z.h.mu.Unlock()
	select {
	case <-z.done:
		return nil, &host.ExitError{Pid: z.pid}
	default:
	}
	z.h.spawns++
	z.h.pids++
	w := &fakeWorker{h: z.h, parent: z, pid: z.h.pids, options: o, done: make(chan struct{}), err: &host.ExitError{Pid: z.h.pids, Code: 3}}
	// One fork after the other.
	w.born = time.Now()
	if z.free.After(w.born) {
		w.born = z.free
	}
	w.born = w.born.Add(z.h.spawnTime)
	z.free = w.born
	if z.h.spawnErr != nil {
		if err := z.h.spawnErr(z.h.spawns); err != nil {
			w.pid, w.err = 0, err
			w.die()
		}
	}
	z.h.workers = append(z.h.workers, w)
	return w, nil
}

func (z *fakeZygote) Close() {
	z.once.Do(func() {
		z.h.mu.Lock()
		defer z.h.mu.Unlock()
		for _, w := range z.h.workers {
			if w.parent == z {
				w.die()
			}
		}
		close(z.done)
	})
}

func (z *fakeZygote) Kind(string) host.Kind { return host.KindText }
func (z *fakeZygote) Done() <-chan struct{} { return z.done }
func (z *fakeZygote) Pid() int              { return z.pid }

func (w *fakeWorker) die()                  { w.once.Do(func() { close(w.done) }) }
func (w *fakeWorker) Done() <-chan struct{} { return w.done }
func (w *fakeWorker) Pid() int              { time.Sleep(time.Until(w.born)); return w.pid }
func (w *fakeWorker) Kill()                 { w.die() }

func (w *fakeWorker) Err() error { return w.err }

func (w *fakeWorker) Retire(time.Duration) {
	w.retired.Store(true)
	w.endIfIdle()
}

func (w *fakeWorker) WarmUp(ctx context.Context, functions ...string) error {
	time.Sleep(time.Until(w.born))
	select {
	case <-w.done:
		return w.err
	default:
	}
	w.warmed.Store(true)
	if w.h.warmUp != nil {
		return w.h.warmUp(ctx, w, functions)
	}
	return nil
}

func (w *fakeWorker) endIfIdle() {
	if w.retired.Load() && w.inside.Load() == w.gone.Load() {
		w.die()
	}
}

func (w *fakeWorker) Call(ctx context.Context, c host.Call) (host.Reply, error) {
	select {
	case <-w.done:
		var spawn *host.SpawnError
		if errors.As(w.err, &spawn) {
			return host.Reply{}, spawn
		}
		return host.Reply{}, &host.ExitError{Function: c.Function, Unstarted: true}
	default:
	}
	time.Sleep(time.Until(w.born))
	if w.retired.Load() {
		return host.Reply{}, host.ErrRetired
	}
	w.inside.Add(1)
	functions := c.Function
	for _, n := range c.Row {
		functions += n.Function
	}
	w.h.mu.Lock()
	w.h.calls = append(w.h.calls, functions)
	w.h.mu.Unlock()
	defer w.endIfIdle()
	type outcome struct {
		r   host.Reply
		err error
	}
	result := make(chan outcome, 1)
	go func() { // a fake's thread: like a real one, nothing can stop it
		r, err := w.h.handlers[c.Function](c)
		steps := []host.Step(nil)
		for _, n := range c.Row {
			if err != nil {
				break
			}
			if c.Stop.Err() != nil {
				err = host.ErrStopped
				break
			}
			steps = append(steps, host.Step{Run: r.Run, CPU: r.CPU, Ended: time.Now()})
			before := r.Memory
			c.Function, c.Body, c.Memory = n.Function, r.Body, r.Memory
			r, err = w.h.handlers[c.Function](c)
			if before != nil {
				before.Release()
			}
		}
		r.Steps = steps
		result <- outcome{r, err}
	}()
	timer := time.NewTimer(time.Until(c.Deadline))
	defer timer.Stop()
	select {
	case o := <-result:
		w.inside.Add(-1)
		if errors.Is(o.err, errFakeExit) {
			w.die()
			return host.Reply{}, &host.ExitError{Function: c.Function, Code: 3}
		}
		return o.r, o.err
	case <-timer.C:
		w.gone.Add(1)
		return host.Reply{}, fmt.Errorf("call %s: %w", c.Function, context.DeadlineExceeded)
	case <-w.done:
		return host.Reply{}, &host.ExitError{Function: c.Function, Code: 3}
	}
}

// errFakeExit makes the worker of the handler that returns it die.
var errFakeExit = errors.New("exit")

// alive lists the workers that were neither killed nor died.
func (h *fakeHost) alive() []*fakeWorker {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(h.workers), func(w *fakeWorker) bool {
		select {
		case <-w.done:
			return true
		default:
			return false
		}
	})
}

func echo(c host.Call) (host.Reply, error) { return host.Reply{Body: c.Body}, nil }

// testBundle is a bundle in memory. Each function of the definition is given
// the timeout; the manifest has the functions of its wrap.
func testBundle(t testing.TB, definition string, timeout time.Duration, wrap int, wraps ...plan.Wrap) *bundle {
	t.Helper()
	d, err := workflow.ParseDefinition("workflow.asl.json", []byte(definition))
	if err != nil {
		t.Fatal(err)
	}
	for i := range wraps {
		if wraps[i].Name == "" {
			wraps[i].Name = fmt.Sprintf("wrap-%d", i+1)
		}
	}
	b := &bundle{
		definition: d,
		plan:       &plan.Plan{Workflow: "test", Wraps: wraps},
		manifest:   &plan.Manifest{PlanID: "plan-a", Wrap: wraps[wrap].Name, Lang: "python"},
	}
	for _, p := range wraps[wrap].Processes {
		for _, task := range p.Tasks {
			s, ok := d.State(task)
			if !ok {
				t.Fatalf("no state %q", task)
			}
			b.manifest.Functions = append(b.manifest.Functions, plan.ManifestFunction{
				Name: s.Function, File: "functions/" + s.Function + "/handler.py", Timeout: timeout,
			})
		}
	}
	if err := b.check(); err != nil {
		t.Fatal(err)
	}
	return b
}

func pool1(tasks ...string) plan.Process {
	return plan.Process{Mode: plan.Pool, CPU: plan.Unpinned, Tasks: tasks}
}

func fork1(tasks ...string) plan.Process {
	return plan.Process{Mode: plan.Fork, CPU: plan.Unpinned, Tasks: tasks}
}

func standby1(tasks ...string) plan.Process {
	return plan.Process{Mode: plan.Standby, CPU: plan.Unpinned, Tasks: tasks}
}

// sequence is a definition of Task states one after the other, each with a
// function of the same name in lower case.
func sequence(tasks ...string) string {
	var states []string
	for i, t := range tasks {
		next := `"End":true`
		if i+1 < len(tasks) {
			next = fmt.Sprintf(`"Next":%q`, tasks[i+1])
		}
		states = append(states, fmt.Sprintf(`%q:{"Type":"Task","Resource":%q,%s}`, t, strings.ToLower(t), next))
	}
	return fmt.Sprintf(`{"StartAt":%q,"States":{%s}}`, tasks[0], strings.Join(states, ","))
}

// parallel is a definition of one Parallel state "Fan" with the branches.
func parallel(branches ...string) string {
	return fmt.Sprintf(`{"StartAt":"Fan","States":{"Fan":{"Type":"Parallel","End":true,"Branches":[%s]}}}`, strings.Join(branches, ","))
}

// served is a running agent.
type served struct {
	*Agent
	client *http.Client
	url    string
	logs   *lockedBuffer
	stop   func() error
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func jsonLog(w io.Writer) *slog.Logger { return slog.New(slog.NewJSONHandler(w, nil)) }

// serve runs an agent on a Unix socket until the test ends.
func serve(t testing.TB, o Options, b *bundle, start func(context.Context) (zygote, error)) *served {
	t.Helper()
	logs := &lockedBuffer{}
	if o.Log == nil {
		o.Log = jsonLog(logs)
	}
	if o.Listen == "" {
		o.Listen = "unix://" + filepath.Join(t.TempDir(), "s")
	}
	a, err := newAgent(o.withDefaults(), b, start)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- a.Serve(ctx) }()
	var once sync.Once
	var result error
	transport := &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, a.Addr().Network(), a.Addr().String())
		},
		MaxIdleConnsPerHost: 256,
	}
	s := &served{
		Agent: a, logs: logs, url: "http://wrap", client: &http.Client{Transport: transport, Timeout: time.Minute},
		stop: func() error {
			once.Do(func() {
				transport.CloseIdleConnections()
				cancel()
				result = <-done
			})
			return result
		},
	}
	t.Cleanup(func() {
		if err := s.stop(); err != nil && !t.Failed() {
			t.Errorf("Serve: %v", err)
		}
	})
	return s
}

type answer struct {
	status int
	header http.Header
	body   string
}

func (s *served) do(t testing.TB, method, path, body string, header ...string) answer {
	t.Helper()
	a, err := s.try(method, path, body, header...)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func (s *served) try(method, path, body string, header ...string) (answer, error) {
	req, err := http.NewRequest(method, s.url+path, strings.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = resp.Body.Close() }()
	data, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, resp.Header, string(data)}, err
}

// post invokes the workflow and wants its result.
func (s *served) post(t testing.TB, body, want string) answer {
	t.Helper()
	a := s.do(t, "POST", "/", body)
	if a.status != 200 || a.body != want {
		t.Fatalf("POST / %q: status %d, body %q; want 200 and %q", body, a.status, a.body, want)
	}
	return a
}

// eventually waits for a condition that some other goroutine brings about.
func eventually(t testing.TB, what string, cond func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !cond(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("never: %s", what)
		}
	}
}
