package plan

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/chiron-faas/chiron/profile"
	"github.com/chiron-faas/chiron/workflow"
	"github.com/google/go-cmp/cmp"
)

// sample has every field set somewhere.
func sample() *Plan {
	return &Plan{
		Workflow: "orders", Model: "chiron",
		Objective: &Objective{
			Goal: FewestCPUs, MostCPUs: 4, SLO: 120 * time.Millisecond, Percentile: 99.9,
			Predicted: 103400 * time.Microsecond, Samples: 1000, Seed: 7,
		},
		Wraps: []Wrap{
			{Name: "wrap-1", CPUs: 2, Memory: 256 << 20, Processes: []Process{
				{Mode: Pool, CPU: 0, SwitchInterval: time.Millisecond, Uses: 500, Tasks: []string{"A", "B & <C>"}},
				{Mode: Fork, CPU: Unpinned, Tasks: []string{"D"}},
			}},
			{Name: "wrap-2", CPUs: 1, Processes: []Process{{Mode: Standby, CPU: Unpinned, Ready: 3, Tasks: []string{"E"}}}},
		},
	}
}

const sampleText = `{
  "apiVersion": "chiron/v1",
  "workflow": "orders",
  "model": "chiron",
  "objective": {
    "goal": "cpus",
    "mostCPUs": 4,
    "slo": "120ms",
    "percentile": 99.9,
    "predicted": "103.4ms",
    "samples": 1000,
    "seed": 7
  },
  "wraps": [
    {
      "name": "wrap-1",
      "cpus": 2,
      "memoryBytes": 268435456,
      "processes": [
        {
          "mode": "pool",
          "cpu": 0,
          "switchInterval": "1ms",
          "uses": 500,
          "tasks": ["A", "B & <C>"]
        },
        {
          "mode": "fork",
          "tasks": ["D"]
        }
      ]
    },
    {
      "name": "wrap-2",
      "cpus": 1,
      "processes": [
        {
          "mode": "standby",
          "ready": 3,
          "tasks": ["E"]
        }
      ]
    }
  ]
}
`

func TestEncodeAndDecode(t *testing.T) {
	var text bytes.Buffer
	if err := sample().Encode(&text); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(sampleText, text.String()); diff != "" {
		t.Errorf("the text (-want +got):\n%s", diff)
	}
	got, err := Decode(text.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(sample(), got); diff != "" {
		t.Errorf("what was read is not what was written (-want +got):\n%s", diff)
	}
	text.Reset()
	if err := got.Placement().Encode(&text); err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(text.Bytes())
	if want := hex.EncodeToString(sum[:]); got.Digest() != want {
		t.Errorf("the digest is %s, that of what runs %s", got.Digest(), want)
	}
	// Without an objective it is a plan still, as those of earlier versions are.
	if old, err := Decode(text.Bytes()); err != nil || old.Objective != nil || old.Digest() != got.Digest() {
		t.Errorf("without the objective: %v, digest %s", err, old.Digest())
	}
	changed := sample()
	changed.Wraps[0].Processes[1].CPU = 1
	if changed.Digest() == got.Digest() {
		t.Error("another plan has the same digest")
	}
	if (&Plan{}).Digest() != "" {
		t.Error("a plan that cannot be encoded has a digest")
	}
	// Inside another document, as a report holds it.
	outer, err := json.Marshal(map[string]*Plan{"plan": sample()})
	if err != nil {
		t.Fatal(err)
	}
	var inner map[string]*Plan
	if err := json.Unmarshal(outer, &inner); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(sample(), inner["plan"]); diff != "" {
		t.Error(diff)
	}
}

func TestReadAndWrite(t *testing.T) {
	path := filepath.Join(t.TempDir(), "plan.json")
	if err := Write(path, sample()); err != nil {
		t.Fatal(err)
	}
	got, err := Read(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(sample(), got); diff != "" {
		t.Error(diff)
	}
	if err := os.WriteFile(path, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Read(path); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("a bad file gives %v", err)
	}
	if err := Write(path, &Plan{}); err == nil {
		t.Error("an empty plan was written")
	}
}

func TestDecodeRefuses(t *testing.T) {
	change := func(old, replacement string) string {
		if !strings.Contains(sampleText, old) {
			t.Fatalf("the sample has no %s", old)
		}
		return strings.Replace(sampleText, old, replacement, 1)
	}
	for name, test := range map[string]struct{ text, want string }{
		"empty":              {"", "it is empty: it is not a plan"},
		"truncated":          {sampleText[:200], "truncated after 200 bytes"},
		"unknown field":      {change(`"cpus": 2`, `"cpu": 2`), `a field "cpu"`},
		"other version":      {change("chiron/v1", "chiron/v2"), `apiVersion is "chiron/v2"`},
		"unknown goal":       {change(`"goal": "cpus"`, `"goal": "speed"`), `unknown goal "speed"`},
		"no goal":            {change(`"goal": "cpus",`, ``), `unknown goal ""`},
		"unknown key of it":  {change(`"goal"`, `"aim": 1, "goal"`), `a field "aim"`},
		"percentile":         {change(`99.9`, `100`), `a percentile of 100`},
		"negative SLO":       {change(`"120ms"`, `"-1s"`), `an slo of -1s`},
		"negative budget":    {change(`"mostCPUs": 4`, `"mostCPUs": -4`), `at most -4 CPUs`},
		"nothing predicted":  {change(`"103.4ms"`, `"0s"`), `0s predicted by 1000 samples`},
		"no samples":         {change(`"samples": 1000`, `"samples": 0`), `by 0 samples`},
		"unknown mode":       {change(`"fork"`, `"spawn"`), `unknown mode "spawn": it must be "pool", "fork" or "standby"`},
		"ready of a pool":    {change(`"uses"`, `"ready"`), `process 1: ready is 500: only a standby process`},
		"ready negative":     {change(`"ready": 3`, `"ready": -3`), `ready is -3: it must be 1 to 1000`},
		"uses of a standby":  {change(`"ready"`, `"uses"`), `process 1: uses is 3: only a pool process`},
		"uses negative":      {change(`"uses": 500`, `"uses": -1`), `uses is -1: it must be 1 or more`},
		"CPU out of range":   {change(`"cpu": 0`, `"cpu": 2`), `pinned to CPU 2 of a wrap that has CPUs 0 to 1`},
		"negative CPU":       {change(`"cpu": 0`, `"cpu": -1`), `cpu is -1: leave it out`},
		"no CPUs":            {change(`"cpus": 1`, `"cpus": 0`), `wrap "wrap-2": 0 CPUs`},
		"name twice":         {change(`wrap-2`, `wrap-1`), `the name "wrap-1" is taken`},
		"name no DNS label":  {change(`wrap-2`, `Wrap_2`), `"Wrap_2" is not a DNS label`},
		"task twice":         {change(`"E"`, `"A"`), `task "A" is in wrap "wrap-1": process 1 already`},
		"no tasks":           {change(`"E"`, ``), "it has no tasks"},
		"null tasks":         {change(`["E"]`, `null`), "it has no tasks"},
		"no wraps":           {`{"apiVersion":"chiron/v1","workflow":"w","model":"m","wraps":[]}`, "no wraps"},
		"switch interval":    {change(`"1ms"`, `"1h"`), "a switch interval of 1h0m0s"},
		"a bare interval":    {change(`"1ms"`, `"1"`), `"1" is not a duration`},
		"interval, a number": {change(`"1ms"`, `1`), `must not be a JSON number`},
		"negative memory":    {change(`268435456`, `-1`), "-1 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Decode([]byte(test.text))
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, which does not say %q", err, test.want)
			}
		})
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(sampleText))
	f.Add([]byte(`{"apiVersion":"chiron/v1","wraps":[{"name":"a","cpus":1,"processes":[{"mode":"pool","tasks":["\u2028\"tasks\": ["]}]}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := Decode(data)
		if err != nil {
			return
		}
		var text bytes.Buffer
		if err := p.Encode(&text); err != nil {
			t.Fatalf("accepted, but not written: %v", err)
		}
		again, err := Decode(text.Bytes())
		if err != nil {
			t.Fatalf("written, but not read: %v\n%s", err, text.String())
		}
		if diff := cmp.Diff(p, again); diff != "" {
			t.Error(diff)
		}
		p.Tree(100)
	})
}

// definition is a Task First, then a Parallel of the tasks given, each calling
// the function of its lower-case name.
func definition(t testing.TB, tasks ...string) *workflow.Definition {
	t.Helper()
	var branches []string
	for _, name := range tasks {
		branches = append(branches, fmt.Sprintf(`{"StartAt":%q,"States":{%q:{"Type":"Task","Resource":%q,"End":true}}}`, name, name, strings.ToLower(name)))
	}
	text := `{"StartAt":"First","States":{"First":{"Type":"Task","Resource":"first","Next":"All"},"All":{"Type":"Parallel","Branches":[` +
		strings.Join(branches, ",") + `],"End":true}}}`
	d, err := workflow.ParseDefinition("w.asl.json", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func pool(tasks ...string) Process { return Process{Mode: Pool, CPU: Unpinned, Tasks: tasks} }

func TestCheck(t *testing.T) {
	d := definition(t, "A", "B", "C")
	functions := map[string]*workflow.Function{
		"first": {Lang: "python"}, "a": {Lang: "python"}, "b": {Lang: "python"}, "c": {Lang: "python", Runtime: "3.8"},
	}
	wraps := func(w ...Wrap) *Plan {
		for i := range w {
			w[i].Name, w[i].CPUs = fmt.Sprintf("wrap-%d", i+1), 1
		}
		return &Plan{Wraps: w}
	}
	for name, test := range map[string]struct {
		plan      *Plan
		functions map[string]*workflow.Function
		want      []string // none: the plan is good
	}{
		"good": {
			wraps(Wrap{Processes: []Process{pool("First", "A"), pool("B")}}, Wrap{Processes: []Process{pool("C")}}),
			functions, nil,
		},
		"functions not known": {wraps(Wrap{Processes: []Process{pool("First", "A", "B", "C")}}), nil, nil},
		"runtimes together": {
			wraps(Wrap{Processes: []Process{pool("First", "A"), pool("B", "C")}}), functions,
			[]string{`wrap "wrap-1": tasks "First" and "C" may not share a wrap: function "first" needs python (the machine's default), function "c" needs python 3.8`},
		},
		"missing and unknown": {
			wraps(Wrap{Processes: []Process{pool("First", "X")}}), nil,
			[]string{`the workflow has no Task state "X"`, `no wrap has task "A"`, `no wrap has task "B"`, `no wrap has task "C"`},
		},
		"no function": {
			wraps(Wrap{Processes: []Process{pool("First", "A", "B", "C")}}),
			map[string]*workflow.Function{"first": {}, "a": {}, "b": {}},
			[]string{`task "C" calls function "c"`},
		},
	} {
		t.Run(name, func(t *testing.T) {
			err := Check(test.plan, d, test.functions, nil)
			if len(test.want) == 0 && err != nil {
				t.Fatal(err)
			}
			for _, want := range test.want {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("got %v, which does not say %q", err, want)
				}
			}
		})
	}
}

func TestConflictsOfFiles(t *testing.T) {
	d := definition(t, "A", "B", "C")
	measured := &profile.Profile{Functions: []profile.Function{
		{Name: "a", Tasks: []string{"A"}, Files: []string{"/tmp/z", "/tmp/out"}},
		{Name: "b", Tasks: []string{"B"}, Files: []string{"/tmp/a", "/tmp/out"}},
		{Name: "c", Tasks: []string{"C"}, Files: []string{"/tmp/c"}},
	}}
	c := NewConflicts(d, nil, measured, nil)
	for _, test := range []struct{ a, b, want string }{
		{"A", "B", `functions "a" and "b" both write /tmp/out`},
		{"A", "C", ""},
		{"A", "First", ""},
		{"A", "A", ""},
	} {
		if got := c.Between(test.a, test.b); got != test.want {
			t.Errorf("between %s and %s: %q, want %q", test.a, test.b, got, test.want)
		}
		if c.Between(test.a, test.b) == "" != (c.Between(test.b, test.a) == "") {
			t.Errorf("%s and %s: the order matters", test.a, test.b)
		}
	}
	if diff := cmp.Diff([][]string{{"First", "A", "C"}, {"B"}}, c.Groups([]string{"First", "A", "B", "C"})); diff != "" {
		t.Error(diff)
	}
	p := &Plan{Wraps: []Wrap{{Name: "w", CPUs: 1, Processes: []Process{pool("First", "A"), pool("C", "B")}}}}
	if err := p.Apart(c); err == nil || !strings.Contains(err.Error(), `tasks "A" and "B" may not share a wrap`) {
		t.Errorf("got %v", err)
	}
}

// held makes a function's memory of megabytes.
func held(host, worker, imports, calls, transient int64) profile.Memory {
	const mb = 1e6
	return profile.Memory{
		Host: profile.Footprint{RSS: host * mb}, Worker: profile.Footprint{Private: worker * mb},
		Imports: profile.Footprint{RSS: imports * mb}, Calls: profile.Footprint{Private: calls * mb}, Transient: transient * mb,
	}
}

func TestCosts(t *testing.T) {
	p := sample()
	if p.CPUs() != 3 {
		t.Errorf("%d CPUs, want 3", p.CPUs())
	}
	measured := &profile.Profile{Functions: []profile.Function{
		{Name: "a", Tasks: []string{"A", "B & <C>"}, Memory: held(10, 1, 5, 4, 2)},
		{Name: "d", Tasks: []string{"D"}, Memory: held(12, 2, 20, 6, 0)},
		{Name: "e", Tasks: []string{"E"}, Memory: held(12, 2, 2, 1, 0)},
	}}
	// Wrap 1: host 12, imports 5 + 20; process 1: 1 + 4 once + 2 twice, process
	// 2: 2 + 6: 54 MB. Wrap 2: 12 + 2 + 2 + 1 = 17 MB, and 2 of a child that waits.
	if got := p.MemoryEstimate(measured); got != 73e6 {
		t.Errorf("%d bytes, want 73 MB", got)
	}
	// While only A runs, D's process is not there, 8 less, B frees nothing, 2, and
	// of E's there is only the child that waits, 3 less.
	if got := p.MemoryDuring(measured, func(task string) bool { return task == "A" }); got != 60e6 {
		t.Errorf("while A runs: %d bytes, want 60 MB", got)
	}
	// 0.1 s · (0.2 GB · 2.5e-6 + 3 · 2.1 · 1e-5) = 0.1 · 6.35e-5 = 6.35e-6 a
	// request, 6.35 a million; with 10 transitions 250 more.
	u := Usage{Latency: 100 * time.Millisecond, CPUs: 3, Memory: 200e6}
	if got := PaperPrices().Money(u); math.Abs(got-6.35) > 1e-9 {
		t.Errorf("%g USD, want 6.35", got)
	}
	u.Transitions = 10
	if got := PaperPrices().Money(u); math.Abs(got-256.35) > 1e-9 {
		t.Errorf("%g USD, want 256.35", got)
	}
}

func TestTree(t *testing.T) {
	want := `orders · chiron · 2 wraps, 3 CPUs
├─ wrap-1 · 2 CPUs, 269 MB
│  ├─ pool on CPU 0, 500 uses, switches every 1ms · A, B & <C>
│  └─ fork · D
└─ wrap-2 · 1 CPU
   └─ standby, 3 ready · E
`
	if diff := cmp.Diff(want, sample().Tree(100)); diff != "" {
		t.Error(diff)
	}
	var many []string
	for i := range 200 {
		many = append(many, fmt.Sprintf("Prüfung%d", i))
	}
	p := &Plan{Workflow: "w", Model: "m", Wraps: []Wrap{{Name: "wrap-1", CPUs: 1, Processes: []Process{pool(many...), pool("Z")}}}}
	text := p.Tree(100)
	widest := 0
	for line := range strings.Lines(text) {
		widest = max(widest, utf8.RuneCountInString(strings.TrimRight(line, "\n")))
	}
	if widest > 100 || widest < 85 {
		t.Errorf("the widest line has %d characters:\n%s", widest, text)
	}
	for _, name := range many {
		if !strings.Contains(text, " "+name) {
			t.Errorf("%s is missing", name)
		}
	}
}

func TestCloneAndPlaces(t *testing.T) {
	p := sample()
	c := p.Clone()
	if diff := cmp.Diff(p, c); diff != "" {
		t.Fatal(diff)
	}
	c.Wraps[0].Processes[0].Tasks[0] = "Changed"
	c.Wraps[1].Name = "changed"
	c.Objective.Goal = LowestMoney
	if diff := cmp.Diff(sample(), p); diff != "" {
		t.Errorf("a change of the copy changed the plan:\n%s", diff)
	}
	want := map[string]Place{"A": {0, 0}, "B & <C>": {0, 0}, "D": {0, 1}, "E": {1, 0}}
	if diff := cmp.Diff(want, p.Places()); diff != "" {
		t.Error(diff)
	}
}

func TestManifest(t *testing.T) {
	want := &Manifest{
		APIVersion: APIVersion, PlanID: "abc", Wrap: "wrap-1", Lang: "python", Runtime: "3.12", Concurrency: 4,
		Functions: []ManifestFunction{
			{Name: "a", File: "functions/a/handler.py", Symbol: "handle", Env: map[string]string{"B": "2", "A": "1"}, Timeout: 90 * time.Second, Memory: 5},
			{Name: "b", File: "functions/b/handler.py"},
		},
	}
	var text bytes.Buffer
	unversioned := *want
	unversioned.APIVersion = ""
	if err := unversioned.Encode(&text); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(text.String(), `"timeout": "1m30s"`) {
		t.Errorf("the timeout is not readable:\n%s", text.String())
	}
	got, err := DecodeManifest(text.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	for name, test := range map[string]struct{ old, replacement, want string }{
		"unknown key":             {`"wrap"`, `"warp"`, `a field "warp"`},
		"unknown key of function": {`"memory"`, `"memories"`, `a field "memories"`},
		"timeout":                 {`"1m30s"`, `"90"`, `"90" is not a duration`},
		"function twice":          {`"name": "b"`, `"name": "a"`, `function "a" is listed twice`},
		"no file":                 {`"functions/b/handler.py"`, `""`, `function "b" has no file`},
		"version":                 {`chiron/v1`, `chiron/v0`, `apiVersion is "chiron/v0"`},
		"wrap":                    {`"wrap-1"`, `"../x"`, "not a DNS label"},
	} {
		t.Run(name, func(t *testing.T) {
			changed := strings.Replace(text.String(), test.old, test.replacement, 1)
			if changed == text.String() {
				t.Fatal("nothing was changed")
			}
			if _, err := DecodeManifest([]byte(changed)); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, which does not say %q", err, test.want)
			}
		})
	}
	path := filepath.Join(t.TempDir(), "wrap.json")
	if err := os.WriteFile(path, text.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadManifest(path); err != nil {
		t.Error(err)
	}
	if _, err := ReadManifest(path + "x"); err == nil {
		t.Error("a missing file is no error")
	}
}

// A wrap's concurrency is kept where it has one.
func TestConcurrency(t *testing.T) {
	p := sample()
	if p.Wraps[0].MaxInside() != DefaultConcurrency {
		t.Errorf("a wrap that says nothing takes %d requests, want %d", p.Wraps[0].MaxInside(), DefaultConcurrency)
	}
	p.Wraps[0].Concurrency = 4
	text, err := p.text()
	if err != nil {
		t.Fatal(err)
	}
	if n := bytes.Count(text, []byte(`"concurrency": 4`)); n != 1 {
		t.Errorf("concurrency stands in the file %d times, want once", n)
	}
	back, err := Decode(text)
	if err != nil {
		t.Fatal(err)
	}
	if back.Wraps[0].MaxInside() != 4 || back.Wraps[1].Concurrency != 0 {
		t.Errorf("read back as %+v", back.Wraps)
	}
	p.Wraps[0].Concurrency = -1
	if _, err := p.text(); err == nil || !strings.Contains(err.Error(), "concurrency of -1") {
		t.Errorf("a negative concurrency: %v", err)
	}
}
