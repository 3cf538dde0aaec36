package shapes

import (
	"path/filepath"
	"strings"
	"testing"
)

// The stages are the paper's: section 5's benchmark, and the workflows that its
// artifact publishes.
func TestShapes(t *testing.T) {
	for _, test := range []struct {
		name   string
		stages []int // tasks of each
	}{
		{"sn", []int{1, 5, 1, 3}},
		{"mr", []int{1, 4, 1, 3}},
		{"slapp", []int{4, 3}},
		{"slapp-v", []int{1, 5, 1, 2, 1}},
		{"finra-5", []int{5, 1}},
		{"switch-wait", []int{2}},
		{"switch-hash", []int{2}},
		{"switch-disk", []int{2}},
	} {
		p, err := Assemble(test.name, filepath.Join(t.TempDir(), "p"))
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
			continue
		}
		if p.Name != test.name {
			t.Errorf("%s calls itself %q", test.name, p.Name)
		}
		stages := p.Definition.Stages()
		if len(stages) != len(test.stages) {
			t.Errorf("%s has %d stages, want %d", test.name, len(stages), len(test.stages))
			continue
		}
		for i, want := range test.stages {
			if got := len(stages[i].Root.Tasks()); got != want {
				t.Errorf("%s: stage %d has %d tasks, want %d", test.name, i+1, got, want)
			}
		}
		if strings.Contains(p.ObjectStore, ":9753") {
			t.Errorf("%s: its object store has the port of the example", test.name)
		}
		for _, f := range p.Functions {
			if store := f.Env["OBJECT_STORE"]; store != "" && store != "http://"+p.ObjectStore {
				t.Errorf("%s: %s asks %s, the store is at %s", test.name, f.Name, store, p.ObjectStore)
			}
		}
	}
	if n := len(All()) + len(Switch()); n != 8 {
		t.Errorf("%d shapes, 8 are tested", n)
	}
	if _, err := Assemble("cube", t.TempDir()); err == nil || !strings.Contains(err.Error(), "cube") {
		t.Errorf("error %v", err)
	}
}
