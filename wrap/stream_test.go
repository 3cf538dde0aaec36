package wrap

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chiron-faas/chiron/host"
	"github.com/chiron-faas/chiron/plan"
)

// countingListener counts the connections that it has accepted.
type countingListener struct {
	net.Listener
	accepted atomic.Int64
}

func (l *countingListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err == nil {
		l.accepted.Add(1)
	}
	return c, err
}

// twoMachines is a workflow whose second task is in a wrap with a TCP address.
func twoMachines(t *testing.T, b func(host.Call) (host.Reply, error)) (one, two *served) {
	h := &fakeHost{handlers: map[string]func(host.Call) (host.Reply, error){"a": echo, "b": b}}
	wraps := []plan.Wrap{{CPUs: 1, Processes: []plan.Process{pool1("A")}}, {CPUs: 1, Processes: []plan.Process{pool1("B")}}}
	two = serve(t, Options{Listen: "127.0.0.1:0"}, testBundle(t, sequence("A", "B"), time.Minute, 1, wraps...), h.start)
	one = serve(t, Options{Peers: map[string]string{"wrap-2": two.Addr().String()}, Concurrency: 64},
		testBundle(t, sequence("A", "B"), time.Minute, 0, wraps...), h.start)
	return one, two
}

// Requests that are in a wrap on another machine at the same time share one
// connection; HTTP/1.1 is spoken with who speaks it.
func TestStreamsShareAConnection(t *testing.T) {
	var inside, protocols sync.WaitGroup
	inside.Add(16)
	h := &fakeHost{handlers: map[string]func(host.Call) (host.Reply, error){"a": echo, "b": func(c host.Call) (host.Reply, error) {
		if string(c.Body) == "all" {
			inside.Done()
			inside.Wait() // all are inside
		}
		return host.Reply{Body: c.Body}, nil
	}}}
	wraps := []plan.Wrap{{CPUs: 1, Processes: []plan.Process{pool1("A")}}, {CPUs: 1, Processes: []plan.Process{pool1("B")}}}
	agent, err := newAgent(Options{Listen: "127.0.0.1:0"}.withDefaults(), testBundle(t, sequence("A", "B"), time.Minute, 1, wraps...), h.start)
	if err != nil {
		t.Fatal(err)
	}
	listener := &countingListener{Listener: agent.listener}
	agent.listener = listener
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- agent.Serve(ctx) }()
	defer func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()
	one := serve(t, Options{Peers: map[string]string{"wrap-2": listener.Addr().String()}, Concurrency: 64},
		testBundle(t, sequence("A", "B"), time.Minute, 0, wraps...), h.start)
	one.post(t, "first", "first")
	for range 16 {
		protocols.Go(func() {
			if a, err := one.try("POST", "/", "all"); err != nil || a.body != "all" {
				t.Errorf("%v %+v", err, a)
			}
		})
	}
	protocols.Wait()
	if n := listener.accepted.Load(); n != 1 {
		t.Errorf("%d connections, want 1", n)
	}
	resp, err := http.Post("http://"+listener.Addr().String()+"/function/b", "text/plain", strings.NewReader("x"))
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if err != nil || resp.ProtoMajor != 1 || string(body) != "x" {
		t.Errorf("HTTP/1.1: %s %q, %v", resp.Proto, body, err)
	}
	http.DefaultClient.CloseIdleConnections()
}

// Who leaves the first wrap ends what it waits for in the second, and only that.
func TestStreamIsCancelled(t *testing.T) {
	ended := make(chan struct{})
	inside := make(chan struct{})
	one, two := twoMachines(t, func(c host.Call) (host.Reply, error) {
		if string(c.Body) == "slow" {
			close(inside)
			<-ended
		}
		return host.Reply{Body: c.Body}, nil
	})
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-inside
		cancel()
	}()
	req, err := http.NewRequestWithContext(ctx, "POST", one.url+"/", strings.NewReader("slow"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := one.client.Do(req); err == nil {
		t.Error("an answer")
	}
	eventually(t, "nothing is inside the first", func() bool { return one.stats().InFlight == 0 })
	one.post(t, "x", "x")
	close(ended)
	if err := two.stop(); err != nil {
		t.Error(err)
	}
	a := one.do(t, "POST", "/", "x")
	if a.status != 500 || !strings.Contains(a.body, `wrap \"wrap-2\" cannot be reached`) {
		t.Errorf("%+v", a)
	}
}

// A connection that is cut in a request is that request's failure.
func TestStreamBreaks(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = c.Read(make([]byte, 1))
			_ = c.Close()
		}
	}()
	h := &fakeHost{handlers: map[string]func(host.Call) (host.Reply, error){"a": echo, "b": echo}}
	wraps := []plan.Wrap{{CPUs: 1, Processes: []plan.Process{pool1("A")}}, {CPUs: 1, Processes: []plan.Process{pool1("B")}}}
	one := serve(t, Options{Peers: map[string]string{"wrap-2": l.Addr().String()}}, testBundle(t, sequence("A", "B"), time.Minute, 0, wraps...), h.start)
	a := one.do(t, "POST", "/", "x")
	if a.status != 500 || !strings.Contains(a.body, `wrap \"wrap-2\" died or closed the connection before it answered`) {
		t.Errorf("%+v", a)
	}
}
