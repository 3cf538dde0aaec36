package host_test

import (
	"os"
	"path/filepath"
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
			if err := os.WriteFile(filepath.Join(dir, "template.py"), []byte("{{ name }} = {% x %}\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := host.Compile(t.Context(), python.Path, dir, "host"); err != nil {
				t.Fatal(err)
			}
			made, err := filepath.Glob(filepath.Join(dir, "*", "__pycache__", "*.pyc"))
			if err != nil || len(made) < 10 {
				t.Errorf("compiled %q, %v", made, err)
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
	wrong := filepath.Join(t.TempDir(), "python")
	if err := os.WriteFile(wrong, []byte("#!/bin/sh\necho no such module >&2\nexit 1\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := host.Compile(t.Context(), wrong, t.TempDir(), "host"); err == nil {
		t.Error("an interpreter without compileall compiled")
	}
}
