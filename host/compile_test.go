package host_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chiron-faas/chiron/host"
)

// TestCompile: what is no Python does not stand in the way of what is, the same
// bytes come of the same files wherever they are, and an interpreter that cannot
// compile is an error.
func TestCompile(t *testing.T) {
	for _, python := range interpreters(t) {
		var first map[string]string
		for range 2 {
			dir := t.TempDir()
			if err := host.WriteProgram(dir); err != nil {
				t.Fatal(err)
			}
			for name, text := range map[string]string{"template.py": "{{ name }} = {% x %}\n", "warns.py": "X = 1 is 1\nY = '\\d'\n"} {
				if err := os.WriteFile(filepath.Join(dir, "chiron_host", name), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if err := host.Compile(t.Context(), python.Path, dir, "host"); err != nil {
				t.Fatal(err)
			}
			made, err := filepath.Glob(filepath.Join(dir, "*", "__pycache__", "*.pyc"))
			sources, _ := filepath.Glob(filepath.Join(dir, "*", "*.py"))
			if err != nil || len(made) != len(sources)-1 || len(made) < 10 { // all but the template
				t.Errorf("compiled %q of %d, %v", made, len(sources), err)
			}
			again := make(map[string]string)
			for _, file := range made {
				data, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				again[filepath.Base(file)] = string(data)
			}
			for file, data := range first {
				if again[file] != data {
					t.Errorf("%s: %s differs in another folder", python.Version, file)
				}
			}
			first = again
		}
	}
	if err := host.Compile(t.Context(), "/bin/none", t.TempDir(), "host"); err == nil {
		t.Error("an interpreter that is not there compiled")
	}
	ended, end := context.WithCancelCause(t.Context())
	end(errors.New("enough"))
	if err := host.Compile(ended, interpreter(t), t.TempDir(), "host"); err == nil || err.Error() != "enough" {
		t.Errorf("compiled though its context has ended: %v", err)
	}
	wrong := filepath.Join(t.TempDir(), "python")
	if err := os.WriteFile(wrong, []byte("#!/bin/sh\necho no such module >&2\nexit 1\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := host.Compile(t.Context(), wrong, t.TempDir(), "host"); err == nil || !strings.HasSuffix(err.Error(), "no such module") {
		t.Errorf("an interpreter without py_compile: %v", err)
	}
}
