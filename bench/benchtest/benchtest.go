package benchtest

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/chiron-faas/chiron/workflow"
)

// Program builds chiron, whose "chiron wrap" runs the wraps.
func Program(t testing.TB) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "chiron")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", binary, "github.com/chiron-faas/chiron/cmd/chiron")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build chiron: %v\n%s", err, out)
	}
	return binary
}

// Project writes a project's files, content by name, and loads it.
func Project(t testing.TB, files map[string]string) *workflow.Project {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	p, err := workflow.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	return p
}
