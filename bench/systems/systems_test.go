package systems

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/chiron-faas/chiron/bench/benchtest"
	"github.com/chiron-faas/chiron/bench/journal"
	"github.com/chiron-faas/chiron/bench/serving"
	"github.com/chiron-faas/chiron/internal/programtest"
	"github.com/chiron-faas/chiron/plan/model"
	"github.com/chiron-faas/chiron/plan/pgp"
	"github.com/chiron-faas/chiron/predict"
	"github.com/chiron-faas/chiron/profile"
	"github.com/chiron-faas/chiron/workflow"
)

// files of a workflow of a task, three side by side, and a task.
func files() map[string]string {
	return map[string]string{
		"chiron.yaml": `name: mixed
definition: workflow.asl.json
input: sample.json
functions:
  compute: {lang: python, handler: compute.py}
  wait: {lang: python, handler: wait.py}
`,
		"sample.json": `{"n": 300}`,
		"workflow.asl.json": `{"StartAt": "First", "States": {
"First": {"Type": "Task", "Resource": "compute", "ResultPath": "$.first", "Next": "All"},
"All": {"Type": "Parallel", "Next": "Last", "Branches": [
  {"StartAt": "A", "States": {"A": {"Type": "Task", "Resource": "compute", "End": true}}},
  {"StartAt": "B", "States": {"B": {"Type": "Task", "Resource": "wait", "End": true}}},
  {"StartAt": "C", "States": {"C": {"Type": "Task", "Resource": "wait", "End": true}}}]},
"Last": {"Type": "Task", "Resource": "compute", "End": true}}}`,
		"compute.py": "def handler(event, context):\n    n = event['n'] if isinstance(event, dict) else 300\n    return sum(i * i for i in range(n))\n",
		"wait.py":    "import time\n\n\ndef handler(event, context):\n    time.sleep(0.001)\n    return 'waited'\n",
	}
}

// constants writes this machine's, so that no test has to measure them.
func constants(t *testing.T) string {
	t.Helper()
	c := predict.Paper()
	c.Machine, c.Version, c.Created = profile.ThisMachine(), pythonVersion(t), time.Now()
	c.Startup, c.Block, c.RPC, c.INV = 3*time.Millisecond, time.Millisecond, time.Millisecond, 100*time.Microsecond
	c.Spread = []float64{0.8, 1, 1.5}
	file := filepath.Join(t.TempDir(), "constants.json")
	if err := c.Write(file); err != nil {
		t.Fatal(err)
	}
	return file
}

// TestRun measures three systems shortly, goes on with a run that was cut short,
// and notices what has changed. Its figures mean nothing; that there are some, and
// that all systems answer alike, does.
func TestRun(t *testing.T) {
	project := benchtest.Project(t, files())
	chiron, agent := programtest.BuildBoth(t)
	o := Options{
		Subjects: []Subject{{Project: project}}, Systems: []string{string(model.OneToOne)}, Programs: serving.Programs{Chiron: chiron, Agent: agent},
		Dir: filepath.Join(t.TempDir(), "run"), Rounds: 4, Load: 120 * time.Millisecond, Runs: 10, Calibration: constants(t),
	}
	r, err := Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	checkReport(t, r)
	if left, _ := filepath.Glob(filepath.Join(project.Dir, "*")); len(left) != len(files()) {
		t.Errorf("it wrote into the user's project: %v", left)
	}
	// A run that was cut short behind its rounds does only what is missing.
	name := filepath.Join(o.Dir, journal.File)
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	cut := bytes.Index(data, []byte(`"alone":`)) + 3
	if err := os.WriteFile(name, data[:cut], 0o600); err != nil {
		t.Fatal(err)
	}
	var did []string
	o.Progress = func(s Step) { did = append(did, s.What) }
	again, err := Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	checkReport(t, again)
	if slices.Contains(did, "profile") || slices.Contains(did, "rounds") || !slices.Contains(did, "alone: memory") {
		t.Errorf("it did %v, where only what comes after the rounds was missing", slices.Compact(did))
	}
	if a, b := r.Workflows[0].row(pgp.Name), again.Workflows[0].row(pgp.Name); a.Mean != b.Mean {
		t.Errorf("the rounds took %v, and %v when read again", a.Mean, b.Mean)
	}
	// Nothing is left: nothing is measured.
	did = nil
	if _, err := Run(t.Context(), o); err != nil || len(did) != 0 {
		t.Errorf("with nothing left it did %v, %v", did, err)
	}
	t.Run("changed", func(t *testing.T) { testChanged(t, o) })
}

func checkReport(t *testing.T, r *Report) {
	t.Helper()
	if len(r.Workflows) != 1 {
		t.Fatalf("%d workflows", len(r.Workflows))
	}
	w := &r.Workflows[0]
	if w.Tasks != 5 || w.Stages != 3 || w.Parallel != 3 || w.SLO <= Slack || w.Bound <= 0 {
		t.Errorf("workflow %+v", w)
	}
	if least := aim(Slack); w.Searched <= least || w.Searched >= aim(2*w.SLO) {
		t.Errorf("plans were searched for %v, of an SLO of %v", w.Searched, w.SLO)
	}
	for _, system := range []string{string(model.OneToOne), yardstick, pgp.Name} {
		row := w.row(system)
		if row == nil {
			t.Errorf("%s was not measured: %+v", system, w.Rows)
			continue
		}
		if row.Requests != 4 || row.Median <= 0 || row.P99 < row.Median || row.Path <= 0 || row.Run <= 0 || row.Ended <= 0 {
			t.Errorf("times of %s: %+v", system, row)
		}
		if row.Rest <= 0 || row.Busy < row.Rest || row.Rate <= 0 || row.PerHad < row.PerCPU || row.Money <= 0 || row.Live < 2*row.Wraps {
			t.Errorf("resources of %s: %+v", system, row)
		}
	}
	if one := w.row(string(model.OneToOne)); one != nil && (one.Wraps != 5 || one.CPUs != 5) {
		t.Errorf("one-to-one has %d wraps and %d CPUs", one.Wraps, one.CPUs)
	}
	if w.Modelled == nil || w.Modelled.Latency < 3*stepScheduling || len(w.Simulated) != 3 {
		t.Errorf("modelled %+v, simulated %+v", w.Modelled, w.Simulated)
	}
	dir := t.TempDir()
	if err := r.WriteFiles(dir); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, "report.txt"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.SplitSeq(string(text), "\n") {
		if utf8.RuneCountInString(line) > 100 && !strings.HasPrefix(line, "note: ") {
			t.Errorf("a line of %d columns: %s", utf8.RuneCountInString(line), line)
		}
	}
	page, err := os.ReadFile(filepath.Join(dir, "report.html"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"<svg", "one-to-one", "mixed", "</html>"} {
		if !bytes.Contains(page, []byte(want)) {
			t.Errorf("the page lacks %s", want)
		}
	}
	for _, outside := range []string{"src=", "@import", "<link", "url("} {
		if bytes.Contains(page, []byte(outside)) {
			t.Errorf("the page needs something else: %s", outside)
		}
	}
}

// testChanged: a run goes on only with what it began with.
func testChanged(t *testing.T, o Options) {
	for _, c := range []struct {
		name   string
		change func(*Options)
		want   string
	}{
		{"rounds", func(o *Options) { o.Rounds = 9 }, "4 rounds"},
		{"systems", func(o *Options) { o.Systems = []string{"sand"} }, "one-to-one,faastlane,chiron"},
		{"program", func(o *Options) {
			data, err := os.ReadFile(o.Agent)
			if err != nil {
				t.Fatal(err)
			}
			o.Agent = filepath.Join(t.TempDir(), "chiron-agent")
			if err := os.WriteFile(o.Agent, append(data, 0), 0o700); err != nil {
				t.Fatal(err)
			}
		}, "another chiron"},
		{"project", func(o *Options) {
			changed := files()
			changed["compute.py"] += "\n"
			o.Subjects = []Subject{{Project: benchtest.Project(t, changed)}}
		}, "changed since it was measured"},
	} {
		t.Run(c.name, func(t *testing.T) {
			now := o
			c.change(&now)
			if _, err := Run(t.Context(), now); err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "another folder") {
				t.Errorf("error %v, want %q", err, c.want)
			}
		})
	}
}

// TestRunRefuses: what is wrong is said before anything is measured.
func TestRunRefuses(t *testing.T) {
	project := benchtest.Project(t, files())
	self := serving.Programs{Chiron: os.Args[0], Agent: os.Args[0]} // nothing is started
	nowhere := errors.New("redis does not answer at 127.0.0.1:1: start it")
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	stored := files()
	stored["chiron.yaml"] += "objectStore: " + taken.Addr().String() + "\n"
	for _, c := range []struct {
		name string
		o    Options
		want string
	}{
		{"a port that is taken", Options{Subjects: []Subject{{Project: benchtest.Project(t, stored)}}, Programs: self}, "object store that the project asks for"},
		{"no workflow", Options{Programs: self}, "no workflow"},
		{"no program", Options{Subjects: []Subject{{Project: project}}}, "chiron-agent"},
		{"no such system", Options{Subjects: []Subject{{Project: project}}, Programs: self, Systems: []string{"best"}}, `no system "best"`},
		{"one round", Options{Subjects: []Subject{{Project: project}}, Programs: self, Rounds: 1}, "2 rounds"},
		{"twice", Options{Subjects: []Subject{{Project: project}, {Project: project}}, Programs: self}, "two workflows"},
		{"a store that is down", Options{Subjects: []Subject{{Project: project, Ready: func(context.Context) error { return nowhere }}}, Programs: self}, nowhere.Error()},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := Run(t.Context(), c.o); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %q", err, c.want)
			}
		})
	}
	if _, err := Read(t.TempDir(), ""); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a folder without a run: %v", err)
	}
}

// TestWrongAnswers: a system that answers wrongly is told, not timed.
func TestWrongAnswers(t *testing.T) {
	c := checker{}
	for _, good := range []string{`{"a":1,"b":[2]}`, ` {"b": [2], "a": 1}`} {
		if err := c.answer([]byte(good)); err != nil {
			t.Error(err)
		}
	}
	for _, bad := range []string{`{"a":1}`, `{"a":1.0,"b":[2]}`, `nonsense`} {
		if err := c.answer([]byte(bad)); err == nil {
			t.Errorf("%s is taken for right", bad)
		}
	}
	calls := 0
	c = checker{check: func([]byte) error { calls++; return nil }}
	for range 3 {
		if err := c.answer([]byte("x")); err != nil {
			t.Error(err)
		}
	}
	if calls != 1 {
		t.Errorf("the same answer was looked at %d times", calls)
	}
}

func definition(t *testing.T) *workflow.Definition {
	t.Helper()
	d, err := workflow.ParseDefinition("w.asl.json", []byte(files()["workflow.asl.json"]))
	if err != nil {
		t.Fatal(err)
	}
	return d
}
