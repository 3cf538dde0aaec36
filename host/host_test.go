package host_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/chiron-faas/chiron/host"
)

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

func interpreter(tb testing.TB) string {
	tb.Helper()
	i, err := host.FindInterpreter(context.Background(), "python", os.Getenv("CHIRON_TEST_PYTHON"))
	if err != nil {
		tb.Skip(err)
	}
	return i.Path
}

// source is one function's code by file name; handler.py is the handler.
type source map[string]string

// specOf writes functions into a fresh folder.
func specOf(tb testing.TB, functions map[string]source) host.Spec {
	tb.Helper()
	dir := tb.TempDir()
	spec := host.Spec{Dir: dir, Program: program(tb), Interpreter: interpreter(tb)}
	for name, files := range functions {
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
	tb.Cleanup(z.Close)
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

func TestEcho(t *testing.T) {
	spec := specOf(t, map[string]source{
		"echo": {"handler.py": "def handle(req):\n    return req\n"},
	})
	z := start(t, spec)
	w := spawn(t, z, anyCPU(1))
	for range 3 {
		if got := call(t, w, "echo", "hello"); got != "hello" {
			t.Fatalf("got %q, want hello", got)
		}
	}
}
