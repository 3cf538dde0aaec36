package systems

import (
	"context"
	"encoding/xml"
	"errors"
	"io"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/chiron-faas/chiron/host"
	"github.com/chiron-faas/chiron/internal/prices"
	"github.com/chiron-faas/chiron/profile"
	"github.com/chiron-faas/chiron/workflow"
)

func pythonVersion(t *testing.T) string {
	t.Helper()
	i, err := host.FindInterpreter(context.Background(), "python", "")
	if err != nil {
		t.Skip(err)
	}
	return i.Version
}

// TestTrace: First runs from 1 to 2 ms; A, B and C beside each other from 3, 4 and
// 5 to 6; Last from 7 to 9. The request takes 10 ms.
func TestTrace(t *testing.T) {
	d := definition(t)
	header := `[{"task":"Last","start_us":6000,"began_us":7000,"end_us":9500,"run_us":2000},{"task":"A","start_us":2000,"began_us":3000,"end_us":6000,"run_us":3000},
	{"task":"B","start_us":2000,"began_us":4000,"end_us":6100,"run_us":2000},{"task":"C","start_us":2000,"began_us":5000,"end_us":6200,"run_us":1000},
	{"task":"First","start_us":0,"began_us":1000,"end_us":2000,"run_us":1000}]`
	got, err := readTrace(d, header, 10*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	if path := got.path(); path != 4*time.Millisecond { // 0 to 1, 2 to 3, 6 to 7, 9 to 10
		t.Errorf("no function ran in %v, want 4 ms", path)
	}
	phases := got.phases(d)
	if len(phases) != 3 {
		t.Fatalf("%d parallel functions", len(phases))
	}
	for i, want := range []phase{{1, 3, 4}, {2, 2, 4}, {3, 1, 4}} {
		want = phase{want.start * time.Millisecond, want.run * time.Millisecond, want.end * time.Millisecond}
		if phases[i] != want {
			t.Errorf("function %d: %+v, want %+v", i, phases[i], want)
		}
	}
	for _, bad := range []string{"", "{}", `[{"task":"X"}]`, `[{"task":"A"},{"task":"A"},{"task":"B"},{"task":"C"},{"task":"Last"}]`, `[]`} {
		if _, err := readTrace(d, bad, 0); err == nil {
			t.Errorf("%q was read", bad)
		}
	}
}

// alike is a profile in which every function computes so long, and waits so long.
func alike(d *workflow.Definition, cpu, block time.Duration) *profile.Profile {
	p := &profile.Profile{}
	for _, task := range d.Tasks() {
		p.Functions = append(p.Functions, profile.Function{
			Name: task.Name, Tasks: []string{task.Name}, Wall: profile.Stat{Mean: cpu + block},
			Periods: []profile.Period{{Class: profile.CPU, Mean: cpu}, {Class: profile.Block, Mean: block}},
		})
	}
	return p
}

func TestBound(t *testing.T) {
	d := definition(t)
	// Three stages; in the middle one three tasks of 2 ms of CPU and 1 of waiting.
	p := alike(d, 2*time.Millisecond, time.Millisecond)
	for cpus, want := range map[int]time.Duration{1: 12, 2: 9, 40: 9} {
		if got := bound(d, p, cpus); got != want*time.Millisecond {
			t.Errorf("on %d CPUs %v, want %d ms", cpus, got, want)
		}
	}
}

func TestStepFunctions(t *testing.T) {
	table, err := prices.Load("aws")
	if err != nil {
		t.Fatal(err)
	}
	d := definition(t)
	m := modelled(d, alike(d, time.Millisecond, 0), table)
	// Three stages of 150 ms and 1 ms; five tasks and a Parallel state are charged.
	if m.Latency != 453*time.Millisecond || m.Scheduling != 450*time.Millisecond || m.Transitions != 6 || m.CPUs != 5 {
		t.Errorf("modelled %+v", m)
	}
	if least := 1e6 * 6 * table.Transition; m.Money <= least {
		t.Errorf("$%.2f a million, the transitions alone are $%.2f", m.Money, least)
	}
	// Ten at once: of 25 branches, five begin when twenty have ended.
	var branches []string
	for range 25 {
		branches = append(branches, `{"StartAt":"T`+string(rune('a'+len(branches)))+`","States":{"T`+string(rune('a'+len(branches)))+`":{"Type":"Task","Resource":"f","End":true}}}`)
	}
	wide, err := workflow.ParseDefinition("w", []byte(`{"StartAt":"P","States":{"P":{"Type":"Parallel","End":true,"Branches":[`+strings.Join(branches, ",")+`]}}}`))
	if err != nil {
		t.Fatal(err)
	}
	if m := modelled(wide, alike(wide, time.Millisecond, 0), table); m.Latency != 3*151*time.Millisecond {
		t.Errorf("25 functions, ten at once: %v", m.Latency)
	}
}

// TestTargets: the verdicts, and why one that is out of reach is missed.
func TestTargets(t *testing.T) {
	row := func(system string, median, busy int, cpus int, rate float64) Row {
		r := Row{System: system, Median: time.Duration(median) * time.Millisecond, Busy: int64(busy) * 1e6, CPUs: cpus, Rate: rate}
		r.PerCPU, r.PerHad = rate/float64(cpus), rate/float64(min(cpus, 2))
		return r
	}
	r := &Report{Workflows: []Workflow{
		{Name: "sn", Bound: 9 * time.Millisecond, Rows: []Row{row("one-to-one", 30, 100, 10, 40), row(yardstick, 11, 20, 5, 50), row("chiron", 10, 15, 1, 100)}},
		{Name: "other", Rows: []Row{row(yardstick, 10, 20, 5, 50), row("chiron", 100, 15, 1, 100)}},
	}}
	r.Workflows[0].Rows[2].Violations = 0.02
	got := make(map[string]Target)
	for _, target := range r.targets() {
		if target.Workflow != "sn" {
			t.Errorf("a target for %s", target.Workflow)
		}
		got[target.What] = target
	}
	for what, want := range map[string]struct {
		met bool
		why string
	}{
		"latency of Faastlane's":                           {false, "out of reach: the functions alone, on these CPUs, take 9.0 ms, the target is 8.2 ms"},
		"latency of one-to-one's":                          {true, ""},
		"throughput per allocated CPU, times Faastlane's":  {true, ""},
		"throughput per allocated CPU, times one-to-one's": {true, ""},
		"memory of Faastlane's":                            {true, ""},
		"SLO violations":                                   {false, ""},
	} {
		target, ok := got[what]
		if !ok || target.Met() != want.met || want.why != "" && target.Why != want.why {
			t.Errorf("%s: %+v", what, target)
		}
	}
}

// TestPictures: whatever there is to draw, a picture is well formed, and what is
// drawn lies in it.
func TestPictures(t *testing.T) {
	for name, p := range map[string]interface{ Encode(io.Writer) error }{
		"bars":          bars("a <b>", "ms", []string{"x", "y"}, []series{{name: "s", values: []float64{1, 2000}}, {name: "t", values: []float64{math.NaN()}}}),
		"no bars":       bars("", "", nil, nil),
		"curves":        distributions("c", []string{"p", "q"}, "ms", [][]curve{{{name: "a", values: []float64{3, 1, 2}}}, {{name: "a"}}}),
		"no curves":     distributions("", nil, "", nil),
		"timelines":     timelines("t", []timeline{{title: "x", long: 3, tasks: []strip{{name: strings.Repeat("n", 50), begin: 1, end: 2}}}}),
		"no timelines":  timelines("", nil),
		"many series":   bars("m", "ms", []string{"x"}, make([]series, 12)),
		"long timeline": timelines("l", []timeline{{tasks: make([]strip, 300)}}),
	} {
		var b strings.Builder
		if err := p.Encode(&b); err != nil {
			t.Fatal(err)
		}
		decoder := xml.NewDecoder(strings.NewReader(b.String()))
		for {
			if _, err := decoder.Token(); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
		if strings.Contains(b.String(), "NaN") || strings.Contains(b.String(), "Inf") {
			t.Errorf("%s: a coordinate is no number", name)
		}
	}
}
