package main

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write testdata anew from what is printed now")

// result of running the program.
type result struct {
	code     int
	out, err string
}

// agent runs the program in this process.
func agent(t *testing.T, env map[string]string, args ...string) result {
	t.Helper()
	var out, err bytes.Buffer
	code := run(t.Context(), program{out: &out, err: &err, env: func(name string) string { return env[name] }}, args)
	return result{code: code, out: out.String(), err: err.String()}
}

func TestHelp(t *testing.T) {
	const width = 100 // of all output, as chiron's
	got := agent(t, nil, "--help")
	if got.code != exitDone || got.err != "" {
		t.Errorf("exit code %d, standard error %q", got.code, got.err)
	}
	for line := range strings.Lines(got.out) {
		if n := utf8.RuneCountInString(strings.TrimRight(line, "\n")); n > width {
			t.Errorf("%d characters wide, over %d: %q", n, width, line)
		}
	}
	file := filepath.Join("testdata", "help.txt")
	if *update {
		if err := os.WriteFile(file, []byte(got.out), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("%v: go test ./cmd/chiron-agent -update writes it", err)
	}
	if diff := cmp.Diff(string(want), got.out); diff != "" {
		t.Errorf("%s (-want +got; -update writes it anew):\n%s", file, diff)
	}
}

// TestWrongUse: exit code 2 and one line that says what is wrong and where to
// read on.
func TestWrongUse(t *testing.T) {
	for _, c := range []struct{ args, want string }{
		{"", "DIR is missing"},
		{". another", `"another" is one too many`},
		{". --nonsense", "unknown flag: --nonsense"},
		{". --grace soon", "invalid argument"},
		{".", "--listen is missing"},
		{". --listen :0 --plan /p", "--plan /p: name the wrap"},
		{". --listen :0 --wrap wrap-2", "--wrap wrap-2: name the folder"},
		{". --listen here", "neither unix:///PATH nor HOST:PORT"},
		{". --listen :0 --peer wrap-2", "NAME=ADDRESS"},
		{". --listen :0 --peer a=:1 --peer a=:2", "a is given twice"},
		{". --listen :0 --cpus 0,x", `"x" in "0,x"`},
		{". --listen :0 --concurrency -1", "--concurrency -1"},
		{". --listen :0 --max-body -1", "--max-body -1"},
		{". --listen :0 --data-limit -1", "--data-limit -1"},
	} {
		t.Run(c.args, func(t *testing.T) {
			got := agent(t, nil, strings.Fields(c.args)...)
			if got.code != exitUsage || got.out != "" {
				t.Errorf("exit code %d, want %d; standard output %q", got.code, exitUsage, got.out)
			}
			if !strings.Contains(got.err, c.want) || !strings.Contains(got.err, "; see: chiron-agent --help") || strings.Count(got.err, "\n") != 1 {
				t.Errorf("standard error: %q, want one line with %q and where to read on", got.err, c.want)
			}
		})
	}
}

// TestFailedWork: exit code 1, and the log's last line says why.
func TestFailedWork(t *testing.T) {
	got := agent(t, nil, t.TempDir(), "--listen", "127.0.0.1:0")
	if got.code != exitFailed || got.out != "" || !strings.Contains(got.err, `"level":"ERROR"`) {
		t.Errorf("exit code %d, %q, %q", got.code, got.out, got.err)
	}
}

// TestPlanFolder: the flags reach what reads the folder, whose fault is the log's
// last line.
func TestPlanFolder(t *testing.T) {
	dir := t.TempDir()
	manifest := `{"apiVersion":"chiron/v1","planID":"p","wrap":"wrap-1","lang":"python","functions":[{"name":"a","file":"functions/a/handler.py"}]}`
	if err := os.WriteFile(filepath.Join(dir, "wrap.json"), []byte(manifest), 0o644); err != nil {
		t.Fatal(err)
	}
	folder := filepath.Join(dir, "plan")
	got := agent(t, nil, dir, "--listen", "127.0.0.1:0", "--plan", folder, "--wrap", "wrap-2")
	if got.code != exitFailed || !strings.Contains(got.err, "there is no plan folder "+folder) || strings.Count(got.err, "\n") != 1 {
		t.Errorf("exit code %d, %q", got.code, got.err)
	}
	files := map[string]string{
		"plan.json":         `{"apiVersion":"chiron/v1","workflow":"w","model":"m","wraps":[{"name":"wrap-1","cpus":1,"processes":[{"mode":"pool","tasks":["A"]}]}]}`,
		"workflow.asl.json": `{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"a","End":true}}}`,
	}
	if err := os.Mkdir(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got = agent(t, nil, dir, "--listen", "127.0.0.1:0", "--plan", folder, "--wrap", "wrap-2")
	if got.code != exitFailed || !strings.Contains(got.err, `no wrap \"wrap-2\": choose one of wrap-1`) || strings.Count(got.err, "\n") != 1 {
		t.Errorf("exit code %d, %q", got.code, got.err)
	}
}

// TestPeersVariable: a container's environment may name the peers, flags go first.
func TestPeersVariable(t *testing.T) {
	env := map[string]string{peersVariable: "wrap-2=10.0.0.2:8080,wrap-3"}
	if got := agent(t, env, ".", "--listen", "127.0.0.1:0"); !strings.Contains(got.err, `peer "wrap-3" is not NAME=ADDRESS`) {
		t.Errorf("got %q", got.err)
	}
	if got := agent(t, env, t.TempDir(), "--listen", "127.0.0.1:0", "--peer", "wrap-2=127.0.0.1:1"); strings.Contains(got.err, "peer") {
		t.Errorf("got %q", got.err)
	}
}

func TestParseCPUs(t *testing.T) {
	for in, want := range map[string][]int{
		"": nil, "0": {0}, "0,2-4": {0, 2, 3, 4}, "3,1": {3, 1},
	} {
		got, err := parseCPUs(in)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%q: %v, %v", in, got, err)
		}
	}
	for _, in := range []string{",", "a", "-1", "3-1", "0,0", "1-2,2", "0-99999999", "1-", "1 "} {
		if got, err := parseCPUs(in); err == nil {
			t.Errorf("%q is read as %v", in, got)
		}
	}
}
