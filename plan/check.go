package plan

import (
	"errors"
	"fmt"
	"slices"

	"github.com/chiron-faas/chiron/workflow"
)

// Check says whether p is a plan of the workflow d: every Task state exactly
// once and nothing else, names and CPUs as they must be, and functions of
// different languages or runtimes apart (the paper's section 3.4). It reports
// all faults, joined, each naming its wrap and task.
//
// functions are the project's (workflow.Project.Functions); nil where they are
// not known, and then nothing is in conflict. What a profile knows of conflicts
// is Plan.Apart's.
func Check(p *Plan, d *workflow.Definition, functions map[string]*workflow.Function) error {
	faults := []error{p.shape()}
	missing := map[string]bool{}
	tasks := d.Tasks()
	for _, task := range tasks {
		missing[task.Name] = true
		if functions != nil && functions[task.Function] == nil {
			faults = append(faults, fmt.Errorf("task %q calls function %q, which the project does not have", task.Name, task.Function))
		}
	}
	known := make(map[string]bool, len(missing))
	for name := range missing {
		known[name] = true
	}
	for _, w := range p.Wraps {
		for k, process := range w.Processes {
			for _, task := range process.Tasks {
				if task != "" && !known[task] {
					faults = append(faults, fmt.Errorf("wrap %q: process %d: the workflow has no Task state %q: plan again", w.Name, k+1, task))
				}
				delete(missing, task)
			}
		}
	}
	for _, task := range tasks {
		if missing[task.Name] {
			faults = append(faults, fmt.Errorf("no wrap has task %q: plan again", task.Name))
		}
	}
	faults = append(faults, p.Apart(NewConflicts(d, functions, nil)))
	return errors.Join(faults...)
}

// Apart says whether no wrap holds two tasks in conflict. It names one pair a
// wrap.
func (p *Plan) Apart(conflicts *Conflicts) error {
	var faults []error
	for _, w := range p.Wraps {
		if a, b, why := conflicts.within(w.TaskNames()); why != "" {
			faults = append(faults, fmt.Errorf("wrap %q: tasks %q and %q may not share a wrap: %s", w.Name, a, b, why))
		}
	}
	return errors.Join(faults...)
}

// TaskNames are the tasks of all of the wrap's processes, in order.
func (w *Wrap) TaskNames() []string {
	var names []string
	for i := range w.Processes {
		names = append(names, w.Processes[i].Tasks...)
	}
	return names
}

// Place says where a task runs: the indices of its wrap and, in that, of its
// process.
type Place struct {
	Wrap, Process int
}

// Places returns the place of every task.
func (p *Plan) Places() map[string]Place {
	places := map[string]Place{}
	for i := range p.Wraps {
		for k := range p.Wraps[i].Processes {
			for _, task := range p.Wraps[i].Processes[k].Tasks {
				places[task] = Place{Wrap: i, Process: k}
			}
		}
	}
	return places
}

// Clone returns a copy that shares nothing with p.
func (p *Plan) Clone() *Plan {
	c := *p
	c.Wraps = slices.Clone(p.Wraps)
	for i := range c.Wraps {
		c.Wraps[i].Processes = slices.Clone(p.Wraps[i].Processes)
		for k := range c.Wraps[i].Processes {
			c.Wraps[i].Processes[k].Tasks = slices.Clone(p.Wraps[i].Processes[k].Tasks)
		}
	}
	return &c
}
