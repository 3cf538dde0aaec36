package pipeline

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chiron-faas/chiron/predict"
	"github.com/chiron-faas/chiron/profile"
)

// TestGatherFacts: what is there is taken, what is missing or asked for is measured.
func TestGatherFacts(t *testing.T) {
	dir := writeProject(t)
	constants := predict.Paper()
	nodes := filepath.Join(t.TempDir(), "nodes.json")
	if err := constants.Write(nodes); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "profile.json")
	var said []string
	gather := func(change func(o *PrepareOptions)) *Facts {
		t.Helper()
		said = nil
		o := PrepareOptions{Project: load(t, dir), Calibration: nodes, Progress: func(n Note) {
			if !n.Passing {
				said = append(said, n.Text)
			}
		}}
		change(&o)
		f, err := GatherFacts(t.Context(), o, true)
		if err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(file)
		if err != nil || !bytes.Equal(text, f.Profile) {
			t.Fatalf("the profile is not the file's: %v", err)
		}
		kept, err := os.ReadFile(nodes)
		if err != nil || !bytes.Equal(kept, f.Calibration) {
			t.Fatalf("the calibration is not the file's: %v", err)
		}
		return f
	}
	says := func(want string) {
		t.Helper()
		if got := strings.Join(said, "\n"); (want == "") != (got == "") || !strings.Contains(got, want) {
			t.Errorf("said %q, want %q", got, want)
		}
	}
	none := func(*PrepareOptions) {}

	first := gather(func(o *PrepareOptions) { o.Runs, o.Tracer = 10, "portable" })
	if _, err := profile.Decode(first.Profile); err != nil {
		t.Fatal(err)
	}
	again := gather(none)
	says("")
	if !bytes.Equal(again.Profile, first.Profile) {
		t.Error("measured again")
	}
	// Of another function, and from another machine, it is taken, and said so.
	write(t, dir, "functions/double.py", "def handler(event, context):\n    return event * 3\n")
	if !bytes.Equal(gather(none).Profile, first.Profile) {
		t.Error("measured again")
	}
	says("with --fresh it is measured again: the functions, the definition or the input changed since")
	moved, err := profile.Decode(first.Profile)
	if err != nil {
		t.Fatal(err)
	}
	moved.Machine.CPUModel = "another"
	if err := profile.Write(file, moved); err != nil {
		t.Fatal(err)
	}
	gather(none)
	says("taken as it was measured, on another machine")
	// Who asks gets a new one.
	fresh := gather(func(o *PrepareOptions) { o.Fresh, o.Runs, o.Tracer = true, 10, "portable" })
	if p, err := profile.Decode(fresh.Profile); err != nil || p.Machine.CPUModel == "another" {
		t.Errorf("not measured again: %v", err)
	}
	// What is no profile of the workflow is none.
	moved.Functions = moved.Functions[:1]
	if err := profile.Write(file, moved); err != nil {
		t.Fatal(err)
	}
	if kept, why := keptProfile(load(t, dir)); kept != nil || !strings.Contains(why, "it has no task") {
		t.Errorf("kept %v: %s", kept, why)
	}
}
