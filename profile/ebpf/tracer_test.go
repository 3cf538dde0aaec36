package ebpf

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/chiron-faas/chiron/internal/quantile"
	"github.com/chiron-faas/chiron/profile"
)

// server runs a handler for every line that it reads, and says when it began,
// how long it took and what the handler has to say.
const server = `
import sys, json, time
from time import perf_counter, thread_time
names = {}
exec(compile(open(sys.argv[1]).read(), "handler", "exec"), names)
handle = names["handle"]
for line in sys.stdin:
    start, cpu = perf_counter(), thread_time()
    says = handle()
    cpu, run = thread_time() - cpu, perf_counter() - start
    print(json.dumps({"start": start, "run": run, "cpu": cpu, "says": says}), flush=True)
`

// python is an interpreter that serves a handler.
type python struct {
	cmd   *exec.Cmd
	input *os.File
	lines *bufio.Scanner
	dir   string
}

type answer struct {
	Start, Run, CPU float64 // seconds
	Says            float64
}

func startPython(t *testing.T, interpreter, handler string) *python {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{"server.py": server, "handler.py": handler} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	in, input, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	p := &python{cmd: exec.Command(interpreter, "server.py", "handler.py"), input: input, dir: dir}
	p.cmd.Dir, p.cmd.Stdin, p.cmd.Stderr = dir, in, os.Stderr
	output, err := p.cmd.StdoutPipe()
	if err == nil {
		err = p.cmd.Start()
	}
	_ = in.Close()
	if err != nil {
		t.Fatal(err)
	}
	p.lines = bufio.NewScanner(output)
	t.Cleanup(func() {
		_ = input.Close()
		_ = p.cmd.Wait()
	})
	p.call(t) // it has started
	return p
}

func (p *python) target() profile.Target {
	return profile.Target{PID: p.cmd.Process.Pid, TID: p.cmd.Process.Pid, Dir: p.dir}
}

func (p *python) call(t *testing.T) answer {
	t.Helper()
	if _, err := p.input.WriteString("go\n"); err != nil {
		t.Fatal(err)
	}
	if !p.lines.Scan() {
		t.Fatalf("the interpreter ended: %v", p.lines.Err())
	}
	var a answer
	if err := json.Unmarshal(p.lines.Bytes(), &a); err != nil {
		t.Fatal(err)
	}
	return a
}

// traced makes all the calls of a trace, and returns with what was seen what
// the runs said, by pass.
func (p *python) traced(t *testing.T) (*profile.Observation, map[int][]answer) {
	t.Helper()
	started, err := Tracer{}.Start(t.Context(), p.target())
	if err != nil {
		t.Fatal(err)
	}
	defer started.Abort()
	tr := started.(*trace)
	var calls []profile.Call
	said := map[int][]answer{}
	for pass, runs := range tr.Passes() {
		if err := tr.Pass(t.Context(), pass); err != nil {
			t.Fatal(err)
		}
		for n := range runs + 1 {
			a := p.call(t)
			calls = append(calls, tr.callOf(a, n == 0, pass))
			if n > 0 {
				said[pass] = append(said[pass], a)
			}
		}
	}
	o, err := tr.Stop(t.Context(), calls, profile.Untraced{})
	if err != nil {
		t.Fatal(err)
	}
	return o, said
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

func (t *trace) callOf(a answer, cold bool, pass int) profile.Call {
	return profile.Call{
		Start: t.clock.at.Add(seconds(a.Start) - time.Duration(t.clock.then)),
		Run:   seconds(a.Run), CPU: seconds(a.CPU), Cold: cold, Pass: pass,
	}
}

// permitted skips a test where the kernel does not take the programs.
func permitted(t *testing.T) {
	t.Helper()
	if err := (Tracer{}).Available(t.Context()); err != nil {
		t.Skip(err)
	}
}

// interpreters are all of this machine: they name their lock's functions in
// different places.
func interpreters(t *testing.T) []string {
	t.Helper()
	// 3.7 and newer: what the test's server, and the host, need.
	found, err := filepath.Glob(os.ExpandEnv("$HOME/.pyenv/versions/3.[17-9]*/bin/python3"))
	if err != nil {
		t.Fatal(err)
	}
	if path, err := exec.LookPath("/usr/bin/python3"); err == nil {
		found = append(found, path)
	}
	if path, err := exec.LookPath("python3"); err == nil && len(found) == 0 {
		found = append(found, path)
	}
	if len(found) == 0 {
		t.Skip("there is no Python here")
	}
	return found
}

// mixed computes, sleeps, hashes without the lock, writes to the disk. It says
// which share of its time on a CPU it hashed: of work, not of time, so that a
// machine that becomes slower meanwhile changes both.
const mixed = `
import hashlib, os, time
def spin(n):
    x = 0
    for i in range(n): x += i * i
def handle():
    begin = time.thread_time()
    spin(30000)
    time.sleep(0.005)
    spin(30000)
    hashing = time.thread_time()
    hashlib.pbkdf2_hmac("sha256", b"x", b"y", 15000)
    hashing = time.thread_time() - hashing
    with open("written", "wb") as f:
        f.write(b"x" * 100000)
        f.flush()
        os.fsync(f.fileno())
    return hashing / (time.thread_time() - begin)
`

func TestRealInterpreters(t *testing.T) {
	permitted(t)
	for _, interpreter := range interpreters(t) {
		t.Run(interpreter, func(t *testing.T) {
			p := startPython(t, interpreter, mixed)
			o, said := p.traced(t)
			if len(o.Runs) == 0 || !o.Complete {
				t.Fatalf("no runs: %+v", o)
			}
			if diff := cmp.Diff([]string{filepath.Join(p.dir, "written")}, o.Files); diff != "" {
				t.Errorf("files: %s", diff)
			}
			// In most runs: what interrupts one may cut a period in two short ones.
			inOrder, last := 0, []string(nil)
			for _, run := range o.Runs {
				var long []string
				for _, s := range run {
					if s.Took > 500*us && s.Class != profile.Block || s.Took > 3*ms {
						long = append(long, strings.TrimSpace(string(s.Class)+" "+s.Cause))
					}
				}
				// A disk may be slow or not, and pages of 100 kB are work of their own.
				if len(long) >= 4 && slices.Equal(long[:2], []string{"cpu", "block " + sleepCall(run)}) &&
					slices.Equal(long[2:4], []string{"cpu", "native"}) {
					inOrder++
				} else {
					last = long
				}
			}
			if 2*inOrder <= len(o.Runs) {
				t.Errorf("in order in %d of %d runs, in the last of the others: %v", inOrder, len(o.Runs), last)
			}
			var shares []float64
			for _, run := range o.Runs {
				var longest, all time.Duration
				for _, s := range run {
					if s.Class == profile.Native {
						longest = max(longest, s.Took)
					}
					if s.Class != profile.Block {
						all += s.Took
					}
				}
				shares = append(shares, float64(longest)/float64(all-o.Held))
			}
			var own []float64
			for _, a := range said[passNear] { // whose division it is
				own = append(own, a.Says)
			}
			if got, want := quantile.Median(shares), quantile.Median(own); math.Abs(got-want) > 0.06 {
				t.Errorf("native for %.3f of its time on a CPU, its own clock says %.3f", got, want)
			}
		})
	}
}

// sleepCall is what this Python sleeps with.
func sleepCall(run []profile.Segment) string {
	for _, s := range run {
		if s.Class == profile.Block && (s.Cause == "clock_nanosleep" || s.Cause == "select" || s.Cause == "pselect6") {
			return s.Cause
		}
	}
	return "of a sleep"
}

// Work in the kernel without the lock is native, neither cpu nor a block: the
// thread is on a CPU all the time.
func TestPageCacheIsNative(t *testing.T) {
	permitted(t)
	p := startPython(t, interpreters(t)[0], `
import os, time
data = b"x" * (8 << 20)
def handle():
    begin = time.thread_time()
    fd = os.open("cached", os.O_WRONLY | os.O_CREAT)
    os.write(fd, data)
    took = time.thread_time() - begin
    os.close(fd)
    return took
`)
	o, said := p.traced(t)
	var native, blocked, all time.Duration
	for _, s := range o.Runs[0] {
		all += s.Took
		switch s.Class {
		case profile.Native:
			native += s.Took
		case profile.Block:
			blocked += s.Took
		}
	}
	if native < all/2 {
		t.Errorf("native for %v and blocked for %v of %v; its own clock says %v: %v", native, blocked, all, said[passLight][0].Says, o.Runs[0])
	}
}

// Many small releases: their sum is right though none is a segment.
func TestSmallReleases(t *testing.T) {
	permitted(t)
	p := startPython(t, interpreters(t)[0], `
import os
fd = os.open("/dev/zero", os.O_RDONLY)
def handle():
    for _ in range(2000): os.read(fd, 4096)
`)
	o, said := p.traced(t)
	if len(o.Runs) == 0 {
		t.Fatalf("no runs: %q", o.Notes)
	}
	var native, all time.Duration
	for _, s := range o.Runs[0] {
		all += s.Took
		if s.Class == profile.Native {
			native += s.Took
		}
	}
	if n := len(o.Runs[0]); n > maxSegments {
		t.Errorf("%d segments", n)
	}
	// Of all runs: a machine that becomes faster does so between two of them.
	var traced, runs []time.Duration
	for _, run := range o.Runs {
		var sum time.Duration
		for _, s := range run {
			sum += s.Took
		}
		traced = append(traced, sum)
	}
	for _, a := range said[passLight] {
		runs = append(runs, seconds(a.CPU))
	}
	got, want := quantile.Median(traced), quantile.Median(runs)
	if (got - want).Abs() > want/4 {
		t.Errorf("it takes %v, its clock says %v", got, want)
	}
	if native < all/10 || native > all*9/10 {
		t.Errorf("native for %v of %v", native, all)
	}
	t.Logf("native for %v of %v", native, all)
}

// What more work without the lock takes is native, whole: the same number of
// reads, of more bytes. The median of three: a machine that changes its speed between
// two passes of a trace makes one of them wrong.
func TestNativeGrowsWithTheWork(t *testing.T) {
	permitted(t)
	var parts []float64
	for range 3 {
		native0, cpu0 := nativeOfReads(t, 1)
		native1, cpu1 := nativeOfReads(t, 65536)
		parts = append(parts, float64(native1-native0)/float64(cpu1-cpu0))
	}
	if part := quantile.Median(parts); part < 0.7 || part > 1.3 {
		t.Errorf("%.2f of the time that more work takes is native; of each of three: %.2f", part, parts)
	}
}

// nativeOfReads traces 2000 reads of a size, bytes: the native time and the thread's
// own CPU time, medians of the runs.
func nativeOfReads(t *testing.T, size int) (native, cpu time.Duration) {
	t.Helper()
	p := startPython(t, interpreters(t)[0], fmt.Sprintf(`
import os
fd = os.open("/dev/zero", os.O_RDONLY)
into = [bytearray(%d)]
def handle():
    for _ in range(2000): os.readv(fd, into)
`, size))
	o, said := p.traced(t)
	if len(o.Runs) == 0 {
		t.Fatalf("no runs: %q", o.Notes)
	}
	var natives, cpus []time.Duration
	for _, run := range o.Runs {
		var sum time.Duration
		for _, s := range run {
			if s.Class == profile.Native {
				sum += s.Took
			}
		}
		natives = append(natives, sum)
	}
	for _, a := range said[passLight] {
		cpus = append(cpus, seconds(a.CPU))
	}
	return quantile.Median(natives), quantile.Median(cpus)
}

// Two threads compute: the lock changes hands by force, and waiting for it is
// off the CPU but no time with the lock.
func TestForcedSwitches(t *testing.T) {
	permitted(t)
	p := startPython(t, interpreters(t)[0], `
import threading, time
def spin(seconds):
    end = time.thread_time() + seconds
    while time.thread_time() < end: pass
def handle():
    other = threading.Thread(target=spin, args=(0.04,))
    other.start()
    spin(0.02)
    other.join()
`)
	o, _ := p.traced(t)
	if len(o.Runs) == 0 {
		t.Fatalf("no runs: %q", o.Notes)
	}
	// On a busy machine a switch of the lock's pass may lie elsewhere than that of
	// the times' pass: most runs must be right, as profiles take the commonest.
	right := 0
	for _, run := range o.Runs {
		var waited, native, cpu time.Duration
		for _, s := range run {
			switch s.Class {
			case profile.Block:
				waited += s.Took
				if s.Cause != "futex" {
					t.Errorf("waited for %q", s.Cause)
				}
			case profile.Native:
				native += s.Took
			case profile.CPU:
				cpu += s.Took
			}
		}
		if waited >= 15*ms && cpu >= 15*ms && native <= 5*ms {
			right++
		} else {
			t.Logf("waited for %v, cpu %v, native %v: %v", waited, cpu, native, run)
		}
	}
	if right*2 <= len(o.Runs) || o.Held > 5*ms {
		t.Errorf("%d of %d runs are right, held off the CPU %v", right, len(o.Runs), o.Held)
	}
}

func TestSocketsAndChildren(t *testing.T) {
	permitted(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	p := startPython(t, interpreters(t)[0], fmt.Sprintf(`
import os, socket
home = os.getcwd()
def handle():
    s = socket.create_connection(("127.0.0.1", %d))
    s.close()
    child = os.fork()
    if not child:
        os.chdir("/")
        open(os.path.join(home, "child"), "w").close()
        os._exit(0)
    os.waitpid(child, 0)
    os.makedirs("sub", exist_ok=True)
    os.rename("child", "sub/moved")
`, listener.Addr().(*net.TCPAddr).Port))
	o, _ := p.traced(t)
	if diff := cmp.Diff([]string{"connect tcp " + listener.Addr().String()}, o.Sockets); diff != "" {
		t.Error(diff)
	}
	want := []string{filepath.Join(p.dir, "child"), filepath.Join(p.dir, "sub/moved")}
	if diff := cmp.Diff(want, o.Files); diff != "" {
		t.Error(diff)
	}
}

// A process that ends while it is traced leaves an error or what was seen, and
// nothing in the kernel.
func TestProcessEnds(t *testing.T) {
	permitted(t)
	before := open(t)
	p := startPython(t, interpreters(t)[0], "def handle(): pass\n")
	tr, err := Tracer{}.Start(t.Context(), p.target())
	if err != nil {
		t.Fatal(err)
	}
	defer tr.Abort()
	if err := tr.(*trace).Pass(t.Context(), passNear); err != nil {
		t.Fatal(err)
	}
	a := p.call(t)
	if err := p.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = p.cmd.Wait()
	if err := tr.(*trace).Pass(t.Context(), passLight); err != nil {
		t.Errorf("the next pass: %v", err)
	}
	if _, err := tr.Stop(t.Context(), []profile.Call{tr.(*trace).callOf(a, false, passLight)}, profile.Untraced{}); err != nil {
		t.Errorf("what was seen before the end: %v", err)
	}
	if err := tr.(*trace).Pass(t.Context(), passNear); err == nil {
		t.Error("a pass after the end began")
	}
	tr.Abort()
	if _, err := (Tracer{}).Start(t.Context(), p.target()); err == nil {
		t.Error("a process that has ended is traced")
	}
	_ = p.input.Close()
	if after := open(t); after > before {
		t.Errorf("%d descriptors are open, %d before", after, before)
	}
}

// open counts our descriptors: programs, maps, links and events are all that.
func open(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	kernels := 0
	for _, e := range entries {
		link, err := os.Readlink("/proc/self/fd/" + e.Name())
		if err == nil && (strings.Contains(link, "bpf") || strings.Contains(link, "perf_event")) {
			kernels++
		}
	}
	return kernels
}

func TestNothingIsLeft(t *testing.T) {
	permitted(t)
	p := startPython(t, interpreters(t)[0], "def handle(): pass\n")
	goroutines := runtime.NumGoroutine()
	for range 3 {
		o, _ := p.traced(t)
		if len(o.Runs) == 0 {
			t.Errorf("no runs: %q", o.Notes)
		}
		tr, err := Tracer{}.Start(t.Context(), p.target())
		if err != nil {
			t.Fatal(err)
		}
		if n := open(t); n == 0 {
			t.Error("nothing is open while it watches: the test looks for the wrong thing")
		}
		tr.Abort()
		tr.Abort()
		if n := open(t); n != 0 {
			t.Errorf("%d descriptors of programs, maps, links or events are left", n)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	tr, err := Tracer{}.Start(ctx, p.target())
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	if _, err := tr.Stop(ctx, []profile.Call{{}}, profile.Untraced{}); err == nil {
		t.Error("a trace was made sense of after it was cancelled")
	}
	if n := open(t); n != 0 {
		t.Errorf("%d descriptors are left", n)
	}
	p.call(t) // it lives on, without probes in it
	if n := runtime.NumGoroutine(); n > goroutines {
		t.Errorf("%d goroutines, %d before", n, goroutines)
	}
}

// What was lost is left out, with a note; all lost is an error.
func TestObserveLost(t *testing.T) {
	tr := &trace{kernel: &kernel{process: 1}, lock: cpython(), clock: clock{at: time.Unix(100, 0)}}
	call := func(at, took time.Duration, pass int) profile.Call {
		return profile.Call{Start: tr.clock.at.Add(at), Run: took, Pass: pass}
	}
	calls := []profile.Call{
		call(0, 5*ms, passNamed), call(10*ms, 5*ms, passNear), call(20*ms, 5*ms, passNear),
		call(30*ms, 5*ms, passLight), call(40*ms, 5*ms, passLight),
	}
	events := []event{
		at(9000, released), at(9100, takes), leaves(11000, unix.SYS_READ), at(12000, came),
		leaves(21000, unix.SYS_READ), at(22000, came), leaves(31000, unix.SYS_READ), at(32000, came), leaves(41000, unix.SYS_READ), at(42000, came),
	}
	for name, test := range map[string]struct {
		lost     probesLost
		overflow moment // 0: none
		runs     int
		note     string
		err      string
	}{
		"all there":         {probesLost{}, 0, 2, "", ""},
		"one near lost":     {probesLost{3, uint64(12 * ms), uint64(13 * ms)}, 0, 2, "1 of 4 traced runs", ""},
		"one light lost":    {probesLost{3, uint64(44 * ms), uint64(60 * ms)}, 0, 1, "1 of 4 traced runs", ""},
		"lost between":      {probesLost{3, uint64(26 * ms), uint64(29 * ms)}, 0, 2, "", ""},
		"near ones lost":    {probesLost{3, uint64(11 * ms), uint64(29 * ms)}, 0, 2, "no run with probes", ""},
		"lost from then on": {probesLost{}, moment(36 * ms), 1, "1 of 4 traced runs", ""},
		"all lost":          {probesLost{7, 0, uint64(100 * ms)}, 0, 0, "", "too many to keep (7 lost)"},
	} {
		t.Run(name, func(t *testing.T) {
			told := &seen{events: events, overflow: test.overflow > 0, since: test.overflow}
			o, err := tr.observe(told, test.lost, calls)
			if test.err != "" {
				if err == nil || !strings.Contains(err.Error(), test.err) {
					t.Errorf("got %v, want %q", err, test.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			notes := strings.Join(o.Notes, "\n")
			if len(o.Runs) != test.runs || !strings.Contains(notes, test.note) || test.note == "" && notes != "" {
				t.Errorf("%d runs, notes %q", len(o.Runs), notes)
			}
		})
	}
	if _, err := tr.observe(&seen{}, probesLost{}, nil); err == nil {
		t.Error("no calls were made sense of")
	}
	tr.lockErr = errNoInterpreter
	if o, err := tr.observe(&seen{events: events}, probesLost{}, calls); err != nil || len(o.Notes) == 0 || !strings.Contains(o.Notes[0], "native periods are not told") {
		t.Errorf("without a lock: %+v, %v", o, err)
	}
}

func TestSeenAdd(t *testing.T) {
	var s seen
	for _, size := range []int{0, 7, eventSize - 1, eventSize + 1, namedSize - 1} {
		if err := s.add(make([]byte, size)); err == nil {
			t.Errorf("a record of %d bytes was taken", size)
		}
	}
	raw := make([]byte, namedSize)
	raw[12] = byte(called)
	for i := lengthAt; i < namesAt; i++ {
		raw[i] = 0xff // a length beyond the record
	}
	if err := s.add(raw); err != nil || len(s.named) != 1 || len(s.named[0].names[0]) != nameSize {
		t.Errorf("got %v, %v", s.named, err)
	}
}
