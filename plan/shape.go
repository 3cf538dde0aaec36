package plan

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/chiron-faas/chiron/internal/dnslabel"
)

// Bounds of the interpreter's switch interval: CPython keeps it in whole
// microseconds (sys.setswitchinterval), and a longer one than a second starves
// every other thread of the process for longer than any objective.
const (
	minSwitchInterval = time.Microsecond
	maxSwitchInterval = time.Second
)

// maxReady bounds Process.Ready: a child holds a megabyte or two.
const maxReady = 1000

// maxCPUs of a wrap: far over any machine.
const maxCPUs = 1 << 16

// shape checks what can be checked without the workflow: names, modes, CPUs,
// that no task is placed twice. It reports all faults, joined.
func (p *Plan) shape() error {
	faults := []error{p.Objective.shape()}
	add := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	if p.Calls != Direct && p.Calls != ThroughGateway {
		add("unknown calls %q: write %q, or leave it out for wrap 1 to call the others", p.Calls, ThroughGateway)
	}
	if len(p.Wraps) == 0 {
		add("the plan has no wraps: it needs at least one")
	}
	names := map[string]bool{}
	placed := map[string]string{}
	for i, w := range p.Wraps {
		switch {
		case !dnslabel.Valid(w.Name):
			add("wrap %d: the name %q is not a DNS label: use at most 63 of a-z, 0-9 and -, as in \"wrap-1\"", i+1, w.Name)
		case names[w.Name]:
			add("wrap %d: the name %q is taken: wraps need names of their own", i+1, w.Name)
		}
		names[w.Name] = true
		if w.CPUs < 1 || w.CPUs > maxCPUs {
			add("wrap %q: %d CPUs: it must have 1 to %d", w.Name, w.CPUs, maxCPUs)
		}
		if w.Concurrency < 0 {
			add("wrap %q: a concurrency of %d: it cannot be negative (0 means the default, %d)", w.Name, w.Concurrency, DefaultConcurrency)
		}
		if w.Memory < 0 {
			add("wrap %q: a memory limit of %d bytes: it cannot be negative (0 means none)", w.Name, w.Memory)
		}
		if len(w.Processes) == 0 {
			add("wrap %q has no processes: remove it", w.Name)
		}
		for k, process := range w.Processes {
			here := fmt.Sprintf("wrap %q: process %d", w.Name, k+1)
			for _, err := range process.faults(w.CPUs) {
				add("%s: %w", here, err)
			}
			for _, task := range process.Tasks {
				if task == "" {
					add("%s: a task has no name", here)
				} else if other, ok := placed[task]; ok {
					add("%s: task %q is in %s already: place it once", here, task, other)
				} else {
					placed[task] = here
				}
			}
		}
	}
	return errors.Join(faults...)
}

func (process Process) faults(cpus int) []error {
	var faults []error
	if !slices.Contains(Modes(), process.Mode) {
		faults = append(faults, fmt.Errorf("unknown mode %q: it must be %q, %q or %q", process.Mode, Pool, Fork, Standby))
	}
	if process.Ready != 0 && process.Mode != Standby {
		faults = append(faults, fmt.Errorf("ready is %d: only a %s process keeps children ready", process.Ready, Standby))
	} else if process.Ready < 0 || process.Ready > maxReady {
		faults = append(faults, fmt.Errorf("ready is %d: it must be 1 to %d, or left out", process.Ready, maxReady))
	}
	if process.Uses != 0 && process.Mode != Pool {
		faults = append(faults, fmt.Errorf("uses is %d: only a %s process is used more than once", process.Uses, Pool))
	} else if process.Uses < 0 {
		faults = append(faults, fmt.Errorf("uses is %d: it must be 1 or more, or left out", process.Uses))
	}
	if process.CPU != Unpinned && (process.CPU < 0 || process.CPU >= cpus) {
		faults = append(faults, fmt.Errorf("it is pinned to CPU %d of a wrap that has CPUs 0 to %d", process.CPU, cpus-1))
	}
	if d := process.SwitchInterval; d != 0 && (d < minSwitchInterval || d > maxSwitchInterval) {
		faults = append(faults, fmt.Errorf("a switch interval of %v: it must be between %v and %v, or 0 for the interpreter's own", d, minSwitchInterval, maxSwitchInterval))
	}
	if len(process.Tasks) == 0 {
		faults = append(faults, errors.New("it has no tasks: remove it"))
	}
	return faults
}
