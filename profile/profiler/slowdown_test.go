package profiler

import (
	"fmt"
	"io"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/chiron-faas/chiron/host"
	"github.com/chiron-faas/chiron/internal/quantile"
	"github.com/chiron-faas/chiron/profile"
	"github.com/chiron-faas/chiron/profile/ebpf"
	"github.com/chiron-faas/chiron/profile/portable"
)

// BenchmarkSlowdown says how much longer handlers take while they are traced:
// medians of calls, of each tracer and each of its passes, against those before
// and after that nobody traces. It wants a quiet machine:
//
//	go test -run '^$' -bench Slowdown -benchtime 1x ./profile/profiler
func BenchmarkSlowdown(b *testing.B) {
	echo := startEcho(b)
	handlers := map[string]string{
		"cpu":    "def fib(n):\n    return n if n < 2 else fib(n - 1) + fib(n - 2)\ndef handle(req):\n    fib(21)\n    return req\n",
		"pbkdf2": "import hashlib\ndef handle(req):\n    hashlib.pbkdf2_hmac('sha256', b'x', b'y', 15000)\n    return req\n",
		"disk": "import os\ndef handle(req):\n    for i in range(5):\n        with open('f%d' % i, 'wb') as f:\n" +
			"            f.write(b'x' * 100000)\n            os.fsync(f.fileno())\n    return req\n",
		"network": fmt.Sprintf("import socket\ndef handle(req):\n    for i in range(5):\n        s = socket.create_connection(('127.0.0.1', %d))\n"+
			"        s.sendall(b'x' * 1000)\n        s.recv(1000)\n        s.close()\n    return req\n", echo),
		"calls200":  "import os\ndef handle(req):\n    for i in range(100):\n        fd = os.open('/dev/null', os.O_RDONLY)\n        os.close(fd)\n    return req\n",
		"reads2000": "import os\nfd = os.open('/dev/zero', os.O_RDONLY)\ndef handle(req):\n    for i in range(2000):\n        os.read(fd, 100)\n    return req\n",
	}
	var names []string
	for name := range handlers {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		b.Run(name, func(b *testing.B) {
			s := newSlowdown(b, handlers[name])
			for b.Loop() {
				for range slowdownRounds {
					for _, tracer := range tracers() {
						if tracer.Name() != portable.Name && tracer.Available(b.Context()) == nil {
							s.round(b, tracer)
						}
					}
				}
			}
			b.ReportMetric(0, "ns/op")
			s.report(b)
		})
	}
}

// Rounds of a benchmark's handler, and calls in each of a kind.
const (
	slowdownRounds = 9
	slowdownCalls  = 20
)

// slowdown is one handler in the course of being compared.
type slowdown struct {
	session *session
	subject *subject
	plain   []float64            // ms
	factors map[string][]float64 // by tracer and pass, of each round
}

func newSlowdown(b *testing.B, code string) *slowdown {
	b.Helper()
	project := newProject(b, chain("F"), map[string]string{"f": code})
	s := &session{
		options: Options{Project: project, Budget: time.Hour, ImportTimeout: time.Minute}, dir: b.TempDir(),
		interpreters: map[[2]string]host.Interpreter{}, hosts: map[string]*functionHost{},
	}
	if err := s.prepare(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(s.close)
	h, err := s.hostOf(b.Context(), "f")
	if err != nil {
		b.Fatal(err)
	}
	m := &subject{session: s, host: h, state: project.Definition.Tasks()[0], input: []byte(`"in"`)}
	return &slowdown{session: s, subject: m, factors: map[string][]float64{}}
}

// round makes calls with a tracer, pass by pass, between calls without any, all
// in one process: two processes differ by more than a light pass costs.
func (s *slowdown) round(b *testing.B, tracer profile.Tracer) {
	b.Helper()
	worker, err := s.subject.host.worker(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	defer worker.Close()
	s.calls(b, worker, 0) // get warm
	// A machine that becomes faster or slower does so for both.
	between := func(name string, pass int, start func() (profile.Trace, error)) {
		before := s.calls(b, worker, 0)
		trace, err := start()
		if err != nil {
			b.Fatal(err)
		}
		defer trace.Abort()
		if several, ok := trace.(profile.Passes); ok {
			if err := several.Pass(b.Context(), pass); err != nil {
				b.Fatal(err)
			}
		}
		traced := s.calls(b, worker, pass)
		trace.Abort()
		plain := (before + s.calls(b, worker, 0)) / 2
		s.plain = append(s.plain, plain)
		s.factors[name] = append(s.factors[name], traced/plain)
	}
	target := profile.Target{PID: worker.Pid(), TID: worker.Pid(), Dir: s.session.workDir()}
	start := func() (profile.Trace, error) { return tracer.Start(b.Context(), target) }
	if tracer.Name() != ebpf.Name {
		between(tracer.Name(), 0, start)
		return
	}
	for pass, name := range []string{"ebpf-names", "ebpf-lock", "ebpf-times"} {
		between(name, pass, start)
	}
}

// calls returns the median in ms.
func (s *slowdown) calls(b *testing.B, w *host.Worker, pass int) float64 {
	b.Helper()
	made, err := s.subject.tracedPass(b.Context(), w, pass, slowdownCalls, 1)
	if err != nil {
		b.Fatal(err)
	}
	var took []float64
	for _, c := range made {
		if !c.Cold {
			took = append(took, float64(c.Run)/float64(time.Millisecond))
		}
	}
	return quantile.Median(took)
}

// report gives the medians of the rounds.
func (s *slowdown) report(b *testing.B) {
	b.Helper()
	b.ReportMetric(quantile.Median(s.plain), "plain-ms")
	for name, factors := range s.factors {
		b.ReportMetric(quantile.Median(factors), name+"-x")
	}
}

// startEcho is a server on this machine that sends back what it gets.
func startEcho(b *testing.B) int {
	b.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				_, _ = io.Copy(c, c) // until the client goes
			}()
		}
	}()
	return l.Addr().(*net.TCPAddr).Port
}
