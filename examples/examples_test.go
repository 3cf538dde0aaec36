package examples

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"

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
