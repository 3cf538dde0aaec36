package pipeline

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestInitWritesAProjectThatLoads(t *testing.T) {
	for folder, want := range map[string]string{
		"my-project": "my-project", "Über Ünïcode!": "ber-n-code", "---": "hello", "UPPER_case.1": "upper-case-1",
		strings.Repeat("ab-", 40): strings.Repeat("ab-", 16) + "ab",
	} {
		dir := filepath.Join(t.TempDir(), folder)
		files, err := Init(InitOptions{Dir: dir, Lang: "python"})
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Contains(files, "chiron.yaml") || !slices.Contains(files, "functions/greet.py") {
			t.Errorf("files: %v", files)
		}
		if p := load(t, dir); p.Name != want || len(p.Definition.Tasks()) != 2 || string(p.Input) == "{}" {
			t.Errorf("%s: project %q, want %q", folder, p.Name, want)
		}
	}
}

func TestInitReplacesNothing(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "sample.json", "mine")
	_, err := Init(InitOptions{Dir: dir, Lang: "python"})
	if err == nil || !strings.Contains(err.Error(), "sample.json") || !strings.Contains(err.Error(), "choose another folder") {
		t.Errorf("got %v", err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Errorf("it wrote %v, %v", entries, err)
	}
	if _, err := Init(InitOptions{Dir: filepath.Join(dir, "x"), Lang: "cobol"}); err == nil || !strings.Contains(err.Error(), "python") {
		t.Errorf("an unknown language: %v", err)
	}
}
