// Package predicttest writes workflows, profiles and plans in short for the
// tests of what predicts and plans.
package predicttest

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

// A graph of a workflow is a task's name, a Seq or a Par of graphs. A Seq may
// not stand in a Seq.
type (
	// Seq is one after the other.
	Seq []any
	// Par is at the same time: a Parallel state, a branch each.
	Par []any
)

// Define makes a definition of a graph; every task calls a function "f".
func Define(t testing.TB, graph any) *workflow.Definition {
	t.Helper()
	parallels := 0
	var machine func(g any) map[string]any
	machine = func(g any) map[string]any {
		steps, ok := g.(Seq)
		if !ok {
			steps = Seq{g}
		}
		states := make(map[string]any)
		var names []string
		for _, step := range steps {
			switch step := step.(type) {
			case string:
				states[step] = map[string]any{"Type": "Task", "Resource": "f"}
				names = append(names, step)
			case Par:
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

// Behave makes a profile of "a: cpu 10 block 2.5, b: native 3"; times in ms.
func Behave(t testing.TB, text string) *profile.Profile {
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

// Arrange makes a plan of "wrap; wrap", a wrap being "cpus: process | process", a
// process "mode@cpu task task"; without @cpu it is not pinned.
func Arrange(t testing.TB, text string) *plan.Plan {
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
