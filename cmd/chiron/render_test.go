package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chiron-faas/chiron/predict"
	"github.com/chiron-faas/chiron/predict/predicttest"
	"github.com/chiron-faas/chiron/profile"
)

// requestable is a project whose functions cannot all be in one image, with a profile
// from another machine. It returns its folder and the file of a calibration.
func requestable(t *testing.T) (dir, calibration string) {
	t.Helper()
	dir = t.TempDir()
	measured := predicttest.Behave(t, "Fetch: block 20, One: cpu 30, Two: cpu 30, Again: cpu 30")
	for i := range measured.Functions {
		f := &measured.Functions[i]
		f.Name, f.Lang, f.Version, f.Runs = strings.ToLower(f.Tasks[0]), "python", "3.11.7", 20
		if f.Name == "again" {
			f.Name = "one"
		}
		for _, p := range f.Periods {
			f.Wall.Mean += p.Mean
		}
		f.Memory.Host.RSS, f.Memory.Imports.RSS = 9<<20, 3<<20
		f.Wall.Min, f.Wall.P50, f.Wall.P99, f.Wall.Max = f.Wall.Mean, f.Wall.Mean, f.Wall.Mean, f.Wall.Mean
	}
	measured.Machine = profile.Machine{CPUModel: "another", CPUs: 64, OS: "linux", Arch: "arm64"}
	if err := profile.Write(filepath.Join(dir, "profile.json"), measured); err != nil {
		t.Fatal(err)
	}
	calibration = filepath.Join(dir, "nodes.json")
	constants := predict.Paper()
	if err := constants.Write(calibration); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"chiron.yaml": `name: audit
slo: {latency: 120ms, percentile: 99}
definition: workflow.asl.json
limits: {memory: 512Mi, cpus: 4}
apart: [[fetch, One]]
scale: {concurrency: 8, instances: 0..6}
functions:
  fetch: {lang: python, handler: handler.py, requirements: old.txt}
  one: {lang: python, handler: handler.py}
  two: {lang: python, handler: handler.py, requirements: new.txt}
`,
		"handler.py": "def handler(event, context):\n    return event\n", "old.txt": "numpy==1.26.4\n", "new.txt": "numpy>=2\n",
		"workflow.asl.json": `{"StartAt": "Fetch", "States": {
  "Fetch": {"Type": "Task", "Resource": "fetch", "Next": "Rules"},
  "Rules": {"Type": "Parallel", "Next": "Again", "Branches": [
    {"StartAt": "One", "States": {"One": {"Type": "Task", "Resource": "one", "End": true}}},
    {"StartAt": "Two", "States": {"Two": {"Type": "Task", "Resource": "two", "End": true}}}]},
  "Again": {"Type": "Task", "Resource": "one", "End": true}}}`,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir, calibration
}

// TestRenderWorkflow: the same project is the same text, which testdata has, without
// a plan and without a measurement.
func TestRenderWorkflow(t *testing.T) {
	dir, calibration := requestable(t)
	before, err := os.ReadFile(filepath.Join(dir, "profile.json"))
	if err != nil {
		t.Fatal(err)
	}
	render := func(args ...string) result {
		t.Helper()
		got := chiron(t, append([]string{"render", dir, "--workflow", "--registry", "registry.example.org/team", "--tag", "v1"}, args...)...)
		if got.code != exitDone {
			t.Fatalf("exit code %d: %s", got.code, got.err)
		}
		return got
	}
	first, second := render("--calibration", calibration), render("--calibration", calibration)
	if first.out != second.out {
		t.Error("rendered twice, it differs")
	}
	if !strings.Contains(first.err, "taken as it was measured, on another machine") {
		t.Errorf("standard error: %s", first.err)
	}
	golden(t, "render/workflow.yaml", first.out)

	other := render("--no-calibration", "--slo", "1s", "--percentile", "0", "--instances", "2", "--namespace", "shop", "--env", "STORE=http://store", "--concurrency", "3")
	for _, want := range []string{
		"latency: 1s\n", "percentile: mean\n", "min: 2\n", "namespace: shop\n", "- name: STORE\n    value: http://store\n", "concurrency: 3\n",
	} {
		if !strings.Contains(other.out, want) {
			t.Errorf("no %q in %s", want, other.out)
		}
	}
	if strings.Contains(other.out, "calibration") {
		t.Errorf("there is a calibration all the same: %s", other.out)
	}

	after, err := os.ReadFile(filepath.Join(dir, "profile.json"))
	if err != nil || !bytes.Equal(before, after) {
		t.Errorf("the profile was measured again: %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "plan.json")); err == nil {
		t.Error("a plan was made")
	}
}

// TestRenderWorkflowFails: what no controller could plan is said before it is applied.
func TestRenderWorkflowFails(t *testing.T) {
	for want, c := range map[string]struct{ file, old, text string }{
		"name a file that chiron calibrate wrote": {"nodes.json", "{", "["},
		`cannot be together`:                      {"chiron.yaml", "apart: [[fetch, One]]", "together: [[fetch, two]]"},
		"over the 10.5 MB that a wrap may have":   {"chiron.yaml", "512Mi", "10Mi"},
	} {
		dir, calibration := requestable(t)
		file := filepath.Join(dir, c.file)
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		changed := strings.Replace(string(text), c.old, c.text, 1)
		if err := os.WriteFile(file, []byte(changed), 0o600); err != nil {
			t.Fatal(err)
		}
		got := chiron(t, "render", dir, "--workflow", "--calibration", calibration)
		if got.code != exitFailed || got.out != "" || !strings.Contains(got.err, want) {
			t.Errorf("exit code %d, want %q in %q", got.code, want, got.err)
		}
	}
}
