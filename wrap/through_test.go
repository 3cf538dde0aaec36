package wrap

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chiron-faas/chiron/host"
	"github.com/chiron-faas/chiron/plan"
)

// behindGateway serves a wrap under /function/two of a gateway that answers the
// first requests itself.
func behindGateway(t *testing.T, two string, first ...int) (base string, seen *atomic.Int64) {
	t.Helper()
	seen = &atomic.Int64{}
	proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: two})
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rest, ok := strings.CutPrefix(r.URL.Path, "/function/two")
		if !ok {
			t.Errorf("path %q", r.URL.Path)
		}
		if n := int(seen.Add(1)); n <= len(first) && first[n-1] != 0 {
			w.WriteHeader(first[n-1])
			_, _ = io.WriteString(w, "No endpoints available for: two.")
			return
		}
		r.URL.Path = rest
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	return s.URL + "/function/two", seen
}

// TestPeerBehindGateway: a call is made again only where the gateway says that no
// wrap has begun.
func TestPeerBehindGateway(t *testing.T) {
	var calls atomic.Int64
	h := &fakeHost{handlers: map[string]func(host.Call) (host.Reply, error){"a": echo, "b": func(c host.Call) (host.Reply, error) {
		calls.Add(1)
		return echo(c)
	}}}
	wraps := []plan.Wrap{{CPUs: 1, Processes: []plan.Process{pool1("A")}}, {CPUs: 1, Processes: []plan.Process{pool1("B")}}}
	two := serve(t, Options{Listen: "127.0.0.1:0"}, testBundle(t, sequence("A", "B"), time.Second, 1, wraps...), h.start)
	for _, c := range []struct {
		first      []int
		status     int
		begun, saw int64
	}{
		{nil, 200, 1, 1},
		{[]int{503, 429, 503}, 200, 1, 4},
		{[]int{502}, 500, 0, 1},
		{[]int{500}, 500, 0, 1},
		{[]int{504}, 500, 0, 1},
		{[]int{404}, 500, 0, 1},
	} {
		t.Run(fmt.Sprint(c.first), func(t *testing.T) {
			base, seen := behindGateway(t, two.Addr().String(), c.first...)
			one := serve(t, Options{Peers: map[string]string{"wrap-2": base}}, testBundle(t, sequence("A", "B"), time.Second, 0, wraps...), h.start)
			calls.Store(0)
			if a := one.do(t, "POST", "/", `"x"`); a.status != c.status {
				t.Errorf("%+v, want status %d", a, c.status)
			}
			if calls.Load() != c.begun || seen.Load() != c.saw {
				t.Errorf("the function began %d times and the gateway saw %d requests, want %d and %d", calls.Load(), seen.Load(), c.begun, c.saw)
			}
		})
	}
	// One that breaks off after it has the request is not asked again.
	var seen atomic.Int64
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		seen.Add(1)
		panic(http.ErrAbortHandler)
	}))
	defer s.Close()
	one := serve(t, Options{Peers: map[string]string{"wrap-2": s.URL}}, testBundle(t, sequence("A", "B"), time.Second, 0, wraps...), h.start)
	if a := one.do(t, "POST", "/", `"x"`); a.status != 500 || !strings.Contains(a.body, "gateway died") || seen.Load() != 1 {
		t.Errorf("%+v after %d requests", a, seen.Load())
	}
}

func TestLocate(t *testing.T) {
	type place struct{ network, address, host, prefix string }
	for address, want := range map[string]place{
		"http://gw:8080/function/w-2": {network: "tcp", address: "gw:8080", host: "gw:8080", prefix: "/function/w-2"},
		"http://w-2.openfaas-fn:8080": {network: "tcp", address: "w-2.openfaas-fn:8080", host: "w-2.openfaas-fn:8080"},
		"http://gw/function/w-2/":     {network: "tcp", address: "gw:80", host: "gw", prefix: "/function/w-2"},
		"http://[::1]:81/x":           {network: "tcp", address: "[::1]:81", host: "[::1]:81", prefix: "/x"},
		"127.0.0.1:9":                 {network: "tcp", address: "127.0.0.1:9"},
	} {
		var p peer
		http1, err := p.locate(address)
		if got := (place{p.network, p.address, p.host, p.prefix}); err != nil || got != want || http1 != (want.host != "") {
			t.Errorf("%s: %+v, %v, want %+v", address, got, err, want)
		}
	}
	for _, address := range []string{"http://", "http://u:p@gw/x", "http://gw/x?y", "https://gw/x", "gw"} {
		if _, err := new(peer).locate(address); err == nil {
			t.Errorf("%s is taken", address)
		}
	}
}

// TestEnvironment: what is given to all functions comes before their own.
func TestEnvironment(t *testing.T) {
	own := map[string]string{"A": "own", "B": "own"}
	if got := without(own, []string{"A=given", "C=given"}); len(got) != 1 || got["B"] != "own" || own["A"] != "own" {
		t.Errorf("%v", got)
	}
}

// TestKeptConnections: one to another machine is not used after maxKept.
func TestKeptConnections(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	p := peer{network: "tcp", address: l.Addr().String()}
	defer p.close()
	c, err := p.conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	p.keep(c)
	again, err := p.conn(t.Context())
	if err != nil || again != c {
		t.Errorf("a fresh connection was not used again: %v", err)
	}
	p.keep(c)
	c.used = time.Now().Add(-2 * maxKept)
	if other, err := p.conn(t.Context()); err != nil || other == c {
		t.Errorf("an old connection was used again: %v", err)
	} else {
		_ = other.Close()
	}
}
