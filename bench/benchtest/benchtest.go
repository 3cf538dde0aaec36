package benchtest

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/chiron-faas/chiron/workflow"
)

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
