package profiler

import (
	"net"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/chiron-faas/chiron/profile"
	"github.com/chiron-faas/chiron/profile/ebpf"

	"golang.org/x/sys/unix"
)

func TestShare(t *testing.T) {
	periods := []profile.Period{
		{Class: profile.CPU, Mean: 5 * ms},
		{Class: profile.Block, Cause: "recvfrom", Mean: 6 * ms},
		{Class: profile.Block, Cause: "clock_nanosleep", Mean: 9 * ms},
		{Class: profile.Block, Cause: "poll", Mean: 2 * ms},
	}
	for served, want := range map[time.Duration][]time.Duration{
		0:       {0, 0, 0, 0},
		4 * ms:  {0, 3 * ms, 0, ms},
		20 * ms: {0, 6 * ms, 0, 2 * ms}, // no more than they wait
	} {
		all := slices.Clone(periods)
		share(all, served)
		var got []time.Duration
		for _, p := range all {
			got = append(got, p.Served)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%v served: %v, want %v", served, got, want)
		}
	}
	share(periods[:1], ms) // nobody waits
}

// asks waits for what this test's server answers.
const asks = `
import socket

def handle(req):
    with socket.create_connection(("127.0.0.1", int(req.strip(chr(34))))) as s:
        return s.recv(10).decode()
`

// TestServedByThisMachine: what a server of this machine computes while a function
// waits for it is told from mere waiting.
func TestServedByThisMachine(t *testing.T) {
	available(t, ebpf.Name)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	const works, waits = 8 * ms, 8 * ms
	done := make(chan struct{})
	go func() { // until the listener is closed
		defer close(done)
		runtime.LockOSThread() // whose CPU time is counted
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			time.Sleep(waits)
			for begin := threadTime(t); threadTime(t)-begin < works; {
			}
			_, _ = c.Write([]byte("done"))
			_ = c.Close()
		}
	}()
	defer func() {
		_ = l.Close()
		<-done
	}()
	project := newProject(t, chain("Asks"), map[string]string{"asks": asks})
	_, port, _ := net.SplitHostPort(l.Addr().String())
	p, err := Run(t.Context(), Options{Project: project, Tracer: ebpf.Name, Runs: MinRuns, Input: []byte(`"` + port + `"`)})
	if err != nil {
		t.Fatal(err)
	}
	var served, blocked time.Duration
	for _, period := range p.Functions[0].Periods {
		served += period.Served
		if period.Class == profile.Block {
			blocked += period.Mean
		}
	}
	// What this process does besides is taken off, roughly.
	if served < works*8/10 || served > works*3/2 || served > blocked {
		t.Errorf("%v of %v that it waits is served, want %v and a little\n%v", served, blocked, works, p.Functions[0].Periods)
	}
}

func threadTime(t *testing.T) time.Duration {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &now); err != nil {
		t.Error(err)
	}
	return time.Duration(now.Nano())
}
