package main

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write testdata anew from what is printed now")

func TestHelp(t *testing.T) {
	const width = 100 // of all output, as chiron's
	var out, errs bytes.Buffer
	if code := run(t.Context(), &out, &errs, []string{"--help"}); code != exitDone || errs.Len() > 0 {
		t.Errorf("exit code %d, standard error %q", code, &errs)
	}
	for line := range strings.Lines(out.String()) {
		if n := utf8.RuneCountInString(strings.TrimRight(line, "\n")); n > width {
			t.Errorf("%d characters wide, over %d: %q", n, width, line)
		}
	}
	file := filepath.Join("testdata", "help.txt")
	if *update {
		if err := os.WriteFile(file, out.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("%v: go test ./cmd/chiron-controller -update writes it", err)
	}
	if diff := cmp.Diff(string(want), out.String()); diff != "" {
		t.Errorf("%s (-want +got; -update writes it anew):\n%s", file, diff)
	}
}

// TestWrongUse: exit code 2 and one line that says what is wrong and where to read on.
func TestWrongUse(t *testing.T) {
	for _, c := range []struct{ args, want string }{
		{"now", `"now": no argument is taken`},
		{"--nonsense", "unknown flag: --nonsense"},
		{"--drain soon", "invalid argument"},
		{"--drain 0s", "positive durations"},
		{"--workers 0", "--workers 0"},
		{"--health 8081", "--health"},
		{"--metrics none", "HOST:PORT, or off"},
	} {
		t.Run(c.args, func(t *testing.T) {
			var out, errs bytes.Buffer
			if code := run(t.Context(), &out, &errs, strings.Fields(c.args)); code != exitUsage || out.Len() > 0 {
				t.Errorf("exit code %d, want %d; standard output %q", code, exitUsage, &out)
			}
			if got := errs.String(); !strings.Contains(got, c.want) || !strings.Contains(got, "; see: chiron-controller --help") || strings.Count(got, "\n") != 1 {
				t.Errorf("standard error: %q, want one line with %q and where to read on", got, c.want)
			}
		})
	}
}

// TestNoCluster: exit code 1, and the log's last line says why.
func TestNoCluster(t *testing.T) {
	t.Setenv("HOME", t.TempDir())
	t.Setenv("KUBECONFIG", "")
	t.Setenv("KUBERNETES_SERVICE_HOST", "")
	var out, errs bytes.Buffer
	if code := run(t.Context(), &out, &errs, []string{"--kubeconfig", filepath.Join(t.TempDir(), "none")}); code != exitFailed {
		t.Errorf("exit code %d", code)
	}
	if lines := strings.Split(strings.TrimSpace(errs.String()), "\n"); !strings.Contains(lines[len(lines)-1], `"level":"ERROR"`) || !strings.Contains(lines[len(lines)-1], "none") {
		t.Errorf("standard error: %q", &errs)
	}
}
