package predict

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/chiron-faas/chiron/plan"
	"github.com/chiron-faas/chiron/profile"
	"github.com/chiron-faas/chiron/workflow"
)

const ms = time.Millisecond

// graph is a series-parallel workflow: a task's name, seq{…} or par{…}.
type (
	seq []any
	par []any
)

// define makes a definition of a graph; every task calls a function "f".
func define(t testing.TB, graph any) *workflow.Definition {
	t.Helper()
	parallels := 0
	var machine func(g any) map[string]any
	machine = func(g any) map[string]any {
		steps, ok := g.(seq)
		if !ok {
			steps = seq{g}
		}
		states := make(map[string]any)
		var names []string
		for _, step := range steps {
			switch step := step.(type) {
			case string:
				states[step] = map[string]any{"Type": "Task", "Resource": "f"}
				names = append(names, step)
			case par:
				parallels++
				name := "parallel" + strconv.Itoa(parallels)
				var branches []any
				for _, b := range step {
					branches = append(branches, machine(b))
				}
				states[name] = map[string]any{"Type": "Parallel", "Branches": branches}
				names = append(names, name)
			default:
				t.Fatalf("%T is no graph", step)
			}
		}
		for i, n := range names {
			if i+1 < len(names) {
				states[n].(map[string]any)["Next"] = names[i+1]
			} else {
				states[n].(map[string]any)["End"] = true
			}
		}
		return map[string]any{"StartAt": names[0], "States": states}
	}
	data, err := json.Marshal(machine(graph))
	if err != nil {
		t.Fatal(err)
	}
	d, err := workflow.ParseDefinition("workflow.asl.json", data)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// behave makes a profile of "a: cpu 10 block 2.5, b: native 3"; times in ms.
func behave(t testing.TB, text string) *profile.Profile {
	t.Helper()
	p := &profile.Profile{Workflow: "w"}
	for one := range strings.SplitSeq(text, ",") {
		name, rest, _ := strings.Cut(strings.TrimSpace(one), ":")
		f := profile.Function{Name: "f", Tasks: []string{name}}
		words := strings.Fields(rest)
		for i := 0; i+1 < len(words); i += 2 {
			v, err := strconv.ParseFloat(words[i+1], 64)
			if err != nil {
				t.Fatal(err)
			}
			f.Periods = append(f.Periods, profile.Period{Class: profile.Class(words[i]), Mean: time.Duration(v * 1e6)})
		}
		p.Functions = append(p.Functions, f)
	}
	return p
}

// arrange makes a plan of "wrap; wrap", a wrap being "cpus: process | process", a
// process "mode@cpu task task"; without @cpu it is not pinned.
func arrange(t testing.TB, text string) *plan.Plan {
	t.Helper()
	pl := &plan.Plan{Workflow: "w", Model: "test"}
	for i, one := range strings.Split(text, ";") {
		cpus, rest, _ := strings.Cut(one, ":")
		n, err := strconv.Atoi(strings.TrimSpace(cpus))
		if err != nil {
			t.Fatal(err)
		}
		w := plan.Wrap{Name: fmt.Sprintf("wrap-%d", i+1), CPUs: n}
		for part := range strings.SplitSeq(rest, "|") {
			words := strings.Fields(part)
			mode, cpu, pinned := strings.Cut(words[0], "@")
			p := plan.Process{Mode: plan.Mode(mode), CPU: plan.Unpinned, Tasks: words[1:]}
			if pinned {
				if p.CPU, err = strconv.Atoi(cpu); err != nil {
					t.Fatal(err)
				}
			}
			w.Processes = append(w.Processes, p)
		}
		pl.Wraps = append(pl.Wraps, w)
	}
	return pl
}

// The arithmetic of each case stands beside it.
func TestPredict(t *testing.T) {
	paper := Paper()
	paper.ThreadStart = 0
	paper.IPC = ms
	own := Calibration{Request: ms, Dispatch: 500 * time.Microsecond, SwitchInterval: 5 * ms}
	free := Calibration{SwitchInterval: 5 * ms}
	started := free
	started.ThreadStart = 600 * time.Microsecond
	for _, c := range []struct {
		name        string
		graph       any
		profile     string
		plan        string
		calibration Calibration
		machine     int
		want        float64 // ms
	}{
		// 1 request + 0.5 dispatch + 10.
		{"one task", "a", "a: cpu 10", "1: pool a", own, 0, 11.5},
		// 1 + (0.5 + 10) + (0.5 + 4 + 3).
		{"two tasks in series", seq{"a", "b"}, "a: cpu 10, b: cpu 4 block 3", "1: pool a b", own, 0, 19},
		// A 0-5, B 5-10, A 10-15, B 15-20: one lock, no pause.
		{"two threads compute", par{"a", "b"}, "a: cpu 10, b: cpu 10", "2: pool a b", free, 0, 20},
		// B comes at 0.6 and asks at 5.6; the lock is never free before 20.
		{"the second thread starts later", par{"a", "b"}, "a: cpu 10, b: cpu 10", "2: pool a b", started, 0, 20},
		// B computes from 1. A wakes at 11, asks at 16 (B holds since 1), runs
		// 16-17; B has 5 left then: 17-22.
		{"a waking thread waits for the interval", par{"a", "b"}, "a: cpu 1 block 10 cpu 1, b: cpu 20", "1: pool a b", free, 0, 22},
		// Blocks overlap: 1 + 1 of CPU, then both sleep; the second wakes at 12.
		{"blocks overlap", par{"a", "b"}, "a: cpu 1 block 10, b: cpu 1 block 10", "1: pool a b", free, 0, 12},
		// No lock is needed: 10 on two CPUs, 20 on one.
		{"native on two CPUs", par{"a", "b"}, "a: native 10, b: native 10", "2: pool a b", free, 0, 10},
		{"native on one CPU", par{"a", "b"}, "a: native 10, b: native 10", "1: pool a b", free, 0, 20},
		// Native beside Python on one CPU: they share it, 8 + 8.
		{"native beside Python", par{"a", "b"}, "a: native 8, b: cpu 8", "1: pool a b", free, 0, 16},
		// Equations 3 and 4: (3-1)·4 + 13 + 10 = 31, + (3-1)·1 = 33.
		{"three forks", par{"a", "b", "c"}, "a: cpu 10, b: cpu 10, c: cpu 10", "3: fork a | fork b | fork c", paper, 0, 33},
		// Equation 2: wrap 2: 10 + 1·4 + 20 = 34; wrap 3: 10 + 2·4 + 20 = 38.
		{"three wraps", par{"a", "b", "c"}, "a: cpu 10, b: cpu 10, c: cpu 10", "1: pool a; 1: pool b; 1: pool c", paper, 0, 38},
		// Wrap 1 gathers two processes, 40 + 1; wrap 2 is done at 4 + 20 + 3.
		{"the slowest wrap decides", par{"a", "b", "c"}, "a: cpu 40, b: cpu 2, c: cpu 3", "2: pool a | pool b; 1: pool c", paper, 0, 41},
		// Equation 2 for a stage of one task in wrap 2: 4 + 20 + 10.
		{"a task elsewhere", "a", "a: cpu 10", "1: pool ; 1: pool a", paper, 0, 34},
		// Two processes on one CPU take turns: 10 + 10.
		{"fewer CPUs than processes", par{"a", "b"}, "a: cpu 10, b: cpu 10", "1: pool a | pool b", free, 0, 20},
		// Three on two CPUs: each gets 2/3 of one, 10 / (2/3).
		{"three processes on two CPUs", par{"a", "b", "c"}, "a: cpu 10, b: cpu 10, c: cpu 10", "2: pool a | pool b | pool c", free, 0, 15},
		// A and B are pinned to CPU 0: 20. C has the other: 10.
		{"pinned together", par{"a", "b", "c"}, "a: cpu 10, b: cpu 10, c: cpu 10", "2: pool@0 a | pool@0 b | pool c", free, 0, 20},
		// Two wraps of a CPU each, on a machine with one.
		{"wraps share the machine", par{"a", "b"}, "a: cpu 10, b: cpu 10", "1: pool a; 1: pool b", free, 1, 20},
		// (a 3, b 4) beside c 5, then d 2: 7 + 2; a process each.
		{"a branch of several states", seq{par{seq{"a", "b"}, "c"}, "d"}, "a: cpu 3, b: cpu 4, c: cpu 5, d: cpu 2", "3: pool a d | pool b | pool c", free, 0, 9},
		// Inside b|c: 6; the branch: 1 + 6 + 1 = 8; beside it e: 9.
		{"a Parallel in a branch", par{seq{"a", par{"b", "c"}, "d"}, "e"}, "a: cpu 1, b: cpu 6, c: cpu 2, d: cpu 1, e: cpu 9", "4: pool a d | pool b | pool c | pool e", free, 0, 9},
		// The branch's second task runs in wrap 2: 5 + (4 + 20 + 5).
		{"a branch over two wraps", par{seq{"a", "b"}, "c"}, "a: cpu 5, b: cpu 5, c: cpu 1", "2: pool a | pool c; 1: pool b", paper, 0, 35},
		{"nothing to do", "a", "a:", "1: pool a", own, 0, 1.5},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, err := New(define(t, c.graph), behave(t, c.profile), &c.calibration, Options{CPUs: c.machine})
			if err != nil {
				t.Fatal(err)
			}
			pl := arrange(t, c.plan)
			got, err := p.Predict(pl)
			if err != nil {
				t.Fatal(err)
			}
			if want := time.Duration(c.want * 1e6); got.Latency != want {
				t.Errorf("latency %v, want %v\n%v", got.Latency, want, got.Timeline)
			}
			again, err := p.Latency(pl)
			if err != nil || again != got.Latency {
				t.Errorf("without the timeline: %v, %v, want %v", again, err, got.Latency)
			}
		})
	}
}

func TestSwitchIntervalOfThePlan(t *testing.T) {
	// As "a waking thread waits", with 1 ms: A wakes at 11, asks at 12, runs
	// 12-13; B has 9 left then: 13-22. A is done 4 ms earlier.
	c := Calibration{SwitchInterval: 5 * ms}
	pl := arrange(t, "1: pool a b")
	pl.Wraps[0].Processes[0].SwitchInterval = ms
	got, err := Predict(define(t, par{"a", "b"}), behave(t, "a: cpu 1 block 10 cpu 1, b: cpu 20"), pl, &c)
	if err != nil {
		t.Fatal(err)
	}
	end := time.Duration(0)
	for _, s := range got.Timeline {
		if s.Task == "a" {
			end = s.End
		}
	}
	if got.Latency != 22*ms || end != 13*ms {
		t.Errorf("latency %v and a's end %v, want 22ms and 13ms\n%v", got.Latency, end, got.Timeline)
	}
}

func TestPredictRefuses(t *testing.T) {
	d, prof := define(t, seq{"a", "b"}), behave(t, "a: cpu 1, b: cpu 1")
	c := Calibration{SwitchInterval: 5 * ms}
	for name, k := range map[string]struct {
		profile *profile.Profile
		plan    string
		want    string
	}{
		"a task without a place":   {prof, "1: pool a", `no place for task "b"`},
		"a task placed twice":      {prof, "1: pool a b a", `"a" twice`},
		"an unknown task":          {prof, "1: pool a b z", `"z"`},
		"a CPU that is not there":  {prof, "1: pool@1 a b", "CPU 1 of 1"},
		"a task without a profile": {behave(t, "a: cpu 1"), "1: pool a b", `profile has no task "b"`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Predict(d, k.profile, arrange(t, k.plan), &c)
			if err == nil || !strings.Contains(err.Error(), k.want) {
				t.Errorf("error %v, want one with %s", err, k.want)
			}
		})
	}
}
