package pgp

import (
	"fmt"
	"slices"

	"github.com/chiron-faas/chiron/plan"
)

// shape is everything of a plan but which task is in which process.
type shape struct {
	wraps []wrapShape
	// mode of all processes but the first of each wrap, which is resident.
	mode  plan.Mode
	slots []slot
}

// wrapShape has as many CPUs as processes, each pinned to one; or another number,
// and none is pinned.
type wrapShape struct{ group, processes, cpus int }

// slot is the place of a process.
type slot struct {
	wrap, group int
	// first says that it is in the first wrap of its group.
	first bool
	mode  plan.Mode
}

func newShape(mode plan.Mode, wraps []wrapShape) *shape {
	sh := &shape{wraps: wraps, mode: mode}
	seen := make(map[int]bool)
	for w, ws := range wraps {
		for i := range ws.processes {
			sl := slot{wrap: w, group: ws.group, first: !seen[ws.group], mode: mode}
			if i == 0 {
				sl.mode = plan.Pool
			}
			sh.slots = append(sh.slots, sl)
		}
		seen[ws.group] = true
	}
	return sh
}

func (w wrapShape) pinned() bool { return w.cpus == w.processes }

func (sh *shape) pinned() bool {
	return !slices.ContainsFunc(sh.wraps, func(w wrapShape) bool { return !w.pinned() })
}

func (sh *shape) cpus() int {
	n := 0
	for _, w := range sh.wraps {
		n += w.cpus
	}
	return n
}

// filled is a layout with the tasks of each process, of all stages.
type filled struct {
	*shape
	sets [][]string
}

// without removes the processes that have no task, and their CPUs where they
// have CPUs of their own.
func (f filled) without() filled {
	out := filled{}
	var wraps []wrapShape
	j := 0
	for _, w := range f.wraps {
		n := 0
		for range w.processes {
			if len(f.sets[j]) > 0 {
				out.sets = append(out.sets, f.sets[j])
				n++
			}
			j++
		}
		if n == 0 {
			continue
		}
		if w.pinned() {
			w.cpus = n
		}
		w.processes = n
		wraps = append(wraps, w)
	}
	mode := f.mode
	if len(wraps) == len(out.sets) { // the first of each wrap is all that there is
		mode = plan.Pool
	}
	out.shape = newShape(mode, wraps)
	return out
}

// plan makes a plan of the processes.
func (s *search) plan(f filled) *plan.Plan {
	p := &plan.Plan{Workflow: s.Workflow, Model: s.name()}
	j := 0
	for i, ws := range f.wraps {
		w := plan.Wrap{Name: fmt.Sprintf("wrap-%d", i+1), CPUs: ws.cpus}
		for k := range ws.processes {
			process := plan.Process{Mode: f.slots[j].mode, CPU: k, Tasks: slices.Clone(f.sets[j])}
			if !ws.pinned() {
				process.CPU = plan.Unpinned
			}
			w.Processes = append(w.Processes, process)
			j++
		}
		p.Wraps = append(p.Wraps, w)
	}
	return p
}

// name of the plans that are searched.
func (s *search) name() string {
	switch {
	case s.Method == SharedPool:
		return NameShared
	case s.Mode == plan.Standby:
		return NameStandby
	}
	return Name
}

// allowed says why a plan may not be: it breaks a rule or a limit.
func (s *search) allowed(p *plan.Plan) error {
	if err := p.Within(s.limits, s.Profile); err != nil {
		return err
	}
	return p.Apart(s.conflicts)
}
