package hop

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// counting counts the connections of a listener.
type counting struct {
	net.Listener
	accepted atomic.Int64
}

func (l *counting) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err == nil {
		l.accepted.Add(1)
	}
	return c, err
}

// backend serves h on a Unix socket.
func backend(t testing.TB, h http.HandlerFunc) (*Client, *counting) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "b.sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewUnstartedServer(h)
	counted := &counting{Listener: l}
	s.Listener = counted
	s.Start()
	c := NewClient(Options{Network: "unix", Address: path, RestartWait: 200 * time.Millisecond})
	t.Cleanup(func() { c.Close(); s.Close() })
	return c, counted
}

func body(t testing.TB, r *Response) string {
	t.Helper()
	var b bytes.Buffer
	for {
		p, err := r.Next()
		b.Write(p)
		if err == io.EOF {
			r.Close()
			return b.String()
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestDo(t *testing.T) {
	c, l := backend(t, func(w http.ResponseWriter, r *http.Request) {
		data, _ := io.ReadAll(r.Body)
		switch r.URL.Path {
		case "/chunked":
			for _, b := range data {
				_, _ = w.Write([]byte{b})
				_ = http.NewResponseController(w).Flush()
			}
		case "/close":
			w.Header().Set("Connection", "close")
			_, _ = w.Write(data)
		case "/nothing":
			w.WriteHeader(http.StatusNoContent)
		default:
			w.Header().Set("X-Seen", r.Method+" "+r.URL.RequestURI()+" "+r.Header.Get("X-A")+" "+r.Header.Get("X-B")+" "+r.Host)
			_, _ = w.Write(data)
		}
	})
	large := strings.Repeat("large ", 20_000)
	for _, k := range []struct {
		method, target, body string
		status               int
		want                 string
	}{
		{"POST", "/x?y=1", "hello", 200, "hello"},
		{"POST", "/x", "", 200, ""},
		{"POST", "/x", large, 200, large},
		{"POST", "/chunked", "abc", 200, "abc"},
		{"GET", "/x", "", 200, ""},
		{"HEAD", "/x", "", 200, ""},
		{"POST", "/nothing", "x", 204, ""},
	} {
		resp, err := c.Do(t.Context(), time.Time{}, &Request{
			Method: k.method, Target: k.target, Host: "h", Body: []byte(k.body),
			Header: http.Header{"X-A": {"one"}, "X-B": {"lost"}, "Connection": {"X-C"}, "X-C": {"lost"}, "Content-Length": {"99"}},
			Extra:  []Field{{"X-B", "two"}},
		})
		if err != nil {
			t.Fatal(k.target, err)
		}
		if seen := resp.Header.Get("X-Seen"); k.target == "/x?y=1" && seen != "POST /x?y=1 one two h" {
			t.Errorf("the backend saw %q", seen)
		}
		if got := body(t, resp); got != k.want || resp.Status != k.status {
			t.Errorf("%s %s: %d %.40q, want %d %.40q", k.method, k.target, resp.Status, got, k.status, k.want)
		}
	}
	if n := l.accepted.Load(); n != 1 {
		t.Errorf("%d connections for requests one after the other, want 1", n)
	}
	for range 2 {
		resp, err := c.Do(t.Context(), time.Time{}, &Request{Method: "POST", Target: "/close", Host: "h", Body: []byte("x")})
		if err != nil {
			t.Fatal(err)
		}
		body(t, resp)
	}
	// An answer that is not read takes its connection along.
	resp, err := c.Do(t.Context(), time.Time{}, &Request{Method: "POST", Target: "/x", Host: "h", Body: []byte(large)})
	if err != nil {
		t.Fatal(err)
	}
	resp.Close()
	resp, err = c.Do(t.Context(), time.Time{}, &Request{Method: "POST", Target: "/x", Host: "h", Body: []byte("again")})
	if err != nil || body(t, resp) != "again" {
		t.Errorf("after an answer that was not read: %v", err)
	}
}

// TestShared: callers that hand connections to each other lose none. One that was
// lost would be replaced by a new one.
func TestShared(t *testing.T) {
	const callers, requests = 8, 300
	c, counted := backend(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok")) })
	var all sync.WaitGroup
	for range callers {
		all.Go(func() {
			for range requests {
				r, err := c.Do(t.Context(), time.Time{}, &Request{Method: http.MethodPost, Target: "/", Host: "h"})
				if err != nil {
					t.Error(err)
					return
				}
				if got := body(t, r); got != "ok" {
					t.Errorf("answered %q", got)
				}
			}
		})
	}
	all.Wait()
	if n := counted.accepted.Load(); n > callers {
		t.Errorf("%d connections for %d callers", n, callers)
	}
}

func TestDoRefuses(t *testing.T) {
	c, _ := backend(t, func(http.ResponseWriter, *http.Request) {})
	for _, r := range []*Request{
		{Method: "POST x", Target: "/", Host: "h"},
		{Method: "POST", Target: "/ HTTP/1.1\r\nX: y", Host: "h"},
		{Method: "POST", Target: "/", Host: "h\r\nX: y"},
		{Method: "POST", Target: "/", Host: "h", Header: http.Header{"X": {"a\r\nY: b"}}},
		{Method: "POST", Target: "/", Host: "h", Extra: []Field{{"X\n", "a"}}},
	} {
		if _, err := c.Do(t.Context(), time.Time{}, r); !errors.Is(err, errBadField) {
			t.Errorf("%+v: error %v", r, err)
		}
	}
}

func TestDoEnds(t *testing.T) {
	release := make(chan struct{})
	c, _ := backend(t, func(http.ResponseWriter, *http.Request) { <-release })
	defer close(release)
	r := &Request{Method: "POST", Target: "/", Host: "h"}
	if _, err := c.Do(t.Context(), time.Now().Add(30*time.Millisecond), r); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("past the deadline: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(30*time.Millisecond, cancel)
	if _, err := c.Do(ctx, time.Time{}, r); !errors.Is(err, context.Canceled) {
		t.Errorf("the caller leaves: %v", err)
	}
	gone := NewClient(Options{Network: "unix", Address: filepath.Join(t.TempDir(), "none"), RestartWait: -1})
	if _, err := gone.Do(t.Context(), time.Time{}, r); !errors.Is(err, ErrNotSent) {
		t.Errorf("nobody listens: %v", err)
	}
	c.Close()
	if _, err := c.Do(t.Context(), time.Time{}, r); !errors.Is(err, ErrClosed) {
		t.Errorf("closed: %v", err)
	}
}

// TestRestart: kept connections of a backend that died are replaced, and a
// request waits for a backend that is on its way back.
func TestRestart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "b.sock")
	serve := func() *http.Server {
		l, err := net.Listen("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) }), ReadHeaderTimeout: time.Second}
		go func() { _ = s.Serve(l) }()
		return s
	}
	c := NewClient(Options{Network: "unix", Address: path})
	defer c.Close()
	call := func() error {
		resp, err := c.Do(t.Context(), time.Now().Add(10*time.Second), &Request{Method: "POST", Target: "/", Host: "h", Body: []byte("x")})
		if err == nil && body(t, resp) != "x" {
			err = errors.New("another answer")
		}
		return err
	}
	s := serve()
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			if err := call(); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	again := make(chan *http.Server, 1)
	time.AfterFunc(100*time.Millisecond, func() { again <- serve() })
	if err := call(); err != nil {
		t.Errorf("while it restarts: %v", err)
	}
	_ = (<-again).Close()
}

func response(method, text string) *Response {
	p := &Response{r: bufio.NewReaderSize(strings.NewReader(text), 4096), fault: func(err error) error { return err }}
	if p.readHead(method) != nil {
		return nil
	}
	return p
}

func TestMalformed(t *testing.T) {
	for _, text := range []string{
		"", "HTTP/1.1 200", "HTTP/2 200 OK\r\n\r\n", "HTTP/1.1 200 OK\n\n", "HTTP/1.1 20 OK\r\n\r\n",
		"HTTP/1.1 101 Switching\r\n\r\n", "HTTP/1.1 200 OK\r\nA b\r\n\r\n", "HTTP/1.1 200 OK\r\n folded: x\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na",
		"HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\na",
		"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\na",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
		"HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", MaxHead) + "\r\n\r\n",
	} {
		if p := response("POST", text); p != nil {
			t.Errorf("%.60q is taken", text)
		}
	}
	for _, text := range []string{
		"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nab",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nabc\r\n0\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
	} {
		p := response("POST", text)
		if p == nil {
			t.Errorf("the head of %q is not taken", text)
			continue
		}
		var err error
		for err == nil {
			_, err = p.Next()
		}
		if err == io.EOF {
			t.Errorf("the body of %q is taken", text)
		}
	}
}

// FuzzResponse holds the reader against net/http's: what is taken here is read
// there the same.
func FuzzResponse(f *testing.F) {
	for _, seed := range []string{
		"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nT: x\r\n\r\n",
		"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No\r\n\r\n",
		"HTTP/1.0 200 OK\r\n\r\nto the end",
		"HTTP/1.1 200 OK\r\nConnection: close, X-A\r\nX-A: b\r\nContent-Length: 0\r\n\r\n",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p := response("POST", text)
		if p == nil {
			return
		}
		var ours bytes.Buffer
		for {
			piece, err := p.Next()
			ours.Write(piece)
			if err == io.EOF {
				break
			}
			if err != nil {
				return // refused
			}
		}
		reader := bufio.NewReader(strings.NewReader(text))
		var theirs *http.Response
		for {
			var err error
			if theirs, err = http.ReadResponse(reader, &http.Request{Method: "POST"}); err != nil {
				t.Fatalf("net/http refuses %q: %v", text, err)
			}
			if theirs.StatusCode >= 200 {
				break
			}
		}
		data, err := io.ReadAll(theirs.Body)
		if err != nil || !bytes.Equal(data, ours.Bytes()) || theirs.StatusCode != p.Status {
			t.Fatalf("%q: %d %q here, %d %q, %v there", text, p.Status, ours.Bytes(), theirs.StatusCode, data, err)
		}
	})
}

// BenchmarkHop compares with net/http's Transport over the same socket.
func BenchmarkHop(b *testing.B) {
	echo := func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) }
	text := strings.Repeat("x", 100)
	b.Run("hop", func(b *testing.B) {
		c, _ := backend(b, echo)
		r := &Request{Method: "POST", Target: "/", Host: "h", Body: []byte(text)}
		b.ReportAllocs()
		for b.Loop() {
			resp, err := c.Do(b.Context(), time.Time{}, r)
			if err != nil {
				b.Fatal(err)
			}
			body(b, resp)
		}
	})
	b.Run("net-http", func(b *testing.B) {
		c, _ := backend(b, echo)
		transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", c.options.Address)
		}}
		defer transport.CloseIdleConnections()
		b.ReportAllocs()
		for b.Loop() {
			req, err := http.NewRequestWithContext(b.Context(), "POST", "http://h/", strings.NewReader(text))
			if err != nil {
				b.Fatal(err)
			}
			resp, err := transport.RoundTrip(req)
			if err != nil {
				b.Fatal(err)
			}
			_, _ = io.Copy(io.Discard, resp.Body)
			_ = resp.Body.Close()
		}
	})
}
