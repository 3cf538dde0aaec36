package plan

import (
	"errors"
	"fmt"
	"slices"

	"github.com/chiron-faas/chiron/profile"
	"github.com/chiron-faas/chiron/workflow"
)

// Check says whether p is a plan of the workflow d: every Task state exactly
// once and nothing else, names and CPUs as they must be, functions in conflict
// apart (the paper's section 3.4), and the project's rules kept. It reports all
// faults, joined, each naming its wrap and task.
//
// functions and rules are the project's (workflow.Project); nil where they are
// not known, and then they forbid nothing. What a profile knows besides, of
// files that functions write and of the memory that they need, is for Apart and
// Within.
func Check(p *Plan, d *workflow.Definition, functions map[string]*workflow.Function, rules *workflow.Rules) error {
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
	faults = append(faults, p.Apart(NewConflicts(d, functions, nil, rules)))
	if rules != nil {
		faults = append(faults, p.Within(rules.Limits, nil))
	}
	return errors.Join(faults...)
}

// Apart says whether no wrap holds two tasks in conflict, and whether tasks that
// are to be together share a wrap. It names one pair a wrap and a group.
func (p *Plan) Apart(conflicts *Conflicts) error {
	var faults []error
	in := make(map[string]string)
	for i := range p.Wraps {
		w := &p.Wraps[i]
		names := w.TaskNames()
		for _, task := range names {
			in[task] = w.Name
		}
		if a, b, why := conflicts.within(names); why != "" {
			faults = append(faults, fmt.Errorf("wrap %q: tasks %q and %q may not share a wrap: %s", w.Name, a, b, why))
		}
	}
	for _, group := range conflicts.Together() {
		for _, task := range group[1:] {
			if first := group[0]; in[first] != in[task] && in[first] != "" && in[task] != "" {
				faults = append(faults, fmt.Errorf("the project wants tasks %q and %q together: they are in wraps %q and %q", first, task, in[first], in[task]))
				break
			}
		}
	}
	return errors.Join(faults...)
}

// Within says whether the plan keeps the limits: its count of wraps, and each
// wrap's CPUs and memory. The memory is the wrap's own limit, and what measured
// lets expect of it where that is not nil.
func (p *Plan) Within(limits workflow.Limits, measured *profile.Profile) error {
	var faults []error
	if limits.Wraps > 0 && len(p.Wraps) > limits.Wraps {
		faults = append(faults, fmt.Errorf("the plan has %s, the project allows %d (limits: wraps)", count(len(p.Wraps), "wrap"), limits.Wraps))
	}
	for i := range p.Wraps {
		w := &p.Wraps[i]
		if limits.CPUs > 0 && w.CPUs > limits.CPUs {
			faults = append(faults, fmt.Errorf("wrap %q has %s, the project allows a wrap %d (limits: cpus)", w.Name, count(w.CPUs, "CPU"), limits.CPUs))
		}
		if limits.Memory <= 0 {
			continue
		}
		if w.Memory > limits.Memory {
			faults = append(faults, fmt.Errorf("wrap %q may take %d bytes of memory, the project allows a wrap %d (limits: memory)", w.Name, w.Memory, limits.Memory))
		}
		if measured == nil {
			continue
		}
		if need := w.MemoryEstimate(measured); need > limits.Memory {
			faults = append(faults, fmt.Errorf("wrap %q needs about %.1f MB of memory, the project allows a wrap %.1f MB (limits: memory)", w.Name, float64(need)/1e6, float64(limits.Memory)/1e6))
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

// Functions that the wrap's tasks call, sorted. The error names a task that the
// definition does not have.
func (w *Wrap) Functions(d *workflow.Definition) ([]string, error) {
	var functions []string
	for _, task := range w.TaskNames() {
		state, ok := d.State(task)
		if !ok {
			return nil, fmt.Errorf("wrap %q: the plan places %q, which is no Task of the definition: plan again", w.Name, task)
		}
		functions = append(functions, state.Function)
	}
	slices.Sort(functions)
	return slices.Compact(functions), nil
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
	if p.Objective != nil {
		objective := *p.Objective
		c.Objective = &objective
	}
	c.Wraps = slices.Clone(p.Wraps)
	for i := range c.Wraps {
		c.Wraps[i].Processes = slices.Clone(p.Wraps[i].Processes)
		for k := range c.Wraps[i].Processes {
			c.Wraps[i].Processes[k].Tasks = slices.Clone(p.Wraps[i].Processes[k].Tasks)
		}
	}
	return &c
}
