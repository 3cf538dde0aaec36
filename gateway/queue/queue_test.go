package queue

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// TestMain lets the test program stand in for a gateway that is to be killed: it
// takes calls, and begins them, but never finishes one.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == "gateway" {
		os.Exit(gatewayToKill(os.Args[2]))
	}
	os.Exit(m.Run())
}

func gatewayToKill(dir string) int {
	mark := filepath.Join(dir, "begun")
	q, err := Open(context.Background(), Options{Dir: filepath.Join(dir, "nats"), AckWait: time.Second, Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_ = os.WriteFile(mark, []byte(r.Header.Get("X-Call-Id")), 0o600)
		select {}
	})})
	if err != nil {
		fmt.Println("error:", err)
		return 1
	}
	// Taken from standard input: the line is the body.
	lines := bufio.NewScanner(os.Stdin)
	for n := 1; lines.Scan(); n++ {
		if lines.Text() == "run" {
			go func() { _ = q.Run(context.Background()) }()
			continue
		}
		r := httptest.NewRequest("POST", "/async-function/f", strings.NewReader(lines.Text()))
		r.Header.Set("X-Call-Id", fmt.Sprint("call-", n))
		w := httptest.NewRecorder()
		q.ServeHTTP(w, r)
		fmt.Println(w.Code)
	}
	return 0
}

// open serves a queue and runs it until the test ends.
func open(t *testing.T, o Options) (*Queue, string) {
	t.Helper()
	if o.Dir == "" && o.URL == "" {
		o.Dir = t.TempDir()
	}
	if o.Pause == 0 {
		o.Pause = 10 * time.Millisecond
	}
	q, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(q)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- q.Run(ctx) }()
	t.Cleanup(func() {
		s.Close()
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		q.Close()
	})
	return q, s.URL
}

func post(t *testing.T, url, body string, header ...string) *http.Response {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), "POST", url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-Call-Id", "id-1")
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
	return resp
}

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not seen: %s", what)
		}
	}
}

func (q *Queue) empty() bool {
	n, err := q.Waiting(context.Background())
	return err == nil && n == 0
}

// back takes callbacks.
type back struct {
	mu    sync.Mutex
	got   []*http.Request
	body  []string
	fails int // of the first callbacks
	url   string
}

func callbacks(t *testing.T, fails int) *back {
	b := &back{fails: fails}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		data, _ := io.ReadAll(r.Body)
		b.mu.Lock()
		defer b.mu.Unlock()
		b.got, b.body = append(b.got, r), append(b.body, string(data))
		if len(b.got) <= b.fails {
			w.WriteHeader(500)
		}
	}))
	t.Cleanup(s.Close)
	b.url = s.URL
	return b
}

func (b *back) count() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.got)
}

func TestCall(t *testing.T) {
	var seen atomic.Pointer[http.Request]
	q, url := open(t, Options{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		seen.Store(r)
		w.Header().Set("X-Mine", "yes")
		w.WriteHeader(201)
		_, _ = w.Write(append([]byte("got "), body...))
	})})
	b := callbacks(t, 2)
	resp := post(t, url+"/async-function/f.openfaas-fn/a%20b?x=1", "hello", "X-Callback-Url", b.url+"/done", "X-Other", "kept")
	if resp.StatusCode != 202 || resp.Header.Get("X-Call-Id") != "id-1" {
		t.Errorf("%d %v", resp.StatusCode, resp.Header)
	}
	eventually(t, "the callback, which failed twice", func() bool { return b.count() == 3 })
	eventually(t, "an empty queue", q.empty)
	r := seen.Load()
	if r.Method != "POST" || r.URL.RequestURI() != "/function/f.openfaas-fn/a%20b?x=1" || r.Header.Get("X-Other") != "kept" || r.Header.Get("X-Callback-Url") != "" || r.Header.Get("X-Call-Id") != "id-1" {
		t.Errorf("the function was asked %s %s %v", r.Method, r.URL.RequestURI(), r.Header)
	}
	c := b.got[2]
	for name, want := range map[string]string{"X-Call-Id": "id-1", "X-Function-Name": "f.openfaas-fn", "X-Function-Status": "201", "X-Mine": "yes"} {
		if got := c.Header.Get(name); got != want {
			t.Errorf("callback: %s %q, want %q", name, got, want)
		}
	}
	if c.Header.Get("X-Duration-Seconds") == "" || b.body[2] != "got hello" || c.URL.Path != "/done" || c.Method != "POST" {
		t.Errorf("callback %s %v %q", c.URL, c.Header, b.body[2])
	}
	for _, bad := range []struct {
		path, body, back string
		want             int
	}{
		{"/async-function/", "", "", 400},
		{"/async-function/f", "", "nowhere", 400},
		{"/async-function/f", "", "ftp://x/y", 400},
		{"/async-function/f", strings.Repeat("x", MaxBody+1), "", 413},
	} {
		if resp := post(t, url+bad.path, bad.body, "X-Callback-Url", bad.back); resp.StatusCode != bad.want {
			t.Errorf("%s %d bytes, callback %q: %d, want %d", bad.path, len(bad.body), bad.back, resp.StatusCode, bad.want)
		}
	}
	if resp, err := http.Get(url + "/async-function/f"); err != nil || resp.StatusCode != 405 {
		t.Errorf("GET: %v %v", resp, err)
	}
}

// TestNoPlace: a call that no function has seen is made again, and not for ever;
// one that a function has seen is not.
func TestNoPlace(t *testing.T) {
	var calls atomic.Int64
	var status atomic.Int64
	until := atomic.Int64{}
	q, url := open(t, Options{Tries: 4, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if calls.Add(1) <= until.Load() {
			w.WriteHeader(int(status.Load()))
		}
	})})
	for _, c := range []struct{ status, until, want int64 }{{503, 2, 3}, {429, 1, 2}, {503, 100, 4}, {500, 100, 1}, {404, 100, 1}} {
		b := callbacks(t, 0)
		calls.Store(0)
		status.Store(c.status)
		until.Store(c.until)
		post(t, url+"/async-function/f", "x", "X-Callback-Url", b.url)
		eventually(t, "a callback", func() bool { return b.count() == 1 })
		eventually(t, "an empty queue", q.empty)
		wantStatus := "200"
		if c.until == 100 {
			wantStatus = fmt.Sprint(c.status)
		}
		if got := b.got[0].Header.Get("X-Function-Status"); calls.Load() != c.want || got != wantStatus {
			t.Errorf("%+v: %d calls, status %s", c, calls.Load(), got)
		}
	}
}

// TestLongCall: one that takes longer than AckWait is not given to another.
func TestLongCall(t *testing.T) {
	var calls atomic.Int64
	q, url := open(t, Options{AckWait: 300 * time.Millisecond, Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		calls.Add(1)
		time.Sleep(1500 * time.Millisecond)
	})})
	post(t, url+"/async-function/f", "x")
	eventually(t, "an empty queue", q.empty)
	if calls.Load() != 1 {
		t.Errorf("%d calls", calls.Load())
	}
}

// TestGatewayIsKilled: before the call has begun, and while it is being made; it
// runs after the restart, with its own id.
func TestGatewayIsKilled(t *testing.T) {
	for _, during := range []bool{false, true} {
		t.Run(fmt.Sprint("during the call: ", during), func(t *testing.T) {
			dir := t.TempDir()
			cmd := exec.Command(os.Args[0], "gateway", dir)
			cmd.Stderr = os.Stderr
			in, err := cmd.StdinPipe()
			if err != nil {
				t.Fatal(err)
			}
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			killed := sync.OnceFunc(func() {
				_ = cmd.Process.Kill()
				_ = cmd.Wait()
			})
			defer killed()
			answers := bufio.NewReader(out)
			for _, line := range []string{"one", "two"} {
				if _, err := io.WriteString(in, line+"\n"); err != nil {
					t.Fatal(err)
				}
				if text, err := answers.ReadString('\n'); err != nil || text != "202\n" {
					t.Fatalf("%q, %v", text, err)
				}
			}
			if during {
				if _, err := io.WriteString(in, "run\n"); err != nil {
					t.Fatal(err)
				}
				eventually(t, "a call begun", func() bool { _, err := os.Stat(filepath.Join(dir, "begun")); return err == nil })
			}
			killed()
			var mu sync.Mutex
			got := make(map[string]string)
			q, _ := open(t, Options{Dir: filepath.Join(dir, "nats"), AckWait: time.Second, Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				mu.Lock()
				defer mu.Unlock()
				got[r.Header.Get("X-Call-Id")] = string(body)
			})})
			eventually(t, "an empty queue", q.empty)
			mu.Lock()
			defer mu.Unlock()
			if len(got) != 2 || got["call-1"] != "one" || got["call-2"] != "two" {
				t.Errorf("after the restart these ran: %v", got)
			}
		})
	}
}

// TestGoingDown: a call that is being made when the gateway goes down is finished,
// and what waits is left for the next one.
func TestGoingDown(t *testing.T) {
	dir := t.TempDir()
	begun, release := make(chan struct{}, 2), make(chan struct{})
	var calls atomic.Int64
	q, err := Open(t.Context(), Options{Dir: dir, Workers: 1, Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		calls.Add(1)
		begun <- struct{}{}
		<-release
	})})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- q.Run(ctx) }()
	for range 2 {
		w := httptest.NewRecorder()
		if q.ServeHTTP(w, httptest.NewRequest("POST", "/async-function/f", strings.NewReader("x"))); w.Code != 202 {
			t.Fatal(w.Code)
		}
	}
	<-begun
	cancel()
	select {
	case <-ended:
		t.Error("it did not wait for the call")
	case <-time.After(50 * time.Millisecond):
	}
	close(release)
	if err := <-ended; err != nil {
		t.Error(err)
	}
	q.Close()
	again, _ := open(t, Options{Dir: dir, Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) { calls.Add(1) }), AckWait: time.Second})
	eventually(t, "an empty queue", again.empty)
	if n := calls.Load(); n < 2 {
		t.Errorf("%d calls", n)
	}
}

// TestOutside: a NATS server of somebody else's, which goes and comes back.
func TestOutside(t *testing.T) {
	o := &server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, NoSigs: true, NoLog: true, JetStream: true, StoreDir: t.TempDir()}
	s, err := server.NewServer(o)
	if err != nil {
		t.Fatal(err)
	}
	go s.Start()
	if !s.ReadyForConnections(10 * time.Second) {
		t.Fatal("not ready")
	}
	defer func() { s.Shutdown(); s.WaitForShutdown() }()
	var calls atomic.Int64
	q, url := open(t, Options{URL: s.ClientURL(), Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) { calls.Add(1) })})
	post(t, url+"/async-function/f", "x")
	eventually(t, "an empty queue", func() bool { return calls.Load() == 1 && q.empty() })
}

func TestOpenRefuses(t *testing.T) {
	h := http.NotFoundHandler()
	for name, o := range map[string]Options{"no handler": {Dir: t.TempDir()}, "neither": {Handler: h}, "both": {Handler: h, Dir: t.TempDir(), URL: "nats://127.0.0.1:1"}} {
		if _, err := Open(t.Context(), o); err == nil {
			t.Error(name)
		}
	}
	_, err := Open(t.Context(), Options{Handler: h, URL: "nats://user:s3cret@127.0.0.1:1"})
	if err == nil || strings.Contains(err.Error(), "s3cret") || !strings.Contains(err.Error(), "127.0.0.1:1") {
		t.Errorf("%v", err)
	}
}

// TestNotACall: what is in the stream and is no call is dropped.
func TestNotACall(t *testing.T) {
	var log bytes.Buffer
	q, _ := open(t, Options{Handler: http.NotFoundHandler(), Log: slog.New(slog.NewTextHandler(&log, nil))})
	if _, err := q.js.Publish(t.Context(), subject, []byte("{")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "an empty queue", q.empty)
	if errors.Is(q.Run(canceled(t)), context.Canceled) {
		t.Error("a clean end is an error")
	}
}

func canceled(t *testing.T) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}
