package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chiron-faas/chiron/pipeline"
)

func TestLoadProject(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "small")
	if _, err := pipeline.Init(pipeline.InitOptions{Dir: dir, Lang: "python"}); err != nil {
		t.Fatal(err)
	}
	other := filepath.Join(dir, "other.asl.json")
	if err := os.WriteFile(other, []byte("{}"), 0o644); err != nil {
		t.Fatal(err)
	}
	alone := filepath.Join(t.TempDir(), "workflow.asl.json")
	if err := os.WriteFile(alone, []byte(`{"StartAt":"A","States":{"A":{"Type":"Succeed"}}}`), 0o644); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		dir:                                     "",
		filepath.Join(dir, "chiron.yaml"):       "",
		filepath.Join(dir, "workflow.asl.json"): "",
		other:                                   "is not the definition that",
		alone:                                   "not a project",
		filepath.Join(dir, "none"):              "no such file",
	} {
		p, err := loadProject(path)
		switch {
		case want == "" && (err != nil || p.Name != "small"):
			t.Errorf("%s: %v, %v", path, p, err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("%s: %v, want %q", path, err, want)
		}
	}
}
