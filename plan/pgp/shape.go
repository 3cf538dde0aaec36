package pgp

import (
	"fmt"
	"slices"

	"github.com/chiron-faas/chiron/plan"
)

// shape is everything of a plan but which task is in which process. It does not
// speak of the tasks that stand apart.
type shape struct {
	processes int
	// mode of all processes but the first, which is resident.
	mode plan.Mode
	// cpus of all its wraps: as many as processes, each pinned to one; or another
	// number, in one wrap, and none is pinned.
	cpus int
	// sizes is the number of processes by wrap.
	sizes []int
}

func (sh shape) pinned() bool { return sh.cpus == sh.processes }

func (sh shape) modeOf(process int) plan.Mode {
	if process == 0 {
		return plan.Pool
	}
	return sh.mode
}

// shapes are the layouts to try with so many CPUs, those that need less memory
// first.
func (s *search) shapes(cpus int) []shape {
	var out []shape
	add := func(processes int, modes ...plan.Mode) {
		for _, mode := range modes {
			sh := shape{processes: processes, mode: mode, cpus: cpus, sizes: []int{processes}}
			if sh.pinned() {
				sh.sizes = s.sizes(processes, mode)
			}
			out = append(out, sh)
		}
	}
	both := []plan.Mode{plan.Fork, plan.Pool}
	if cpus == 1 {
		add(1, plan.Pool)
	} else {
		if s.native && !s.Literal {
			add(1, plan.Pool)
			if fewer := cpus / 2; fewer > 1 {
				add(fewer, both...)
			}
		}
		add(cpus, both...)
	}
	if s.waits && !s.Literal {
		more := slices.Compact([]int{cpus + 1, 2 * cpus})
		for _, n := range more {
			if n <= s.width {
				add(n, both...)
			}
		}
	}
	return out
}

// sizes are the wraps that lines 6 and 7 begin with: as many processes in wrap 1
// as are forked in the time that calling another wrap takes, at least one; the
// others in a wrap each. Resident processes delay nobody: they share wrap 1.
func (s *search) sizes(processes int, mode plan.Mode) []int {
	first := processes
	if c := s.Calibration; mode == plan.Fork && c.Block > 0 {
		first = max(1, min(processes, int(c.RPC/c.Block)))
	}
	sizes := []int{first}
	for range processes - first {
		sizes = append(sizes, 1)
	}
	return sizes
}

// without removes the processes that have no task, and their CPUs where they
// have CPUs of their own.
func (sh shape) without(sets [][]string) (shape, [][]string) {
	pinned := sh.pinned()
	out := shape{mode: sh.mode, cpus: sh.cpus}
	var kept [][]string
	j := 0
	for _, size := range sh.sizes {
		n := 0
		for range size {
			if len(sets[j]) > 0 {
				kept = append(kept, sets[j])
				n++
			}
			j++
		}
		if n > 0 {
			out.sizes = append(out.sizes, n)
		}
	}
	out.processes = len(kept)
	if pinned {
		out.cpus = out.processes
	}
	return out, kept
}

// build makes a plan of sets of tasks, one a process, and of the wraps of the
// tasks that stand apart.
func (s *search) build(sh shape, sets [][]string) *plan.Plan {
	p := &plan.Plan{Workflow: s.Workflow, Model: Name}
	j := 0
	for _, size := range sh.sizes {
		w := plan.Wrap{CPUs: size}
		if !sh.pinned() {
			w.CPUs = sh.cpus
		}
		for i := range size {
			process := plan.Process{Mode: sh.modeOf(j), CPU: i, Tasks: slices.Clone(sets[j])}
			if !sh.pinned() {
				process.CPU = plan.Unpinned
			}
			w.Processes = append(w.Processes, process)
			j++
		}
		p.Wraps = append(p.Wraps, w)
	}
	for _, group := range s.apart {
		p.Wraps = append(p.Wraps, plan.Wrap{CPUs: 1, Processes: []plan.Process{{Mode: plan.Pool, Tasks: slices.Clone(group)}}})
	}
	for i := range p.Wraps {
		p.Wraps[i].Name = fmt.Sprintf("wrap-%d", i+1)
	}
	return p
}
