package accuracy

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chiron-faas/chiron/profile"
)

func TestLearned(t *testing.T) {
	dir := t.TempDir()
	if l, err := readLearned(dir); l != nil || err != nil {
		t.Errorf("of an empty folder: %v, %v", l, err)
	}
	name := filepath.Join(dir, learnedFile)
	write := func(content string) {
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(`{"forest": {"w": {"b": 12.5}, "gone": {"x": 1}}}`)
	l, err := readLearned(dir)
	if err != nil {
		t.Fatal(err)
	}
	r := &Report{Workflows: []Workflow{{Name: "w", Rows: []Row{{ID: "a"}, {ID: "b"}}}, {Name: "v", Rows: []Row{{ID: "b"}}}}}
	l.fold(r)
	if got := r.Workflows[0].Rows[1].Learned["forest"]; got != 12500*time.Microsecond {
		t.Errorf("forest predicts %v, want 12.5 ms", got)
	}
	if r.Workflows[0].Rows[0].Learned != nil || r.Workflows[1].Rows[0].Learned != nil {
		t.Error("a placement got another's prediction")
	}
	for _, bad := range []string{`{"forest": {"w": {"b": 0}}}`, `{"forest": {"w": {"b": 1e9}}}`, `{"forest": 3}`, ``} {
		write(bad)
		if _, err := readLearned(dir); err == nil || !strings.Contains(err.Error(), learnedFile) {
			t.Errorf("%q: error %v", bad, err)
		}
	}
}

func TestFeatures(t *testing.T) {
	p := assembled(t, "slapp")[0]
	measured := &profile.Profile{}
	for _, task := range p.Definition.Tasks() {
		measured.Functions = append(measured.Functions, profile.Function{
			Name: task.Function, Tasks: []string{task.Name}, Wall: profile.Stat{Mean: 10},
			Periods: []profile.Period{{Class: profile.CPU, Mean: 4}, {Class: profile.Block, Mean: 3}, {Class: profile.Native, Mean: 2}, {Class: profile.CPU, Mean: 1}},
		})
	}
	way := spread{
		"NetworkIO": {0, 0}, "Factorial": {0, 1}, "DiskIO": {1, 0}, "Fibonacci": {0, 0},
		"NetworkIO2": {0, 0}, "Pi": {0, 0}, "Pbkdf2": {1, 0},
	}
	got := features(p.Definition, planOf(p, way, forked, 2), measured)
	if len(got) != 7 {
		t.Fatalf("%d tasks, want 7", len(got))
	}
	// The resident process of the second stage comes before those that are forked.
	want := Task{Name: "Factorial", Wrap: 0, Process: 2, Forked: true, Wall: 10, CPU: 5, Native: 2, Block: 3, Periods: 4}
	if got[1] != want {
		t.Errorf("%+v, want %+v", got[1], want)
	}
	want = Task{Name: "Pbkdf2", Stage: 1, Wrap: 1, Wall: 10, CPU: 5, Native: 2, Block: 3, Periods: 4}
	if got[6] != want {
		t.Errorf("%+v, want %+v", got[6], want)
	}
}
