package bundle

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/chiron-faas/chiron/host"
)

// TestByteCompile: what is no Python does not stand in the way of what is, and an
// interpreter that cannot compile is an error.
func TestByteCompile(t *testing.T) {
	found, err := host.FindInterpreter(t.Context(), "python", "")
	if err != nil {
		t.Fatal(err)
	}
	site := t.TempDir()
	for name, text := range map[string]string{"good.py": "X = 1\n", "template.py": "{{ name }} = {% x %}\n"} {
		if err := os.WriteFile(filepath.Join(site, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := byteCompile(t.Context(), interpreter{path: found.Path}, site, t.TempDir()); err != nil {
		t.Fatal(err)
	}
	made, err := filepath.Glob(filepath.Join(site, "__pycache__", "*.pyc"))
	if err != nil || len(made) != 1 {
		t.Errorf("compiled %q, %v; want good.py", made, err)
	}
	if err := byteCompile(t.Context(), interpreter{path: "/bin/none"}, site, t.TempDir()); err == nil {
		t.Error("an interpreter that is not there compiled")
	}
}
