package host_test

import (
	"context"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chiron-faas/chiron/host"
)

// These tests wait for processes more than they compute.
func TestMain(m *testing.M) {
	flag.Parse()
	if f := flag.Lookup("test.parallel"); f.Value.String() == f.DefValue {
		_ = flag.Set("test.parallel", strconv.Itoa(2*runtime.NumCPU())) // a number: it cannot fail
	}
	os.Exit(m.Run())
}

// program is the host program in the source tree: what is tested is what is
// embedded (TestProgram compares).
func program(tb testing.TB) string {
	tb.Helper()
	dir, err := filepath.Abs("python")
	if err != nil {
		tb.Fatal(err)
	}
	return dir
}

// installed asks each interpreter of this machine once who it is: through a
// version manager's shims that takes half a second.
var installed = sync.OnceValues(func() ([]host.Interpreter, error) {
	return host.Interpreters(context.Background())
})

func interpreters(tb testing.TB) []host.Interpreter {
	tb.Helper()
	all, err := installed()
	if err != nil {
		tb.Fatal(err)
	}
	if len(all) == 0 {
		tb.Fatal("this machine has no python3: apt-get install python3")
	}
	return all
}

func interpreter(tb testing.TB) string {
	tb.Helper()
	return interpreters(tb)[0].Path
}

// source is one function's code by file name; handler.py is the handler.
type source map[string]string

// specOf writes functions into a fresh folder.
func specOf(tb testing.TB, functions map[string]source) host.Spec {
	tb.Helper()
	dir := tb.TempDir()
	spec := host.Spec{Dir: dir, Program: program(tb), Interpreter: interpreter(tb)}
	for _, name := range slices.Sorted(maps.Keys(functions)) {
		files := functions[name]
		for file, code := range files {
			path := filepath.Join(dir, "functions", name, file)
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				tb.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(code), 0o644); err != nil {
				tb.Fatal(err)
			}
		}
		spec.Functions = append(spec.Functions, host.Function{Name: name, File: filepath.Join("functions", name, "handler.py")})
	}
	return spec
}

func start(tb testing.TB, spec host.Spec) *host.Zygote {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	z, err := host.Start(ctx, spec)
	if err != nil {
		tb.Fatalf("Start: %v", err)
	}
	tb.Cleanup(func() {
		z.Close()
		if alive(z.Pid()) {
			tb.Errorf("zygote %d lives on after Close", z.Pid())
		}
	})
	return z
}

func spawn(tb testing.TB, z *host.Zygote, o host.WorkerOptions) *host.Worker {
	tb.Helper()
	w, err := z.Spawn(context.Background(), o)
	if err != nil {
		tb.Fatalf("Spawn: %v", err)
	}
	return w
}

func anyCPU(lanes int) host.WorkerOptions {
	return host.WorkerOptions{CPU: host.AnyCPU, Lanes: lanes}
}

func call(tb testing.TB, w *host.Worker, function, body string) string {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	r, err := w.Call(ctx, host.Call{Function: function, Body: []byte(body), RequestID: "r-1"})
	if err != nil {
		tb.Fatalf("call of %s: %v", function, err)
	}
	return string(r.Body)
}

// logs collects what functions print.
type logs struct {
	mu    sync.Mutex
	lines []host.LogLine
}

func (l *logs) add(line host.LogLine) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, line)
}

// of returns the texts of one stream and request, in order.
func (l *logs) of(stream, request string) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var texts []string
	for _, line := range l.lines {
		if line.Stream == stream && line.RequestID == request {
			texts = append(texts, line.Text)
		}
	}
	return texts
}

// bytes counts what of tells, without line ends.
func (l *logs) bytes(stream, request string) (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, line := range l.lines {
		if line.Stream == stream && line.RequestID == request {
			n += len(line.Text)
		}
	}
	return n
}

// alive tells whether a process is there and not a zombie.
func alive(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, rest, _ := strings.Cut(string(stat[strings.LastIndexByte(string(stat), ')'):]), " ")
	return !strings.HasPrefix(rest, "Z") && !strings.HasPrefix(rest, "X")
}

// eventually waits for what other processes do.
func eventually(tb testing.TB, what string, is func() bool) {
	tb.Helper()
	for end := time.Now().Add(10 * time.Second); !is(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			tb.Fatalf("after ten seconds: not %s", what)
		}
	}
}

// ended waits until a worker has, and returns why.
func ended(tb testing.TB, w *host.Worker) error {
	tb.Helper()
	select {
	case <-w.Done():
		return w.Err()
	case <-time.After(10 * time.Second):
		tb.Fatal("the worker lives on after ten seconds")
		return nil
	}
}

func number(tb testing.TB, text string) int {
	tb.Helper()
	n, err := strconv.Atoi(text)
	if err != nil {
		tb.Fatal(err)
	}
	return n
}

// descriptors counts a process's open ones.
func descriptors(tb testing.TB, pid int) int {
	tb.Helper()
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil {
		tb.Fatal(err)
	}
	return len(entries)
}
