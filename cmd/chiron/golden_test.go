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

// golden compares got with testdata/name.
func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("%v: go test ./cmd/chiron -update writes it", err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got; -update writes it anew):\n%s", file, diff)
	}
}

// fits fails for every line that is wider than the width that all output keeps.
func fits(t *testing.T, text string) {
	t.Helper()
	for line := range strings.Lines(text) {
		if n := utf8.RuneCountInString(strings.TrimRight(line, "\n")); n > width {
			t.Errorf("%d characters wide, over %d: %q", n, width, line)
		}
	}
}

// result of running the program.
type result struct {
	code     int
	out, err string
}

// noAgent is a file that is not there: nothing here comes to start a wrap.
func noAgent(*app) (string, error) { return "/no/such/chiron-agent", nil }

// chiron runs the program in this process, as from a pipe: no terminal.
func chiron(t *testing.T, args ...string) result {
	t.Helper()
	return chironWith(t, noAgent, args...)
}

func chironWith(t *testing.T, agent func(*app) (string, error), args ...string) result {
	t.Helper()
	var out, err bytes.Buffer
	a := &app{in: strings.NewReader(""), out: &out, err: &err, env: func(string) string { return "" }, agent: agent}
	code := run(t.Context(), a, args)
	return result{code: code, out: out.String(), err: err.String()}
}
