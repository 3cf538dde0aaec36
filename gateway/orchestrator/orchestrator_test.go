package orchestrator_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chiron-faas/chiron/deploy"
	"github.com/chiron-faas/chiron/gateway"
	"github.com/chiron-faas/chiron/gateway/orchestrator"
	"github.com/chiron-faas/chiron/workflow"
)

const definition = `{"StartAt": "First", "States": {
  "First": {"Type": "Task", "Resource": "f", "Next": "Both"},
  "Both": {"Type": "Parallel", "Next": "Last", "Branches": [
    {"StartAt": "Left", "States": {"Left": {"Type": "Task", "Resource": "f", "Next": "Then"}, "Then": {"Type": "Task", "Resource": "f", "End": true}}},
    {"StartAt": "Right", "States": {"Right": {"Type": "Task", "Resource": "g", "End": true}}}]},
  "Last": {"Type": "Task", "Resource": "h", "End": true}}}`

// bench is wraps behind a real gateway, and an orchestrator before it.
type bench struct {
	gateway *gateway.Gateway
	front   *httptest.Server
	walker  *httptest.Server

	mu    sync.Mutex
	calls []string // "TASK input", as the wraps saw them
}

// newBench serves the definition; wrap answers for all wraps.
func newBench(t *testing.T, wrap func(w http.ResponseWriter, task string, input []byte)) *bench {
	t.Helper()
	b := &bench{}
	d, err := workflow.ParseDefinition("w.asl.json", []byte(definition))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	routes := make(map[string]string)
	var all []gateway.Route
	for i, task := range d.Tasks() {
		address := filepath.Join(dir, fmt.Sprint(i))
		l, err := net.Listen("unix", address)
		if err != nil {
			t.Fatal(err)
		}
		server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			body, err := io.ReadAll(req.Body)
			if err != nil {
				t.Error(err)
			}
			if got := req.URL.RequestURI(); got != "/_/stage?plan=p&state="+task.Name {
				t.Errorf("the wrap of %s was asked for %s", task.Name, got)
			}
			b.mu.Lock()
			b.calls = append(b.calls, task.Name+" "+string(body))
			b.mu.Unlock()
			wrap(w, task.Name, body)
		})}
		go func() { _ = server.Serve(l) }()
		t.Cleanup(func() { _ = server.Close() })
		routes[task.Name] = "w-" + task.Name
		all = append(all, gateway.Route{Name: "w-" + task.Name, Kind: gateway.Task, Endpoint: deploy.Endpoint{
			Wrap: "wrap", Network: "unix", Address: address, Path: "/_/stage?plan=p&state=" + task.Name,
		}})
	}
	if b.gateway, err = gateway.New(gateway.Options{Routes: all}); err != nil {
		t.Fatal(err)
	}
	b.front = httptest.NewServer(b.gateway)
	t.Cleanup(b.front.Close)
	o, err := orchestrator.New(orchestrator.Options{
		Workflow: "w", Definition: d, Routes: routes, Network: "tcp", Address: b.front.Listener.Addr().String(),
	})
	if err != nil {
		t.Fatal(err)
	}
	b.walker = httptest.NewServer(o)
	t.Cleanup(b.walker.Close)
	return b
}

// ask invokes the workflow.
func (b *bench) ask(t *testing.T, input string, header map[string]string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, b.walker.URL, strings.NewReader(input))
	if err != nil {
		t.Fatal(err)
	}
	for k, v := range header {
		req.Header.Set(k, v)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, string(body)
}

// name answers with the task's name and the length of what it got.
func name(w http.ResponseWriter, task string, input []byte) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Duration-Seconds", "0.000001")
	w.Header().Set("Chiron-Trace", fmt.Sprintf(`[{"task":%q,"function":"f","wrap":"wrap","process":0,"start_us":1,"began_us":1,"end_us":2,"run_us":1,"cpu_us":1}]`, task))
	_, _ = fmt.Fprintf(w, `"%s %d"`, task, len(input))
}

// TestEveryHopPassesTheGateway: each task is one request of the gateway, its input
// the output of the one before.
func TestEveryHopPassesTheGateway(t *testing.T) {
	b := newBench(t, name)
	res, body := b.ask(t, `{"n": 1}`, map[string]string{"X-Call-Id": "c-1"})
	if res.StatusCode != 200 || body != `"Last 20"` || res.Header.Get("X-Call-Id") != "c-1" || res.Header.Get("Content-Type") != "application/json" {
		t.Errorf("answered %d %s with %v", res.StatusCode, body, res.Header)
	}
	if res.Header.Get("Chiron-Trace") != "" {
		t.Error("an unasked trace")
	}
	want := []string{`First {"n": 1}`, `Last ["Then 8","Right 9"]`, `Left "First 8"`, `Right "First 8"`, `Then "Left 9"`}
	slices.Sort(b.calls)
	if !slices.Equal(b.calls, want) {
		t.Errorf("the wraps saw\n%s\nwant\n%s", strings.Join(b.calls, "\n"), strings.Join(want, "\n"))
	}
	var routes []struct {
		Name  string `json:"name"`
		Count int    `json:"invocationCount"`
	}
	answer := httptest.NewRecorder()
	b.gateway.ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/system/functions", http.NoBody))
	if err := json.Unmarshal(answer.Body.Bytes(), &routes); err != nil || len(routes) != 5 {
		t.Fatalf("%v: %s", err, answer.Body)
	}
	for _, r := range routes {
		if r.Count != 1 {
			t.Errorf("the gateway counts %d calls of %s", r.Count, r.Name)
		}
	}
}

func TestTrace(t *testing.T) {
	b := newBench(t, func(w http.ResponseWriter, task string, input []byte) {
		time.Sleep(2 * time.Millisecond)
		name(w, task, input)
	})
	res, _ := b.ask(t, `1`, map[string]string{"Chiron-Trace": "1"})
	var spans []struct {
		Task  string `json:"task"`
		Start int64  `json:"start_us"`
		Began int64  `json:"began_us"`
		End   int64  `json:"end_us"`
	}
	if err := json.Unmarshal([]byte(res.Header.Get("Chiron-Trace")), &spans); err != nil {
		t.Fatalf("%v: %s", err, res.Header.Get("Chiron-Trace"))
	}
	at := make(map[string]int64)
	for _, s := range spans {
		at[s.Task] = s.Start
		if s.End != s.Start+1 || s.Began != s.Start {
			t.Errorf("the span of %s is from %d to %d µs, begun at %d; it was 1 µs long", s.Task, s.Start, s.End, s.Began)
		}
	}
	// Each wrap's clock began when it was called.
	if len(at) != 5 || at["First"] < 1 || at["Left"] < at["First"]+1000 || at["Then"] < at["Left"]+1000 || at["Last"] < at["Then"]+1000 {
		t.Errorf("spans begin at %v µs", at)
	}
}

// TestFailures: what a task fails with reaches the caller as an agent would tell
// it, with the state's name in the log only.
func TestFailures(t *testing.T) {
	for _, c := range []struct {
		name   string
		wrap   func(w http.ResponseWriter)
		header map[string]string
		status int
		want   string
	}{
		{"task failed", func(w http.ResponseWriter) {
			w.WriteHeader(500)
			_, _ = w.Write([]byte(`{"error":"States.TaskFailed","cause":"boom"}`))
		}, nil, 500, `{"error":"States.TaskFailed","cause":"boom"}`},
		{"task timed out", func(w http.ResponseWriter) {
			w.WriteHeader(504)
			_, _ = w.Write([]byte(`{"error":"States.Timeout","cause":"late"}`))
		}, nil, 504, `{"error":"States.Timeout","cause":"late"}`},
		{"wrap of another plan", func(w http.ResponseWriter) {
			w.WriteHeader(409)
			_, _ = w.Write([]byte(`{"error":"States.Runtime","cause":"two deployments are mixed"}`))
		}, nil, 500, `"cause":"two deployments are mixed"`},
		{"no failure's body", func(w http.ResponseWriter) { w.WriteHeader(500) }, nil, 500, `status 500`},
		{"too late", func(http.ResponseWriter) { time.Sleep(300 * time.Millisecond) }, map[string]string{"X-Timeout": "30ms"}, 504, `States.Timeout`},
		{"bad timeout", func(http.ResponseWriter) {}, map[string]string{"X-Timeout": "soon"}, 400, `X-Timeout`},
		{"a branch that is no JSON", func(w http.ResponseWriter) { _, _ = w.Write([]byte("text")) }, nil, 500, `is not JSON`},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t, func(w http.ResponseWriter, task string, input []byte) {
				if task == "Right" {
					c.wrap(w)
					return
				}
				name(w, task, input)
			})
			if res, body := b.ask(t, `1`, c.header); res.StatusCode != c.status || !strings.Contains(body, c.want) {
				t.Errorf("answered %d %s, want %d with %s", res.StatusCode, body, c.status, c.want)
			}
		})
	}
}

// TestGatewayDrains: the calls of a request that is inside pass a gateway that
// refuses new requests.
func TestGatewayDrains(t *testing.T) {
	inside, proceed := make(chan struct{}), make(chan struct{})
	var heldUp atomic.Bool // the first call is held up
	b := newBench(t, func(w http.ResponseWriter, task string, input []byte) {
		if task == "Right" && !heldUp.Swap(true) {
			close(inside)
			<-proceed
		}
		name(w, task, input)
	})
	ctx, end := context.WithCancel(t.Context())
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- b.gateway.Serve(ctx, l) }()
	held := make(chan error, 1)
	go func() {
		res, err := http.Post("http://"+l.Addr().String()+"/function/w-Right", "application/json", bytes.NewReader([]byte(`1`)))
		if err == nil {
			err = res.Body.Close()
		}
		held <- err
	}()
	<-inside
	end()
	for { // until it drains
		answer := httptest.NewRecorder()
		b.gateway.ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/healthz", http.NoBody))
		if answer.Code == http.StatusServiceUnavailable {
			break
		}
		time.Sleep(time.Millisecond)
	}
	if res, body := b.ask(t, `1`, nil); res.StatusCode != 200 || body != `"Last 20"` {
		t.Errorf("answered %d %s", res.StatusCode, body)
	}
	close(proceed)
	if err := <-held; err != nil {
		t.Error(err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestNewRefuses(t *testing.T) {
	d, err := workflow.ParseDefinition("w.asl.json", []byte(definition))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := orchestrator.New(orchestrator.Options{Definition: d, Routes: map[string]string{"First": "x"}}); err == nil || !strings.Contains(err.Error(), "no route to task") {
		t.Errorf("a task without a route: %v", err)
	}
}
