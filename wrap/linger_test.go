package wrap

import (
	"net/http"
	"testing"
	"time"

	"github.com/chiron-faas/chiron/host"
	"github.com/chiron-faas/chiron/plan"
)

// TestLinger asks a wrap to end while a caller holds a connection: the next request
// on it is answered, and the answer asks the caller to close it.
func TestLinger(t *testing.T) {
	h := &fakeHost{handlers: map[string]func(host.Call) (host.Reply, error){"a": appendName("a")}}
	b := testBundle(t, sequence("A"), time.Second, 0, plan.Wrap{CPUs: 1, Processes: []plan.Process{pool1("A")}})
	s := serve(t, Options{Listen: "127.0.0.1:0", Linger: 3 * time.Second}, b, h.start)
	var only http.Protocols
	only.SetUnencryptedHTTP2(true)
	for name, client := range map[string]*http.Client{
		"HTTP/1.1": {Transport: &http.Transport{}},
		"HTTP/2":   {Transport: &http.Transport{Protocols: &only}},
	} {
		t.Cleanup(client.CloseIdleConnections)
		resp, err := client.Post("http://"+s.Addr().String()+"/", "text/plain", nil)
		if err != nil || resp.StatusCode != http.StatusOK || resp.Close {
			t.Fatalf("%s before: %v, %+v", name, err, resp)
		}
		_ = resp.Body.Close()
	}
	ended := make(chan error, 1)
	go func() { ended <- s.stop() }()
	eventually(t, "it lingers", s.leaving.Load)
	for range 2 {
		resp, err := http.Post("http://"+s.Addr().String()+"/", "text/plain", nil)
		if err != nil || resp.StatusCode != http.StatusOK || !resp.Close {
			t.Fatalf("while it lingers: %v, %+v", err, resp)
		}
		_ = resp.Body.Close()
	}
	two := &http.Client{Transport: &http.Transport{Protocols: &only}}
	t.Cleanup(two.CloseIdleConnections)
	resp, err := two.Post("http://"+s.Addr().String()+"/", "text/plain", nil)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("while it lingers, HTTP/2: %v, %+v", err, resp)
	}
	_ = resp.Body.Close()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// TestSharedCPUsAreNotPinned: a wrap that may run on more CPUs than it has shares
// them with others.
func TestSharedCPUsAreNotPinned(t *testing.T) {
	pinned := pool1("A")
	pinned.CPU = 0
	h := &fakeHost{}
	for _, c := range []struct {
		given []int
		has   int
		want  int
	}{
		{[]int{0}, 1, 0},
		{nil, 0, host.AnyCPU}, // this machine has more than none
		{[]int{3, 4}, 1, 3},   // somebody chose them
	} {
		b := testBundle(t, sequence("A"), time.Second, 0, plan.Wrap{CPUs: 1, Processes: []plan.Process{pinned}})
		b.plan.Wraps[0].CPUs = c.has
		a, err := newAgent(Options{Listen: "127.0.0.1:0", CPUs: c.given}.withDefaults(), b, h.start)
		if err != nil {
			t.Fatal(err)
		}
		if got := a.layout.processes[0].options.CPU; got != c.want {
			t.Errorf("CPUs %v of a wrap with %d: process on %d, want %d", c.given, c.has, got, c.want)
		}
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	}
}
