package calibrate

import (
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/chiron-faas/chiron/plan"
	"github.com/chiron-faas/chiron/workflow"
)

// handlers are the functions that the tiny workflows are made of.
//
//go:embed functions/*.py
var handlers embed.FS

// The functions, by file name.
const (
	spin = "spin" // some milliseconds of computing with the lock held
	doze = "doze" // a sleep of a millisecond
)

// writeHandlers puts the functions' code into dir and returns them as a
// project has them.
func writeHandlers(dir, runtime string) (map[string]*workflow.Function, error) {
	functions := make(map[string]*workflow.Function)
	for _, name := range []string{spin, doze} {
		file := name + ".py"
		code, err := fs.ReadFile(handlers, "functions/"+file)
		if err != nil {
			return nil, err
		}
		if err := os.WriteFile(filepath.Join(dir, file), code, 0o600); err != nil {
			return nil, fmt.Errorf("write the functions to measure with: %w", err)
		}
		functions[name] = &workflow.Function{
			Name: name, Lang: "python", Runtime: runtime, Dir: dir, File: file, Symbol: "handler",
			Timeout: workflow.DefaultTimeout,
		}
	}
	return functions, nil
}

// stage is a stage of a tiny workflow: the functions that run at the same time.
// One that is not wide is a Task, or a Parallel of one branch where parallel
// is set.
type stage struct {
	functions []string
	parallel  bool
}

// process is a process of a hand-made plan: its mode and its tasks.
type process struct {
	mode  plan.Mode
	tasks []string
}

// shape is a workflow with its placement.
type shape struct {
	// name identifies the shape in reports: "fork-3".
	name   string
	stages []stage
	// wraps, each with its processes. taskName names the tasks.
	wraps [][]process
	// oneCPU says that it runs on one CPU, where what happens at the same time
	// takes its time from something.
	oneCPU bool
	// pause between its requests, where they need a longer one than others.
	pause time.Duration
}

// taskName of branch b of stage s, both from 0.
func taskName(s, b int) string { return fmt.Sprintf("t%d-%d", s+1, b+1) }

// state is a state of a definition file.
type state struct {
	Type     string       `json:"Type"`
	Resource string       `json:"Resource,omitempty"`
	Branches []definition `json:"Branches,omitempty"`
	Next     string       `json:"Next,omitempty"`
	End      bool         `json:"End,omitempty"`
}

type definition struct {
	StartAt string           `json:"StartAt"`
	States  map[string]state `json:"States"`
}

// parse makes the shape's definition, in the way that a user's file goes.
func (s *shape) parse() (*workflow.Definition, error) {
	d := definition{States: make(map[string]state)}
	key := func(i int) string {
		if st := s.stages[i]; len(st.functions) == 1 && !st.parallel {
			return taskName(i, 0)
		}
		return fmt.Sprintf("stage-%d", i+1)
	}
	for i, st := range s.stages {
		var next state
		if i+1 < len(s.stages) {
			next.Next = key(i + 1)
		} else {
			next.End = true
		}
		if len(st.functions) == 1 && !st.parallel {
			next.Type, next.Resource = "Task", st.functions[0]
		} else {
			next.Type = "Parallel"
			for b, f := range st.functions {
				name := taskName(i, b)
				next.Branches = append(next.Branches, definition{
					StartAt: name, States: map[string]state{name: {Type: "Task", Resource: f, End: true}},
				})
			}
		}
		d.States[key(i)] = next
	}
	d.StartAt = key(0)
	data, err := json.Marshal(d)
	if err != nil {
		return nil, err
	}
	return workflow.ParseDefinition(s.name+".asl.json", data)
}

// cpus that the shape runs on, of a machine's.
func (s *shape) cpus(machine int) int {
	if s.oneCPU {
		return 1
	}
	return machine
}

// plan makes the shape's plan. Every wrap may use all CPUs of the machine, as
// wraps of a deployment to it may that get no CPUs of their own.
func (s *shape) plan(machine int) *plan.Plan {
	cpus := s.cpus(machine)
	p := &plan.Plan{Workflow: s.name, Model: "calibration"}
	for i, processes := range s.wraps {
		w := plan.Wrap{Name: fmt.Sprintf("wrap-%d", i+1), CPUs: cpus}
		for _, pr := range processes {
			w.Processes = append(w.Processes, plan.Process{Mode: pr.mode, CPU: plan.Unpinned, Tasks: pr.tasks})
		}
		p.Wraps = append(p.Wraps, w)
	}
	return p
}

// project of the shape with these functions.
func (s *shape) project(dir string, functions map[string]*workflow.Function) (*workflow.Project, error) {
	d, err := s.parse()
	if err != nil {
		return nil, fmt.Errorf("shape %s: %w", s.name, err)
	}
	if len(s.wraps) == 0 {
		return nil, errors.New("a shape without wraps")
	}
	return &workflow.Project{Dir: dir, Name: s.name, Definition: d, Functions: functions, Input: json.RawMessage("{}")}, nil
}
