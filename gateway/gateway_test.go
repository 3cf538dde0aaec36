package gateway

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chiron-faas/chiron/deploy"
)

// wrapServer stands in for an agent, on a Unix socket.
func wrapServer(t testing.TB, h http.HandlerFunc) deploy.Endpoint {
	t.Helper()
	path := filepath.Join(t.TempDir(), "w.sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewUnstartedServer(h)
	s.Listener = l
	s.Start()
	t.Cleanup(s.Close)
	return deploy.Endpoint{Wrap: "wrap-1", Network: "unix", Address: path, Path: "/"}
}

// front serves a gateway.
func front(t testing.TB, o Options) (*Gateway, string) {
	t.Helper()
	g, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(g)
	t.Cleanup(func() {
		s.Close()
		g.close()
	})
	return g, s.URL
}

func do(t testing.TB, method, url, body string, header http.Header) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(context.Background(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for k, v := range header {
		req.Header[k] = v
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	return resp, string(data)
}

// echo answers what it was asked.
func echo(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	w.Header().Set("X-Seen", fmt.Sprint(r.Method, " ", r.URL.RequestURI(), " ", r.ContentLength))
	for _, k := range []string{"X-Call-Id", "X-Start-Time", "X-Timeout", "X-Forwarded-For", "X-Forwarded-Host", "X-Mine", "Connection", "X-Dropped"} {
		if v := r.Header.Get(k); v != "" {
			w.Header().Set("Saw-"+k, v)
		}
	}
	w.WriteHeader(http.StatusAccepted)
	_, _ = w.Write(body)
}

func TestInvoke(t *testing.T) {
	e := wrapServer(t, echo)
	f := e
	f.Path = "/function/f"
	_, url := front(t, Options{Routes: []Route{
		{Name: "flow", Kind: Workflow, Endpoint: e}, {Name: "f", Kind: Function, Endpoint: f},
	}})
	for _, c := range []struct{ method, path, body, want string }{
		{"POST", "/function/flow", `{"a":1}`, "POST / 7"},
		{"POST", "/function/flow.chiron", `{"a":1}`, "POST / 7"},
		{"POST", "/function/f?x=1&y=%20", "b", "POST /function/f?x=1&y=%20 1"},
		{"PUT", "/function/f/a/b", "b", "PUT /function/f/a/b 1"},
		{"GET", "/function/f", "", "GET /function/f 0"},
		{"DELETE", "/function/f", "", "DELETE /function/f 0"},
	} {
		resp, body := do(t, c.method, url+c.path, c.body, http.Header{
			"X-Mine": {"yes"}, "Connection": {"X-Dropped"}, "X-Dropped": {"no"}, "X-Call-Id": {"given"},
		})
		if resp.StatusCode != http.StatusAccepted || body != c.body || resp.Header.Get("X-Seen") != c.want {
			t.Errorf("%s %s: %d %q, wrap saw %q, want %q", c.method, c.path, resp.StatusCode, body, resp.Header.Get("X-Seen"), c.want)
		}
		for k, want := range map[string]string{"Saw-X-Mine": "yes", "Saw-X-Dropped": "", "Saw-X-Call-Id": "given", "X-Call-Id": "given", "Saw-X-Forwarded-For": "127.0.0.1"} {
			if got := resp.Header.Get(k); got != want {
				t.Errorf("%s %s: %s is %q, want %q", c.method, c.path, k, got, want)
			}
		}
		if left, err := time.ParseDuration(resp.Header.Get("Saw-X-Timeout")); err != nil || left <= 0 || left > DefaultTimeout {
			t.Errorf("X-Timeout %q", resp.Header.Get("Saw-X-Timeout"))
		}
	}
	resp, _ := do(t, "POST", url+"/function/flow", "x", nil)
	if id := resp.Header.Get("X-Call-Id"); len(id) != 36 || resp.Header.Get("Saw-X-Call-Id") != id || resp.Header.Get("X-Start-Time") == "" {
		t.Errorf("headers %v, want a made call id, the same on both sides", resp.Header)
	}
	if resp, body := do(t, "POST", url+"/function/none", "x", nil); resp.StatusCode != 404 || !strings.Contains(body, `\"none\"`) {
		t.Errorf("an unknown name: %d %s", resp.StatusCode, body)
	}
	// A body of unknown length.
	req, err := http.NewRequestWithContext(t.Context(), "POST", url+"/function/flow", struct{ io.Reader }{strings.NewReader("chunks")})
	if err != nil {
		t.Fatal(err)
	}
	resp2, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp2.Body.Close()
	if got := resp2.Header.Get("X-Seen"); got != "POST / 6" {
		t.Errorf("the wrap saw %q of a chunked body", got)
	}
	text := metricsOf(t, url)
	for _, want := range []string{
		`gateway_function_invocation_total{code="202",function_name="flow.chiron"} 4`,
		`gateway_functions_seconds_count{code="202",function_name="f.chiron"} 4`,
		`gateway_function_in_flight{function_name="flow.chiron"} 0`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s in the metrics:\n%s", want, text)
		}
	}
}

func metricsOf(t *testing.T, url string) string {
	t.Helper()
	resp, text := do(t, "GET", url+"/metrics", "", nil)
	if resp.StatusCode != 200 {
		t.Fatalf("/metrics: %d", resp.StatusCode)
	}
	return text
}

func TestSystem(t *testing.T) {
	e := wrapServer(t, echo)
	created := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	_, url := front(t, Options{
		Routes: []Route{
			{Name: "a", Kind: Function, Endpoint: e, Deployed: created},
			{Name: "flow", Kind: Workflow, Endpoint: e, Deployed: created, Annotations: map[string]string{"slo": "120ms"}},
		},
		Version: "0.1.0", Commit: "abc",
	})
	resp, body := do(t, "GET", url+"/system/functions", "", nil)
	var list []map[string]any
	if err := json.Unmarshal([]byte(body), &list); err != nil || len(list) != 2 {
		t.Fatalf("%d %s: %v", resp.StatusCode, body, err)
	}
	if list[0]["name"] != "flow" || list[0]["availableReplicas"] != 1.0 || list[0]["createdAt"] != "2026-01-02T03:04:05Z" || list[1]["name"] != "a" {
		t.Errorf("%s", body)
	}
	if resp, body := do(t, "GET", url+"/system/function/flow.chiron", "", nil); resp.StatusCode != 200 || !strings.Contains(body, `"slo":"120ms"`) {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
	if resp, body := do(t, "GET", url+"/system/function/none", "", nil); resp.StatusCode != 404 || body != "" {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
	if resp, body := do(t, "GET", url+"/system/info", "", nil); resp.StatusCode != 200 || !strings.Contains(body, `"release":"0.1.0"`) || !strings.Contains(body, `"provider":{`) {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
	if resp, body := do(t, "GET", url+"/healthz", "", nil); resp.StatusCode != 200 || body != "OK" {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
	if resp, _ := do(t, "POST", url+"/system/info", "", nil); resp.StatusCode != 405 {
		t.Errorf("POST /system/info: %d", resp.StatusCode)
	}
	_, empty := front(t, Options{})
	if _, body := do(t, "GET", empty+"/system/functions", "", nil); strings.TrimSpace(body) != "[]" {
		t.Errorf("nothing is served: %s, want []", body)
	}
}

func TestBounds(t *testing.T) {
	release := make(chan struct{})
	e := wrapServer(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		select {
		case <-release:
		case <-r.Context().Done():
		}
	})
	g, url := front(t, Options{
		Routes: []Route{{Name: "f", Kind: Workflow, Endpoint: e}},
		Limits: Limits{Body: 10, Concurrency: 1, Queue: 1, Timeout: 20 * time.Second},
	})
	for _, body := range []io.Reader{strings.NewReader("01234567890"), struct{ io.Reader }{strings.NewReader("01234567890")}} {
		resp, err := http.Post(url+"/function/f", "text/plain", body)
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if resp.StatusCode != 413 || !bytes.Contains(text, []byte("limit of 10 bytes")) {
			t.Errorf("a body over the limit: %d %s", resp.StatusCode, text)
		}
	}
	if resp, body := do(t, "POST", url+"/function/f", "x", http.Header{"X-Timeout": {"30ms"}}); resp.StatusCode != 504 || !strings.Contains(body, "States.Timeout") {
		t.Errorf("past its timeout: %d %s", resp.StatusCode, body)
	}
	// One is with the wrap, one waits, one is too many.
	var all sync.WaitGroup
	all.Go(func() { do(t, "POST", url+"/function/f", "x", nil) })
	wait(t, func() bool { return len(g.find("f").places) == 1 })
	all.Go(func() { do(t, "POST", url+"/function/f", "x", nil) })
	wait(t, func() bool { return g.find("f").waiting.Load() == 1 })
	if resp, body := do(t, "POST", url+"/function/f", "x", nil); resp.StatusCode != 429 || resp.Header.Get("Retry-After") == "" || !strings.Contains(body, "waiting") {
		t.Errorf("one too many: %d %s", resp.StatusCode, body)
	}
	close(release)
	all.Wait()
	if n := g.find("f").waiting.Load() + int64(len(g.find("f").places)); n != 0 {
		t.Errorf("%d places are not given back", n)
	}
}

func wait(t *testing.T, until func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !until(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it did not come to that")
		}
	}
}

func TestCallerLeaves(t *testing.T) {
	left := make(chan struct{})
	e := wrapServer(t, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
		close(left)
	})
	g, url := front(t, Options{Routes: []Route{{Name: "f", Kind: Workflow, Endpoint: e}}})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, "POST", url+"/function/f", strings.NewReader("x"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := http.DefaultClient.Do(req); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatal(err)
	}
	select {
	case <-left:
	case <-time.After(10 * time.Second):
		t.Error("the wrap is not told that the caller has left")
	}
	wait(t, func() bool { return len(g.find("f").places) == 0 })
}

// TestSlowCallers: one that sends its body byte by byte, or does not read its
// answer, keeps no other from the wrap.
func TestSlowCallers(t *testing.T) {
	const size = 64 << 20 // more than the sockets' buffers hold
	e := wrapServer(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if string(body) == "large" {
			w.Header().Set("Content-Length", strconv.Itoa(size))
			_, _ = w.Write(make([]byte, size))
			return
		}
		_, _ = w.Write(body)
	})
	g, err := New(Options{
		Routes: []Route{{Name: "f", Kind: Workflow, Endpoint: e}},
		Limits: Limits{Concurrency: 1, Timeout: 20 * time.Second},
	})
	if err != nil {
		t.Fatal(err)
	}
	g.answerPatience = 300 * time.Millisecond
	server := httptest.NewServer(g)
	t.Cleanup(func() {
		server.Close()
		g.close()
	})
	url := server.URL
	dial := func(request string) net.Conn {
		c, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		if _, err := io.WriteString(c, request); err != nil {
			t.Fatal(err)
		}
		return c
	}
	// The body comes in drops, and is answered when it is there.
	drops := dial("POST /function/f HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\n")
	for _, drop := range []string{"d", "r", "o", "p"} {
		if resp, body := do(t, "POST", url+"/function/f", "beside", nil); resp.StatusCode != 200 || body != "beside" {
			t.Errorf("beside a slow sender: %d %s", resp.StatusCode, body)
		}
		if _, err := io.WriteString(drops, drop); err != nil {
			t.Fatal(err)
		}
	}
	resp, err := http.ReadResponse(bufio.NewReader(drops), nil)
	if err != nil {
		t.Fatal(err)
	}
	if body, err := io.ReadAll(resp.Body); err != nil || string(body) != "drop" {
		t.Errorf("the slow sender got %q, %v", body, err)
	}
	_ = resp.Body.Close()
	// Nobody reads the answer: its place is free again after a while.
	deaf := dial("POST /function/f HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nlarge")
	wait(t, func() bool { return len(g.find("f").places) == 1 })
	if resp, body := do(t, "POST", url+"/function/f", "after", nil); resp.StatusCode != 200 || body != "after" {
		t.Errorf("after a caller that does not read: %d %s", resp.StatusCode, body)
	}
	if n, err := io.Copy(io.Discard, deaf); err == nil && n >= size {
		t.Errorf("%d bytes of an answer that was given up", n)
	}
	wait(t, func() bool { return len(g.find("f").places) == 0 })
}

func TestWrapIsGone(t *testing.T) {
	dir := t.TempDir()
	gone := deploy.Endpoint{Wrap: "wrap-2", Network: "unix", Address: filepath.Join(dir, "none.sock"), Path: "/"}
	dies := wrapServer(t, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	half := wrapServer(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "10")
		_, _ = w.Write([]byte("half"))
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	})
	_, url := front(t, Options{Routes: []Route{
		{Name: "gone", Kind: Workflow, Endpoint: gone}, {Name: "dies", Kind: Workflow, Endpoint: dies}, {Name: "half", Kind: Workflow, Endpoint: half},
	}})
	if resp, body := do(t, "POST", url+"/function/gone", "x", http.Header{"X-Timeout": {"100ms"}}); resp.StatusCode != 504 {
		t.Errorf("a wrap that is not there: %d %s", resp.StatusCode, body)
	}
	if resp, body := do(t, "POST", url+"/function/dies", "x", nil); resp.StatusCode != 500 || !strings.Contains(body, "States.TaskFailed") {
		t.Errorf("a wrap that dies: %d %s", resp.StatusCode, body)
	}
	resp, err := http.Post(url+"/function/half", "text/plain", strings.NewReader("x"))
	if err == nil {
		_, err = io.ReadAll(resp.Body)
		_ = resp.Body.Close()
	}
	if err == nil {
		t.Error("half an answer was taken for a whole one")
	}
	// A wrap that comes back within the wait gets the request.
	back := deploy.Endpoint{Wrap: "wrap-3", Network: "unix", Address: filepath.Join(dir, "back.sock"), Path: "/"}
	_, url = front(t, Options{Routes: []Route{{Name: "back", Kind: Workflow, Endpoint: back}}})
	time.AfterFunc(100*time.Millisecond, func() {
		l, err := net.Listen("unix", back.Address)
		if err != nil {
			t.Error(err)
			return
		}
		s := &http.Server{Handler: http.HandlerFunc(echo), ReadHeaderTimeout: time.Second}
		t.Cleanup(func() { _ = s.Close() })
		go func() { _ = s.Serve(l) }()
	})
	if resp, body := do(t, "POST", url+"/function/back", "hello", nil); resp.StatusCode != http.StatusAccepted || body != "hello" {
		t.Errorf("a wrap that comes back: %d %s", resp.StatusCode, body)
	}
}

func TestServeDrains(t *testing.T) {
	inside, release := make(chan struct{}), make(chan struct{})
	e := wrapServer(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		close(inside)
		<-release
		_, _ = w.Write([]byte("done"))
	})
	g, err := New(Options{Routes: []Route{{Name: "f", Kind: Workflow, Endpoint: e}}})
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- g.Serve(ctx, l) }()
	answer := make(chan string, 1)
	go func() {
		_, body := do(t, "POST", "http://"+l.Addr().String()+"/function/f", "x", nil)
		answer <- body
	}()
	<-inside
	cancel()
	wait(t, func() bool { return g.draining.Load() })
	recorder := httptest.NewRecorder()
	g.ServeHTTP(recorder, httptest.NewRequest("POST", "/function/f", strings.NewReader("x")))
	if recorder.Code != 503 {
		t.Errorf("a new request while draining: %d", recorder.Code)
	}
	close(release)
	if got := <-answer; got != "done" {
		t.Errorf("the request inside: %q", got)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestNewRefuses(t *testing.T) {
	for _, routes := range [][]Route{{{Name: ""}}, {{Name: "a.b"}}, {{Name: "a/b"}}, {{Name: "a"}, {Name: "a"}}} {
		if _, err := New(Options{Routes: routes}); err == nil {
			t.Errorf("%+v is served", routes)
		}
	}
}

func BenchmarkGateway(b *testing.B) {
	e := wrapServer(b, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		_, _ = w.Write(body)
	})
	_, url := front(b, Options{Routes: []Route{{Name: "f", Kind: Workflow, Endpoint: e}}})
	body := strings.Repeat("x", 100)
	b.ReportAllocs()
	for b.Loop() {
		if resp, _ := do(b, "POST", url+"/function/f", body, nil); resp.StatusCode != 200 {
			b.Fatal(resp.StatusCode)
		}
	}
}
