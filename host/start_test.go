package host_test

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chiron-faas/chiron/host"
)

func exists(path string) bool {
	_, err := os.Stat(path)
	return !errors.Is(err, fs.ErrNotExist)
}

func TestProgramIsWhatIsTested(t *testing.T) {
	dir := t.TempDir()
	for range 2 {
		if err := host.WriteProgram(dir); err != nil {
			t.Fatal(err)
		}
	}
	written, err := filepath.Glob(filepath.Join(dir, "chiron_host", "*"))
	if err != nil {
		t.Fatal(err)
	}
	sources, err := filepath.Glob(filepath.Join(program(t), "chiron_host", "*.py"))
	if err != nil || len(sources) != len(written) {
		t.Fatalf("%d files written of %d", len(written), len(sources))
	}
	for _, source := range sources {
		want, err := os.ReadFile(source)
		if err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(filepath.Join(dir, "chiron_host", filepath.Base(source)))
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s differs: %v", source, err)
		}
	}
	spec := specOf(t, served)
	spec.Program = dir
	z := start(t, spec)
	if got := call(t, spawn(t, z, anyCPU(1)), "text", "x"); got != "x" {
		t.Errorf("got %q", got)
	}
	if err := host.WriteProgram("/dev/null/x"); err == nil {
		t.Error("it was written into a device")
	}
}

// All functions that do not import are told, each with its reason.
func TestImportErrors(t *testing.T) {
	for _, i := range interpreters(t) {
		t.Run(i.Version, func(t *testing.T) {
			t.Parallel()
			spec := specOf(t, map[string]source{
				"syntax": {"handler.py": "def handle(req)\n    return 1\n"},
				"module": {"handler.py": "\nimport no_such_module\n"},
				"raises": {"handler.py": "import rules\n", "rules.py": "\n\nraise ValueError('at import')\n"},
				"exits":  {"handler.py": "import sys\nsys.exit(4)\n"},
				"symbol": {"handler.py": "x = 1\n"},
				"fine":   {"handler.py": "def handle(req):\n    return 1\n"},
			})
			spec.Interpreter = i.Path
			spec.Functions = append(spec.Functions, host.Function{Name: "missing", File: "functions/none.py"})
			_, err := host.Start(t.Context(), spec)
			if err == nil {
				t.Fatal("it started")
			}
			want := map[string][]string{
				"syntax":  {"SyntaxError: ", "handler.py:1)"},
				"module":  {"ModuleNotFoundError: No module named 'no_such_module'", "handler.py:2)"},
				"raises":  {"ValueError: at import", "rules.py:3)"},
				"exits":   {"SystemExit: the handler called sys.exit(4)", "handler.py:2)"},
				"symbol":  {"defines no function named handle or handler or lambda_handler"},
				"missing": {"none.py does not exist"},
			}
			joined, ok := err.(interface{ Unwrap() []error })
			if !ok {
				t.Fatalf("got %v", err)
			}
			for _, err := range joined.Unwrap() {
				var failed *host.ImportError
				if !errors.As(err, &failed) {
					t.Fatalf("got %v", err)
				}
				parts, ok := want[failed.Function]
				if !ok {
					t.Errorf("unexpected: %v", failed)
				}
				delete(want, failed.Function)
				for _, part := range parts {
					if !strings.Contains(failed.Message, part) {
						t.Errorf("%s: got %q, which does not say %q", failed.Function, failed.Message, part)
					}
				}
				if strings.Contains(failed.Error(), "\n") {
					t.Errorf("more than one line: %q", failed.Error())
				}
			}
			if len(want) > 0 {
				t.Errorf("not told: %v", want)
			}
		})
	}
}

func TestStartFails(t *testing.T) {
	good := func() host.Spec { return specOf(t, served) }
	script := func(text string) string {
		path := filepath.Join(t.TempDir(), "python")
		if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text), 0o700); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for name, test := range map[string]struct {
		spec func(*host.Spec)
		want string
	}{
		"relative":         {func(s *host.Spec) { s.Dir = "x" }, `Spec.Dir "x": want an absolute path`},
		"no functions":     {func(s *host.Spec) { s.Functions = nil }, "Spec.Functions is empty"},
		"twice":            {func(s *host.Spec) { s.Functions = append(s.Functions, s.Functions[0]) }, "is named twice"},
		"no name":          {func(s *host.Spec) { s.Functions[0].Name = "" }, "has no name"},
		"body limit":       {func(s *host.Spec) { s.MaxBody = -1 }, "Spec.MaxBody -1"},
		"environment":      {func(s *host.Spec) { s.Env = []string{"x"} }, `environment "x": want NAME=value`},
		"variable":         {func(s *host.Spec) { s.Functions[0].Env = map[string]string{"a=b": ""} }, "cannot be set"},
		"no interpreter":   {func(s *host.Spec) { s.Interpreter = "/no/such/python" }, "/no/such/python"},
		"ends":             {func(s *host.Spec) { s.Interpreter = script("echo 'no way' >&2; exit 3") }, "exit status 3: no way"},
		"says nothing":     {func(s *host.Spec) { s.Interpreter = script("exit 0") }, "ended while it started"},
		"no python at all": {func(s *host.Spec) { s.Interpreter = script("echo garbage >&3; sleep 0.2") }, "start host with"},
		"no program":       {func(s *host.Spec) { s.Program = s.Dir }, "__main__.py"},
		"work folder":      {func(s *host.Spec) { s.WorkDir = "/dev/null/x" }, "/dev/null"},
	} {
		t.Run(name, func(t *testing.T) {
			spec := good()
			test.spec(&spec)
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			z, err := host.Start(ctx, spec)
			if err == nil {
				z.Close()
				t.Fatal("it started")
			}
			if !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %q, want %q", err, test.want)
			}
		})
	}
}

func TestStartIsBounded(t *testing.T) {
	spec := specOf(t, map[string]source{"f": {"handler.py": "import time\ntime.sleep(60)\n"}})
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	begin := time.Now()
	_, err := host.Start(ctx, spec)
	var failed *host.StartError
	if !errors.Is(err, context.DeadlineExceeded) || !errors.As(err, &failed) || !strings.Contains(err.Error(), "importing the functions") {
		t.Errorf("got %v", err)
	}
	if took := time.Since(begin); took > 2*time.Second {
		t.Errorf("it took %v", took)
	}
}

// The environment is built from nothing; what functions disagree on each has
// for itself.
func TestEnvironment(t *testing.T) {
	t.Setenv("CHIRON_TEST_SECRET", "not for functions")
	code := source{"handler.py": `
import os
AT_IMPORT = os.getenv("REGION")
def handle(req):
    return [os.environ.get(n) for n in req.split()] + [AT_IMPORT]
`}
	spec := specOf(t, map[string]source{"a": code, "b": code, "c": code})
	for i, region := range []string{"north", "south", ""} {
		spec.Functions[i].Env = map[string]string{"SHARED": "same"}
		if region != "" {
			spec.Functions[i].Env["REGION"] = region
		}
	}
	spec.Env = []string{"GIVEN=a=b"}
	z := start(t, spec)
	w := spawn(t, z, anyCPU(1))
	const names = "REGION SHARED GIVEN CHIRON_TEST_SECRET LANG HOME"
	for function, region := range map[string]string{"a": `"north"`, "b": `"south"`, "c": "null"} {
		want := `[` + region + `,"same","a=b",null,"C.UTF-8","` + z.WorkDir() + `",` + region + `]`
		if got := call(t, w, function, names); got != want {
			t.Errorf("%s: got %s, want %s", function, got, want)
		}
	}
}

// Modules of one name in several functions, and requirements before all else.
func TestModules(t *testing.T) {
	for _, i := range interpreters(t) {
		t.Run(i.Version, func(t *testing.T) {
			t.Parallel()
			functions := map[string]source{}
			for _, name := range []string{"a", "b"} {
				functions[name] = source{
					"handler.py":     "import rules\nfrom lib.deep import NAME\nimport wave\ndef handle(req):\n    import late\n    return [rules.NAME, NAME, late.NAME, wave.WHOSE]\n",
					"rules.py":       "NAME = '" + name + " rules'\n",
					"late.py":        "from rules import NAME\n",
					"lib/deep.py":    "from rules import NAME\n",
					"lib/unused.txt": "",
				}
			}
			spec := specOf(t, functions)
			spec.Interpreter = i.Path
			site := filepath.Join(spec.Dir, "site")
			if err := os.MkdirAll(site, 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(site, "wave.py"), []byte("WHOSE = 'ours'\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			spec.SitePath = []string{site}
			w := spawn(t, start(t, spec), anyCPU(1))
			for _, name := range []string{"a", "b"} {
				n := name + " rules"
				if got, want := call(t, w, name, ""), `["`+n+`","`+n+`","`+n+`","ours"]`; got != want {
					t.Errorf("got %s, want %s", got, want)
				}
			}
			if left, _ := filepath.Glob(filepath.Join(spec.Dir, "functions", "*", "__pycache__")); len(left) > 0 {
				t.Errorf("bytecode was written into the bundle: %v", left)
			}
		})
	}
}

func TestThreadsAtImportAreTold(t *testing.T) {
	var log logs
	spec := specOf(t, map[string]source{
		"f": {"handler.py": "import threading, time\nthreading.Thread(target=time.sleep, args=(0.1,), daemon=True).start()\nprint('imported')\ndef handle(req): return req\n"},
	})
	spec.Log = log.add
	z := start(t, spec)
	if got := call(t, spawn(t, z, anyCPU(1)), "f", "x"); got != "x" {
		t.Errorf("got %q", got)
	}
	if !slices.ContainsFunc(log.of("stderr", ""), func(text string) bool { return strings.Contains(text, "started 1 thread(s)") }) {
		t.Errorf("got %q", log.of("stderr", ""))
	}
	eventually(t, "what was printed at import", func() bool { return slices.Contains(log.of("stdout", ""), "imported") })
}

// TestFindInterpreterCancelled: who gives up is told that, not of a process that was
// killed.
func TestFindInterpreterCancelled(t *testing.T) {
	slow := filepath.Join(t.TempDir(), "python3")
	started := slow + ".started"
	if err := os.WriteFile(slow, []byte("#!/bin/sh\n: > "+started+"\nexec sleep 60\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() {
		for ctx.Err() == nil {
			if _, err := os.Stat(started); err == nil {
				cancel()
			}
			time.Sleep(time.Millisecond)
		}
	}()
	if _, err := host.FindInterpreter(ctx, "python", slow); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want the context's error", err)
	}
}

func TestFindInterpreter(t *testing.T) {
	all := interpreters(t)
	for n, i := range all {
		minor := strings.Join(strings.Split(i.Version, ".")[:2], ".")
		runtimes := []string{minor}
		if n == 0 {
			runtimes = append(runtimes, i.Version, i.Path, "python"+minor)
		}
		for _, runtime := range runtimes {
			got, err := host.FindInterpreter(t.Context(), "python", runtime)
			if err != nil || !strings.HasPrefix(got.Version, minor+".") || !filepath.IsAbs(got.Path) {
				t.Errorf("%s: %+v, %v", runtime, got, err)
			}
		}
	}
	for _, test := range []struct{ lang, runtime, want string }{
		{"cobol", "", `no host for lang "cobol"`},
		{"python", "3.7", "needs Python 3.8 or newer"},
		{"python", "3.99", "this machine has no Python 3.99 (it has "},
		{"python", "/no/such", "no such file"},
		{"python", "/bin/true", "does not answer like a Python 3"},
		{"python", "python-of-mine", "no such command on PATH"},
	} {
		if _, err := host.FindInterpreter(t.Context(), test.lang, test.runtime); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s %s: got %v, want %q", test.lang, test.runtime, err, test.want)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := host.Interpreters(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

func TestNoInterpreter(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	t.Setenv("PYENV_ROOT", t.TempDir())
	if all, err := host.Interpreters(t.Context()); err != nil || len(all) != 0 {
		t.Errorf("got %v, %v", all, err)
	}
	_, err := host.FindInterpreter(t.Context(), "python", "")
	if err == nil || !strings.Contains(err.Error(), "apt-get install python3") {
		t.Errorf("got %v", err)
	}
}
