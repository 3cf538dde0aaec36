package accuracy

import (
	"bytes"
	"encoding/csv"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chiron-faas/chiron/plan"
	"github.com/chiron-faas/chiron/predict"
	"github.com/chiron-faas/chiron/profile"
	"github.com/chiron-faas/chiron/workflow"
)

// project writes a workflow of a task, four side by side, and a task.
func project(t *testing.T) *workflow.Project {
	t.Helper()
	dir := t.TempDir()
	for name, content := range map[string]string{
		"chiron.yaml": `name: mixed
slo: 60ms
definition: workflow.asl.json
functions:
  compute: {lang: python, handler: compute.py}
  wait: {lang: python, handler: wait.py}
  digest: {lang: python, handler: digest.py}
  small: {lang: python, handler: small.py}
`,
		"workflow.asl.json": `{"StartAt": "first", "States": {
			"first": {"Type": "Task", "Resource": "small", "Next": "all"},
			"all": {"Type": "Parallel", "Next": "last", "Branches": [
				{"StartAt": "c", "States": {"c": {"Type": "Task", "Resource": "compute", "End": true}}},
				{"StartAt": "w", "States": {"w": {"Type": "Task", "Resource": "wait", "End": true}}},
				{"StartAt": "d", "States": {"d": {"Type": "Task", "Resource": "digest", "End": true}}},
				{"StartAt": "c2", "States": {"c2": {"Type": "Task", "Resource": "compute", "End": true}}}]},
			"last": {"Type": "Task", "Resource": "small", "End": true}}}`,
		"compute.py": "def handler(event, context):\n    n = 0\n    for i in range(60000):\n        n = (n * 31 + i) & 0xFFFF\n    return n\n",
		"wait.py":    "import time\n\n\ndef handler(event, context):\n    time.sleep(0.006)\n    return 1\n",
		"digest.py":  "import hashlib\n\n\ndef handler(event, context):\n    return hashlib.pbkdf2_hmac('sha256', b'p', b's', 12000).hex()\n",
		"small.py":   "def handler(event, context):\n    return {'ok': True}\n",
	} {
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

func TestRun(t *testing.T) {
	if testing.Short() {
		t.Skip("serves real wraps")
	}
	if _, err := exec.LookPath("python3"); err != nil {
		t.Skip("there is no python3")
	}
	bin := filepath.Join(t.TempDir(), "chiron")
	if out, err := exec.Command("go", "build", "-o", bin, "../../cmd/chiron").CombinedOutput(); err != nil {
		t.Fatalf("build chiron: %v\n%s", err, out)
	}
	p := project(t)
	before, err := os.ReadDir(p.Dir)
	if err != nil {
		t.Fatal(err)
	}
	o := Options{Projects: []*workflow.Project{p}, Binary: bin, Rounds: minRounds, ProfileRuns: 10, Calibration: &predict.Calibration{
		Request: 300 * time.Microsecond, Dispatch: 130 * time.Microsecond, ThreadStart: 80 * time.Microsecond,
		Startup: 3 * time.Millisecond, Block: 2 * time.Millisecond, IPC: 80 * time.Microsecond,
		RPC: 200 * time.Microsecond, INV: 250 * time.Microsecond, SwitchInterval: predict.DefaultSwitchInterval,
	}}
	r, err := Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	var table bytes.Buffer
	if err := r.WriteTable(&table); err != nil {
		t.Fatal(err)
	}
	t.Logf("\n%s", table.String())
	for _, line := range strings.Split(table.String(), "\n") {
		if len(line) > 100 && !strings.HasPrefix(line, "note") && !strings.Contains(line, "not measured") {
			t.Errorf("a line of %d columns: %q", len(line), line)
		}
	}
	rows := r.Workflows[0].Rows
	if len(rows) < 5 {
		t.Errorf("%d placements, want all models and the searched plans", len(rows))
	}
	for _, row := range rows {
		if row.Requests != o.Rounds*requestsPerRound && o.Rounds != 0 {
			t.Errorf("%s: %d requests, want %d", row.Model, row.Requests, o.Rounds*requestsPerRound)
		}
		// The longest function is in every placement's latency; and a
		// prediction that is off by ten is no prediction.
		if row.Measured < 6*time.Millisecond || row.Predicted < row.Measured/10 || row.Predicted > 10*row.Measured {
			t.Errorf("%s: predicted %v, measured %v", row.Model, row.Predicted, row.Measured)
		}
	}
	after, err := os.ReadDir(p.Dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(after) != len(before) {
		t.Errorf("the project's folder has %d files, had %d", len(after), len(before))
	}
}

// TestExamples is the experiment itself, on the projects that CHIRON_ACCURACY
// names (folders, with commas); it takes a minute or two for each.
func TestExamples(t *testing.T) {
	folders := os.Getenv("CHIRON_ACCURACY")
	if folders == "" {
		t.Skip("CHIRON_ACCURACY names no project to measure")
	}
	bin := filepath.Join(t.TempDir(), "chiron")
	if out, err := exec.Command("go", "build", "-o", bin, "../../cmd/chiron").CombinedOutput(); err != nil {
		t.Fatalf("build chiron: %v\n%s", err, out)
	}
	begun, last := time.Now(), ""
	o := Options{Binary: bin, Progress: func(s Step) {
		if now := s.Workflow + ": " + s.What; now != last {
			last = now
			t.Logf("%5.1f s  %s", time.Since(begun).Seconds(), now)
		}
	}}
	for _, f := range strings.Split(folders, ",") {
		p, err := workflow.Load(f)
		if err != nil {
			t.Fatal(err)
		}
		o.Projects = append(o.Projects, p)
	}
	r, err := Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	var table bytes.Buffer
	if err := r.WriteTable(&table); err != nil {
		t.Fatal(err)
	}
	t.Logf("\n%s", table.String())
	for _, w := range r.Workflows {
		// The paper's worst is 14.2 %, on an idle machine of 40 CPUs.
		if s := w.Summary(); s.Mean > 0.5 {
			t.Errorf("%s: the mean error is %.0f %%", w.Name, 100*s.Mean)
		}
	}
}

func TestSummary(t *testing.T) {
	row := func(model string, predicted, measured time.Duration) Row {
		return Row{Model: model, Predicted: predicted, Measured: measured, Longest: measured / 2, Sum: 2 * measured}
	}
	w := Workflow{Rows: []Row{row("a", 110, 100), row("b", 80, 100), row("c", 100, 100), row("d", 130, 100)}}
	got := w.Summary()
	// |errors| 0.1, 0.2, 0, 0.3: mean 0.15, median 0.15; signed mean (0.1-0.2+0+0.3)/4.
	want := Summary{Placements: 4, Mean: 0.15, Median: 0.15, Bias: 0.05, P95: 0.3, Worst: 0.3, WorstModel: "d"}
	near := func(a, b float64) bool { return a-b < 1e-12 && b-a < 1e-12 }
	if got.Placements != 4 || !near(got.Mean, want.Mean) || !near(got.Median, want.Median) || !near(got.Bias, want.Bias) ||
		!near(got.P95, want.P95) || !near(got.Worst, want.Worst) || got.WorstModel != "d" {
		t.Errorf("summary %+v, want %+v", got, want)
	}
	longest, sum := w.Yardsticks()
	if !near(longest.Bias, -0.5) || !near(sum.Bias, 1) {
		t.Errorf("yardsticks' bias %v and %v, want -0.5 and 1", longest.Bias, sum.Bias)
	}
	if empty := (&Workflow{}).Summary(); empty != (Summary{}) {
		t.Errorf("summary of nothing: %+v", empty)
	}
}

func TestCSV(t *testing.T) {
	r := Report{Workflows: []Workflow{{Name: "w", Rows: []Row{{Model: "sand, = x", Wraps: 1, Processes: 2, CPUs: 2, Requests: 8, Predicted: 1500 * time.Microsecond, Measured: time.Millisecond}}}}}
	var out bytes.Buffer
	if err := r.WriteCSV(&out); err != nil {
		t.Fatal(err)
	}
	records, err := csv.NewReader(&out).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	if len(records) != 2 || len(records[0]) != len(records[1]) {
		t.Fatalf("records %q", records)
	}
	if got := strings.Join(records[1], "|"); got != "w|sand, = x|1|2|2|8|1.500|1.000|0.000|0.000|0.000|0.000|0.5000" {
		t.Errorf("record %s", got)
	}
}

func TestAlike(t *testing.T) {
	a := &plan.Plan{Workflow: "w", Model: "sand", Wraps: []plan.Wrap{{Name: "wrap-1", CPUs: 1, Processes: []plan.Process{{Mode: plan.Pool, CPU: plan.Unpinned, Tasks: []string{"t"}}}}}}
	b := a.Clone()
	b.Model = "chiron"
	if !alike(a, b) {
		t.Error("two plans that differ in their model's name only are not alike")
	}
	b.Wraps[0].CPUs = 2
	if alike(a, b) {
		t.Error("plans of one and of two CPUs are alike")
	}
	if a.Model != "sand" {
		t.Error("alike changed its argument")
	}
}

func TestLabel(t *testing.T) {
	for name, want := range map[string]string{
		"faastlane+":                      "p3-faastlane",
		"chiron":                          "p3-chiron",
		"one-to-one = faastlane-p = more": "p3-one-to-one---faastla",
	} {
		if got := label(3, name); got != want {
			t.Errorf("label of %q: %s, want %s", name, got, want)
		}
	}
}

func TestDrift(t *testing.T) {
	of := func(d time.Duration) *profile.Profile {
		return &profile.Profile{Functions: []profile.Function{{Wall: profile.Stat{Mean: d}}, {Wall: profile.Stat{Mean: d}}}}
	}
	if got := drift(of(10), of(12)); got < 0.1999 || got > 0.2001 {
		t.Errorf("drift %v, want 0.2", got)
	}
	if got := drift(of(0), of(1)); got != 0 {
		t.Errorf("drift from nothing: %v", got)
	}
}

func TestBadOptions(t *testing.T) {
	p := &workflow.Project{Name: "w"}
	for name, test := range map[string]struct {
		options Options
		want    string
	}{
		"no project":    {Options{Binary: "x"}, "no project"},
		"no binary":     {Options{Projects: []*workflow.Project{p}}, "chiron program"},
		"few rounds":    {Options{Projects: []*workflow.Project{p}, Binary: "x", Rounds: 1}, "too few"},
		"not a program": {Options{Projects: []*workflow.Project{p}, Binary: "/no/such/chiron"}, "/no/such/chiron"},
	} {
		_, err := Run(t.Context(), test.options)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: error %v, want %q", name, err, test.want)
		}
	}
}
