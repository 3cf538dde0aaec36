package gateway

import (
	"context"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
)

// named answers with a name and the path that it saw.
func named(name string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(w, name+" "+r.URL.RequestURI())
	}
}

// TestRoutesChange: a route is replaced under load without a failed request, and
// what it returns waits for those inside.
func TestRoutesChange(t *testing.T) {
	g, url := front(t, Options{Namespace: "openfaas-fn"})
	if resp, _ := do(t, "POST", url+"/function/f", "x", nil); resp.StatusCode != 404 {
		t.Errorf("before it is set: %d", resp.StatusCode)
	}
	ends := []Route{{Name: "f", Kind: Whole, Endpoint: wrapServer(t, named("one"))}, {Name: "f", Kind: Whole, Endpoint: wrapServer(t, named("two"))}}
	if _, err := g.Set(ends[0]); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		"/function/f": "one /", "/function/f/": "one /", "/function/f/_/stage?plan=1": "one /_/stage?plan=1", "/function/f.openfaas-fn/a%20b": "one /a%20b",
	} {
		if resp, body := do(t, "POST", url+path, "x", nil); resp.StatusCode != 200 || body != want {
			t.Errorf("%s: %d %s, want %s", path, resp.StatusCode, body, want)
		}
	}
	if resp, _ := do(t, "POST", url+"/function/f.other", "x", nil); resp.StatusCode != 404 {
		t.Errorf("another namespace: %d", resp.StatusCode)
	}
	var stop atomic.Bool
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for !stop.Load() {
				if resp, body := do(t, "POST", url+"/function/f", "x", nil); resp.StatusCode != 200 || body != "one /" && body != "two /" {
					t.Errorf("%d %s", resp.StatusCode, body)
				}
			}
		})
	}
	for n := range 20 {
		drained, err := g.Set(ends[(n+1)%2])
		if err != nil {
			t.Fatal(err)
		}
		drained(t.Context())
		before := g.Invocations("f")
		wait(t, func() bool { return g.Invocations("f") > before+4 })
	}
	stop.Store(true)
	all.Wait()
	if g.Invocations("f") < 100 {
		t.Errorf("%d invocations: the count goes with the old route", g.Invocations("f"))
	}
	// One inside is waited for.
	inside, release := make(chan struct{}), make(chan struct{})
	if _, err := g.Set(Route{Name: "slow", Kind: Whole, Endpoint: wrapServer(t, func(w http.ResponseWriter, _ *http.Request) {
		close(inside)
		<-release
		w.WriteHeader(201)
	})}); err != nil {
		t.Fatal(err)
	}
	answered := make(chan int, 1)
	go func() {
		resp, _ := do(t, "POST", url+"/function/slow", "", nil)
		answered <- resp.StatusCode
	}()
	<-inside
	drained := g.Remove("slow")
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	drained(ended) // returns though one is inside
	done := make(chan struct{})
	go func() {
		drained(context.Background())
		close(done)
	}()
	select {
	case <-done:
		t.Error("drained with a request inside")
	default:
	}
	close(release)
	if status := <-answered; status != 201 {
		t.Errorf("%d for the request inside", status)
	}
	<-done
	g.Remove("none")(t.Context())
	if resp, _ := do(t, "POST", url+"/function/slow", "x", nil); resp.StatusCode != 404 {
		t.Errorf("after it was removed: %d", resp.StatusCode)
	}
}

// TestDrainWithParts: while the gateway goes down, a wrap that works on a request
// still reaches another wrap through it; new requests are refused.
func TestDrainWithParts(t *testing.T) {
	inside, release := make(chan struct{}), make(chan struct{})
	var url string
	one := wrapServer(t, func(w http.ResponseWriter, _ *http.Request) {
		close(inside)
		<-release
		resp, err := http.Post(url+"/function/two/_/stage?plan=1", "", nil)
		if err != nil {
			t.Error(err)
			return
		}
		defer resp.Body.Close()
		_, _ = io.Copy(w, resp.Body)
	})
	g, err := New(Options{Routes: []Route{{Name: "one", Kind: Whole, Endpoint: one}, {Name: "two", Kind: Whole, Endpoint: wrapServer(t, named("two"))}}})
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	url = "http://" + l.Addr().String()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- g.Serve(ctx, l) }()
	answer := make(chan string, 1)
	go func() {
		_, body := do(t, "POST", url+"/function/one", "x", nil)
		answer <- body
	}()
	<-inside
	cancel()
	wait(t, func() bool { return g.draining.Load() })
	if resp, _ := do(t, "POST", url+"/function/two", "x", nil); resp.StatusCode != 503 {
		t.Errorf("a new request while draining: %d", resp.StatusCode)
	}
	close(release)
	if got := <-answer; got != "two /_/stage?plan=1" {
		t.Errorf("the request inside: %q", got)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
