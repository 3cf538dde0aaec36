package examples

import (
	"bytes"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/chiron-faas/chiron/host"
	"github.com/chiron-faas/chiron/internal/objectstore"
	"github.com/chiron-faas/chiron/workflow"
)

func TestProjects(t *testing.T) {
	for dir, want := range map[string]struct{ stages, tasks int }{
		"hello":   {2, 2},
		"finra-5": {2, 6},
		"slapp":   {2, 7},
	} {
		t.Run(dir, func(t *testing.T) {
			p, err := workflow.Load(dir)
			if err != nil {
				t.Fatal(err)
			}
			if p.Name != dir || p.SLO.Latency == 0 || p.InputFile == "" {
				t.Errorf("name %q, SLO %v, input %q", p.Name, p.SLO, p.InputFile)
			}
			if got := len(p.Definition.Stages()); got != want.stages {
				t.Errorf("%d stages, want %d", got, want.stages)
			}
			if got := len(p.Definition.Tasks()); got != want.tasks {
				t.Errorf("%d tasks, want %d", got, want.tasks)
			}
		})
	}
}

func TestHelloIsAProject(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "copy")
	if err := os.CopyFS(dir, Hello()); err != nil {
		t.Fatal(err)
	}
	if _, err := workflow.Load(dir); err != nil {
		t.Error(err)
	}
	err := fs.WalkDir(Hello(), ".", func(name string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			if info, statErr := os.Stat(filepath.Join("hello", name)); statErr != nil || info.Size() == 0 {
				t.Errorf("%s: %v", name, statErr)
			}
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// TestHandlers runs test_handlers.py under every interpreter of this machine.
func TestHandlers(t *testing.T) {
	interpreters, err := host.Interpreters(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(interpreters) == 0 {
		t.Fatal("no python3 on this machine")
	}
	store, err := objectstore.Listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	for _, python := range interpreters {
		t.Run(python.Version, func(t *testing.T) {
			c := exec.CommandContext(t.Context(), python.Path, "-m", "unittest", "test_handlers")
			c.Env = append(os.Environ(), "PYTHONDONTWRITEBYTECODE=1", "OBJECT_STORE=http://"+store.Addr(), "SIGNATURE=none")
			out, err := c.CombinedOutput()
			if err != nil || !bytes.HasSuffix(out, []byte("\nOK\n")) {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}
