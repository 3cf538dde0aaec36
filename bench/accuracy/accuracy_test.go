package accuracy

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chiron-faas/chiron/bench/benchtest"
	"github.com/chiron-faas/chiron/bench/journal"
	"github.com/chiron-faas/chiron/internal/affinity"
	"github.com/chiron-faas/chiron/internal/programtest"
	"github.com/chiron-faas/chiron/plan"
	"github.com/chiron-faas/chiron/predict"
	"github.com/chiron-faas/chiron/profile"
	"github.com/chiron-faas/chiron/workflow"
)

// project writes a workflow of a task, four side by side, and a task.
func project(t *testing.T) *workflow.Project {
	t.Helper()
	return benchtest.Project(t, map[string]string{
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
	})
}

// program builds chiron-agent, which runs the wraps.
func program(t *testing.T) string {
	t.Helper()
	if testing.Short() {
		t.Skip("serves real wraps")
	}
	if _, err := exec.LookPath("python3"); err != nil {
		t.Skip("there is no python3")
	}
	return programtest.BuildAgent(t)
}

// constants are like a small machine's.
func constants() *predict.Calibration {
	return &predict.Calibration{
		Request: 300 * time.Microsecond, Dispatch: 130 * time.Microsecond, ThreadStart: 80 * time.Microsecond,
		Startup: 3 * time.Millisecond, Block: 2 * time.Millisecond, IPC: 80 * time.Microsecond,
		RPC: 200 * time.Microsecond, INV: 250 * time.Microsecond, SwitchInterval: predict.DefaultSwitchInterval,
	}
}

// TestRun interrupts a run, reports what there is of it, and lets it go on.
func TestRun(t *testing.T) {
	bin := program(t)
	p := project(t)
	before, err := os.ReadDir(p.Dir)
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "run")
	ctx, interrupt := context.WithCancelCause(t.Context())
	enough := errors.New("enough")
	o := Options{
		Projects: []*workflow.Project{p}, Agent: bin, Dir: dir, Sample: 3, Seed: 1, Rounds: minRounds, Batch: 8, Calibration: constants(),
		Progress: func(s Step) {
			if s.What == "measure" && s.Placed > 0 {
				interrupt(enough)
			}
		},
	}
	if _, err := Run(ctx, o); !errors.Is(err, enough) {
		t.Fatalf("error %v, want the interruption", err)
	}
	partial, err := Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	if w := partial.Workflows[0]; len(w.Rows) != o.Batch || w.Pending == 0 {
		t.Fatalf("%d placements, %d pending, want a batch of %d and the rest", len(w.Rows), w.Pending, o.Batch)
	}
	other := o
	other.Seed++
	if _, err := Run(t.Context(), other); err == nil || !strings.Contains(err.Error(), "seed 1") {
		t.Errorf("a run of another seed went on: %v", err)
	}
	o.Progress = nil
	r, err := Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	rows := r.Workflows[0].Rows
	if n := len(partial.Workflows[0].Rows) + partial.Workflows[0].Pending; len(rows) != n || r.Workflows[0].Pending != 0 {
		t.Errorf("%d placements, %d pending, want %d", len(rows), r.Workflows[0].Pending, n)
	}
	if !slices.EqualFunc(rows[:o.Batch], partial.Workflows[0].Rows, func(a, b Row) bool { return a.ID == b.ID && a.Measured == b.Measured }) {
		t.Error("what was measured before the interruption was measured again")
	}
	drawn := 0
	for _, row := range rows {
		if row.Requests != o.Rounds {
			t.Errorf("%s: %d requests, want %d", row.Name, row.Requests, o.Rounds)
		}
		// The longest function is in every placement's latency; and a
		// prediction that is off by ten is no prediction.
		if row.Measured < 6*time.Millisecond || row.Predicted < row.Measured/10 || row.Predicted > 10*row.Measured {
			t.Errorf("%s: predicted %v, measured %v", row.Name, row.Predicted, row.Measured)
		}
		if row.Model == "" {
			drawn++
		}
	}
	if drawn != o.Sample || len(rows) < drawn+5 {
		t.Errorf("%d placements, %d of them drawn, want all models, the searched plans and %d", len(rows), drawn, o.Sample)
	}
	checkFiles(t, r)
	after, err := os.ReadDir(p.Dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(after) != len(before) {
		t.Errorf("the project's folder has %d files, had %d", len(after), len(before))
	}
}

// checkFiles writes a report in all forms.
func checkFiles(t *testing.T, r *Report) {
	t.Helper()
	dir := t.TempDir()
	if err := r.WriteFiles(dir); err != nil {
		t.Fatal(err)
	}
	table, err := os.ReadFile(filepath.Join(dir, "report.txt"))
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("\n%s", table)
	for line := range strings.Lines(string(table)) {
		if len(line) > 101 && !strings.Contains(line, "note: ") {
			t.Errorf("a line of %d columns: %q", len(line), line)
		}
	}
	markdown, err := os.ReadFile(filepath.Join(dir, "report.md"))
	if err != nil {
		t.Fatal(err)
	}
	columns := 0 // of the table that it is in
	for line := range strings.Lines(string(markdown)) {
		cells := strings.Count(strings.ReplaceAll(line, "\\|", ""), "|")
		if columns > 0 && cells > 0 && cells != columns {
			t.Errorf("a line of %d columns in a table of %d: %q", cells, columns, line)
		}
		columns = cells
	}
	data, err := os.ReadFile(filepath.Join(dir, "report.json"))
	if err != nil {
		t.Fatal(err)
	}
	var again Report
	if err := json.Unmarshal(data, &again); err != nil || len(again.Workflows) != len(r.Workflows) {
		t.Errorf("report.json: %v", err)
	}
}

// TestSwitchInterval serves one of the shapes in which a thread waits for the
// lock, with the longest and the shortest interval.
func TestSwitchInterval(t *testing.T) {
	bin := program(t)
	p := assembled(t, "switch-wait")[0]
	placements := switchPlacements(p)
	if len(placements) != len(switchIntervals())*len(cpuCounts()) {
		t.Fatalf("%d placements", len(placements))
	}
	for _, pl := range placements {
		if err := plan.Check(pl.Plan, p.Definition, p.Functions, &p.Rules); err != nil {
			t.Error(err)
		}
	}
	s := &session{Options: Options{Agent: bin, Rounds: minRounds, Progress: func(Step) {}}, dir: t.TempDir(), interpreters: make(map[[2]string]string)}
	var err error
	if s.cpus, err = affinity.CPUs(); err != nil {
		t.Fatal(err)
	}
	s.cpus = s.cpus[:min(len(s.cpus), 2)]
	w := &subject{project: p, dir: t.TempDir(), measuredWorkflow: (&archive{}).workflow(p.Name)}
	some := []*Placement{placements[0], placements[len(switchIntervals())-1]}
	measured, alone, err := s.measure(t.Context(), w, some)
	if err != nil {
		t.Fatal(err)
	}
	if len(alone) != 1 || alone[0].CPUs != some[0].CPUs {
		t.Fatalf("runs alone on %d numbers of CPUs: the placements have one", len(alone))
	}
	for kind, runs := range map[string]map[string]*taskRuns{"warm": alone[0].Warm, "cold": alone[0].Cold} {
		for task, r := range runs {
			if len(r.Wall) != minRounds || len(r.CPU) != minRounds {
				t.Errorf("%s alone, %s: %d and %d runs, want %d", task, kind, len(r.Wall), len(r.CPU), minRounds)
			}
			if task == "Waiter" && slices.Min(r.Wall) < 30*time.Millisecond {
				t.Errorf("%s alone, %s: %v", task, kind, r.Wall)
			}
		}
		if len(runs) != 2 {
			t.Errorf("%s runs of %d tasks, want 2", kind, len(runs))
		}
	}
	for i, m := range measured {
		// It waits for three times 10 ms.
		if row := newRow(some[i], m); row.Requests != minRounds || row.P50 < 30*time.Millisecond || row.SwitchInterval == 0 {
			t.Errorf("%s: %d requests, median %v, failure %q", row.Name, row.Requests, row.P50, m.Failure)
		}
	}
}

// TestArchive goes on after a line that was cut short.
func TestArchive(t *testing.T) {
	dir := t.TempDir()
	s := setup{Seed: 3, Sample: 5}
	r, err := openArchive(dir, s)
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range []*line{{Calibration: constants()}, {Workflow: "w", Measurement: &measurement{Placement: "a", Latencies: []time.Duration{1, 2}}}} {
		if err := r.write(l); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.file.Close(); err != nil {
		t.Fatal(err)
	}
	cut, err := os.OpenFile(filepath.Join(dir, journal.File), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := cut.WriteString(`{"workflow": "w", "measure`); err != nil {
		t.Fatal(err)
	}
	if err := cut.Close(); err != nil {
		t.Fatal(err)
	}
	if r, err = openArchive(dir, s); err != nil {
		t.Fatal(err)
	}
	if err := r.write(&line{Workflow: "w", Measurement: &measurement{Placement: "b"}}); err != nil {
		t.Fatal(err)
	}
	if err := r.file.Close(); err != nil {
		t.Fatal(err)
	}
	a, err := readArchive(dir)
	if err != nil {
		t.Fatal(err)
	}
	if done := a.workflow("w").done; len(done) != 2 || done["a"] == nil || done["b"] == nil || len(a.calibrations) != 1 || *a.setup != s {
		t.Errorf("read again: %v, %d calibrations, setup %+v", done, len(a.calibrations), a.setup)
	}
	name := filepath.Join(dir, journal.File)
	for _, bad := range []string{"{}}\n", "\n", `{"what": 1}` + "\n", `{"workflow": "w", "profile": {}}` + "\n", `{"workflow": "w", "definition": {"States": 1}}` + "\n"} {
		if err := os.WriteFile(name, []byte(bad), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := readArchive(dir); err == nil || !strings.Contains(err.Error(), "line 1") {
			t.Errorf("%q was read: %v", bad, err)
		}
	}
	if _, err := Read(t.TempDir()); err == nil {
		t.Error("an empty folder was read")
	}
}

func TestAround(t *testing.T) {
	at := func(minutes ...int) []time.Time {
		var all []time.Time
		for _, m := range minutes {
			all = append(all, time.Unix(int64(60*m), 0))
		}
		return all
	}
	for _, test := range []struct {
		times         []time.Time
		before, after int
		weight        float64
	}{
		{at(0, 5, 20, 40), 1, 2, 8.0 / 15}, // 10 to 16: the middle is 13, 8 of 15 minutes on
		{at(5), 0, 0, 0},
		{at(20, 30), 0, 0, 0},
		{at(0, 9), 1, 1, 0},
		{at(12), 0, 0, 0}, // within
		{at(9, 12, 17), 0, 2, 0.5},
	} {
		before, after, weight := around(test.times, time.Unix(600, 0), time.Unix(960, 0))
		if before != test.before || after != test.after || math.Abs(weight-test.weight) > 1e-9 {
			t.Errorf("%v: %d, %d, %v; want %d, %d, %v", test.times, before, after, weight, test.before, test.after, test.weight)
		}
	}
}

func TestSummary(t *testing.T) {
	row := func(name string, predicted, measured time.Duration) Row {
		return Row{Name: name, Predicted: predicted, Measured: measured, Longest: measured / 2, Sum: 2 * measured}
	}
	w := Workflow{Rows: []Row{row("a", 110, 100), row("b", 80, 100), row("c", 100, 100), row("d", 130, 100)}}
	got := w.Summary()
	// |errors| 0.1, 0.2, 0, 0.3: mean 0.15, median 0.15; signed mean (0.1-0.2+0+0.3)/4.
	want := Summary{Placements: 4, Mean: 0.15, Median: 0.15, Bias: 0.05, P95: 0.3, Worst: 0.3, WorstPlacement: "d"}
	near := func(a, b float64) bool { return math.Abs(a-b) < 1e-12 }
	if got.Placements != 4 || !near(got.Mean, want.Mean) || !near(got.Median, want.Median) || !near(got.Bias, want.Bias) ||
		!near(got.P95, want.P95) || !near(got.Worst, want.Worst) || got.WorstPlacement != "d" {
		t.Errorf("summary %+v, want %+v", got, want)
	}
	if empty := (&Workflow{}).Summary(); empty != (Summary{}) {
		t.Errorf("summary of nothing: %+v", empty)
	}
	w.Rows[1].Learned = map[string]time.Duration{"forest": 150}
	all := yardsticks(w.Rows)
	var names []string
	for _, y := range all {
		names = append(names, y.name)
	}
	// The paper's has no prediction.
	if got := strings.Join(names, ", "); got != "longest of each stage, sum of all functions, forest" {
		t.Fatalf("yardsticks %s", got)
	}
	for i, want := range []Summary{{Placements: 4, Bias: -0.5}, {Placements: 4, Bias: 1}, {Placements: 1, Bias: 0.5}} {
		if s := summarise(w.Rows, all[i]); s.Placements != want.Placements || !near(s.Bias, want.Bias) {
			t.Errorf("%s: %+v, want %+v", all[i].name, s, want)
		}
	}
	// What is measured for the switch interval is not among the others.
	r := Report{Workflows: []Workflow{w, {Rows: []Row{{SwitchInterval: 1, Predicted: 1000, Measured: 1}}}}}
	if s := r.Summary(); s.Placements != 4 || s.Worst > 1 {
		t.Errorf("summary of all: %+v", s)
	}
}

func TestGroups(t *testing.T) {
	rows := []Row{{Processes: 10}, {Processes: 2}, {Processes: 10}, {Processes: 1}}
	var got []string
	for _, g := range groups(rows, func(r Row) string { return fmt.Sprint(r.Processes) }) {
		got = append(got, fmt.Sprintf("%s:%d", g.name, len(g.rows)))
	}
	if want := "1:1 2:1 10:2"; strings.Join(got, " ") != want {
		t.Errorf("groups %v, want %s", got, want)
	}
}

func TestSwitchGains(t *testing.T) {
	row := func(cpus int, interval, predicted, measured time.Duration) Row {
		return Row{CPUs: cpus, SwitchInterval: interval, Predicted: predicted, Measured: measured}
	}
	w := Workflow{Rows: []Row{row(2, 1, 60, 70), row(1, 5, 200, 210), row(2, 5, 100, 120), row(1, 1, 180, 200)}}
	var got []string
	for _, g := range w.switchGains() {
		got = append(got, fmt.Sprintf("%d/%d:%d,%d", g.row.CPUs, g.row.SwitchInterval, g.predicted, g.measured))
	}
	if want := "1/5:0,0 1/1:20,10 2/5:0,0 2/1:40,50"; strings.Join(got, " ") != want {
		t.Errorf("gains %v, want %s", got, want)
	}
}

func TestCSV(t *testing.T) {
	r := Report{Workflows: []Workflow{{Name: "w", Rows: []Row{{
		ID: "x-2", Model: "sand, = x", Name: "sand, = x", Wraps: 1, Processes: 2, CPUs: 2, Requests: 8,
		Predicted: 1500 * time.Microsecond, Measured: time.Millisecond, Learned: map[string]time.Duration{"forest": 2 * time.Millisecond},
	}}}}}
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
	field := func(name string) string { return records[1][slices.Index(records[0], name)] }
	for name, want := range map[string]string{
		"workflow": "w", "model": "sand, = x", "cpus": "2", "processes": "2", "predicted_ms": "1.500", "measured_ms": "1.000", "forest_ms": "2.000", "error": "0.5000",
	} {
		if got := field(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
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
		"no project":    {Options{Agent: "x"}, "no project"},
		"no agent":      {Options{Projects: []*workflow.Project{p}}, "chiron-agent"},
		"few rounds":    {Options{Projects: []*workflow.Project{p}, Agent: "x", Rounds: 1}, "too few"},
		"no batch":      {Options{Projects: []*workflow.Project{p}, Agent: "x", Batch: -1}, "-1 placements"},
		"bad sample":    {Options{Projects: []*workflow.Project{p}, Agent: "x", Sample: -1}, "-1 placements"},
		"no shape":      {Options{Shapes: []string{"cube"}, Agent: "x"}, `"cube"`},
		"not a program": {Options{Shapes: []string{"finra-5"}, Agent: "/no/such/agent"}, "/no/such/agent"},
	} {
		_, err := Run(t.Context(), test.options)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: error %v, want %q", name, err, test.want)
		}
	}
}
