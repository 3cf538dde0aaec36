package workflow

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// fourTasks: Fetch, then Sum, Mean and Again beside each other; Again calls sum
// too, so that function sum is two tasks.
const fourTasks = `{"StartAt": "Fetch", "States": {
	"Fetch": {"Type": "Task", "Resource": "fetch", "Next": "All"},
	"All": {"Type": "Parallel", "End": true, "Branches": [
		{"StartAt": "Sum", "States": {"Sum": {"Type": "Task", "Resource": "sum", "End": true}}},
		{"StartAt": "Mean", "States": {"Mean": {"Type": "Task", "Resource": "mean", "End": true}}},
		{"StartAt": "Again", "States": {"Again": {"Type": "Task", "Resource": "sum", "End": true}}}]}}}`

// ruled writes a project of fourTasks with more lines at its end.
func ruled(t *testing.T, more string) string {
	t.Helper()
	return writeTree(t, map[string]string{
		"chiron.yaml": `name: x
definition: w.json
functions:
  fetch: {handler: a.py, memory: 100Mi}
  sum: {handler: a.py, requirements: r.txt}
  mean: {handler: a.py}
  spare: {handler: a.py}
` + more,
		"w.json": fourTasks, "a.py": "", "r.txt": "numpy==1.26.4 # why\n-c c.txt\n", "c.txt": "six<2\n", "prices.json": "{}",
	})
}

func TestLoadRules(t *testing.T) {
	dir := ruled(t, `apart:
  - [fetch, Sum, mean]
  - [sum, Mean]
together: [Again, Fetch]
limits: {memory: 512Mi, cpus: 2, wraps: 4}
prices: prices.json
`)
	p, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	member := func(name string, tasks ...string) Member { return Member{Name: name, Tasks: tasks} }
	want := Rules{
		Apart: []Rule{
			{Members: []Member{member("fetch", "Fetch"), member("Sum", "Sum"), member("mean", "Mean")}},
			{Members: []Member{member("sum", "Sum", "Again"), member("Mean", "Mean")}},
		},
		Together: []Rule{{Members: []Member{member("Again", "Again"), member("Fetch", "Fetch")}}},
		Limits:   Limits{Memory: 512 << 20, CPUs: 2, Wraps: 4},
	}
	if diff := cmp.Diff(want, p.Rules, cmpopts.IgnoreTypes(Position{})); diff != "" {
		t.Errorf("rules (-want +got):\n%s", diff)
	}
	if got := p.Rules.Apart[1].Members[1].Pos; got.Line != 10 || got.Column != 11 {
		t.Errorf("the last name of apart is at %v", got)
	}
	if p.PricesFile != filepath.Join(dir, "prices.json") {
		t.Errorf("prices: %q", p.PricesFile)
	}
	var lines []string
	for _, line := range p.Functions["sum"].Packages {
		lines = append(lines, line.Text)
	}
	if diff := cmp.Diff([]string{"numpy==1.26.4", "-c c.txt", "six<2"}, lines); diff != "" {
		t.Errorf("packages (-want +got):\n%s", diff)
	}
}

func TestLoadRulesFaults(t *testing.T) {
	for _, test := range []struct {
		name, text string
		wants      []string
	}{
		{"unknown name", "apart: [[fetch, means]]", []string{`8:17: "apart" names no function and no task: "means"; did you mean "Mean"?; functions and tasks: Again, Fetch, Mean, Sum, fetch, mean, spare, sum`}},
		{"unused function", "together: [[fetch, spare]]", []string{`8:20: "together" names function "spare", which no task calls`}},
		{"one name", "apart: [[fetch]]", []string{`8:9: a list of "apart" needs two names at least`}},
		{"twice", "apart: [[fetch, fetch]]", []string{`8:17: "fetch" is twice in one list of "apart"`}},
		{"a function and its task", "together: [[sum, Again]]", []string{`8:18: "sum" and "Again" in one list of "together" both stand for task "Again"; name either`}},
		{"no list", "apart: fetch", []string{`8:8: "apart" must be a list of lists of names, not "fetch"; write: apart: [[NAME, NAME], …]`}},
		{"mapping", "apart: {fetch: mean}", []string{`8:8: "apart" must be a list of lists of names, not an object; write: apart: [[NAME, NAME], …]`}},
		{"mixed", "apart:\n- [fetch, mean]\n- sum", []string{`10:3: "apart" holds lists of names, and this is "sum"; write: apart: [[NAME, NAME], …]`}},
		{"no name", "apart: [[fetch, {a: b}]]", []string{`8:17: "apart" names functions or tasks, and this is an object`}},
		{"contradiction", "apart: [[fetch, mean]]\ntogether: [[mean, fetch]]", []string{`8:17: "fetch" and "mean" cannot be apart: they are together by line 9; take one of the rules out`}},
		{
			"contradiction by way of others", "together:\n- [fetch, Sum]\n- [Again, mean]\n- [Sum, Again]\napart: [[mean, fetch]]",
			[]string{`12:16: "mean" and "fetch" cannot be apart: they are together by lines 10, 11, 9; take one of the rules out`},
		},
		{"a function apart from one of its partners", "together: [[Fetch, Again]]\napart: [[sum, fetch]]", []string{`9:15: "sum" and "fetch" cannot be apart: they are together by line 8; take one of the rules out`}},
		{"too few wraps", "apart: [[fetch, Sum, mean]]\nlimits: {wraps: 2}", []string{`8:9: 3 names are to be apart in at most 2 wraps: "fetch", "Sum", "mean"; allow as many wraps, or take names out of "apart"`}},
		{"half a CPU", "limits: {cpus: 0.5}", []string{`8:16: cpus must be a whole number from 1 to 65536, not 0.5; a wrap has whole CPUs: write a number such as 2`}},
		{"millicores", "limits: {cpus: 500m}", []string{`8:16: cpus must be a whole number from 1 to 65536, not "500m"; a wrap has whole CPUs: write a number such as 2`}},
		{"no wraps", "limits: {wraps: 0}", []string{`8:17: wraps must be a whole number from 1 to 65536, not 0; write a number such as 4`}},
		{"Kubernetes' word", "limits: {cpu: 2}", []string{`8:10: no such field in "limits": "cpu"; did you mean "cpus"?; fields: memory, cpus, wraps`}},
		{"not a mapping", "limits: 512Mi", []string{`8:9: "limits" must be a mapping, not "512Mi"; write: limits: {memory: 512Mi, cpus: 2, wraps: 4}`}},
		{"less than a function has", "limits: {memory: 64Mi}", []string{`8:18: memory of 64Mi a wrap is less than the 104857600 bytes that function "fetch" is given on line 4`}},
		{"no prices", "prices: price.json", []string{`8:9: prices "price.json" does not exist; did you mean "prices.json"?`}},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := ruled(t, test.text+"\n")
			p, err := Load(dir)
			if err == nil {
				t.Fatalf("loaded: %+v", p.Rules)
			}
			got := strings.Split(strings.ReplaceAll(err.Error(), filepath.Join(dir, "chiron.yaml:"), ""), "\n")
			if diff := cmp.Diff(test.wants, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestAmbiguousName: a name that is a function's and another function's task's.
func TestAmbiguousName(t *testing.T) {
	dir := writeTree(t, map[string]string{
		"chiron.yaml": "name: x\ndefinition: w.json\nfunctions: {a: {handler: a.py}, b: {handler: a.py}}\napart: [[a, b]]\n",
		"w.json":      `{"StartAt": "a", "States": {"a": {"Type": "Task", "Resource": "b", "Next": "c"}, "c": {"Type": "Task", "Resource": "a", "End": true}}}`,
		"a.py":        "",
	})
	_, err := Load(dir)
	if err == nil || !strings.Contains(err.Error(), `chiron.yaml:4:10: "a" names a function, and also a task that is not the function's only one: which is meant?; rename one of them`) {
		t.Errorf("got %v", err)
	}
}

func TestPercentileOfSLO(t *testing.T) {
	for text, want := range map[string]float64{
		"slo: 1s": 95, "slo: {latency: 1s}": 95, "slo: {latency: 1s, percentile: 99.9}": 99.9, "slo: {latency: 1s, percentile: mean}": 0,
	} {
		p, err := Load(ruled(t, text+"\n"))
		if err != nil {
			t.Fatal(err)
		}
		if p.SLO.Percentile != want {
			t.Errorf("%s: percentile %v, want %v", text, p.SLO.Percentile, want)
		}
	}
}
