package plan

import (
	"cmp"
	"slices"

	"github.com/chiron-faas/chiron/workflow"
)

// DefaultConcurrency of a wrap.
const DefaultConcurrency = 32

// threadsPerCPU bounds the threads of all requests together that SetConcurrency
// lets a wrap have for each of its CPUs. One that waits for an interpreter's lock
// wakes every switch interval to ask for it (take_gil in CPython's
// Python/ceval_gil.h), whether or not its process has the CPU: some hundreds that
// wait on a CPU keep it busy with that, and requests take a multiple of their time.
const threadsPerCPU = 256

// MaxInside is the most requests that an instance of the wrap works on at once.
func (w *Wrap) MaxInside() int {
	if w.Concurrency > 0 {
		return w.Concurrency
	}
	return DefaultConcurrency
}

// SetConcurrency has each wrap work on n requests at once; 0: on DefaultConcurrency,
// or on fewer where the threads of so many would keep its CPUs busy by waiting.
// Where wraps call each other a request is in all of them, so that all have the
// number of the one that bears least.
func (p *Plan) SetConcurrency(d *workflow.Definition, n int) {
	least := DefaultConcurrency
	bears := make([]int, len(p.Wraps))
	for i := range p.Wraps {
		bears[i] = p.Wraps[i].bearable(d)
		least = min(least, bears[i])
	}
	for i := range p.Wraps {
		at := bears[i]
		if p.Calls == Direct {
			at = least
		}
		if at == DefaultConcurrency {
			at = 0 // files say only what is not the default
		}
		p.Wraps[i].Concurrency = cmp.Or(n, at)
	}
}

// Bound has the runtime hold every wrap to a limit of memory, bytes (0: none), and to
// a concurrency, as SetConcurrency.
func (p *Plan) Bound(d *workflow.Definition, memory int64, concurrency int) {
	for i := range p.Wraps {
		p.Wraps[i].Memory = memory
	}
	p.SetConcurrency(d, concurrency)
}

// bearable is on how many requests the wrap may work at once, at most
// DefaultConcurrency.
func (w *Wrap) bearable(d *workflow.Definition) int {
	tasks := w.TaskNames()
	slices.Sort(tasks)
	threads := d.Width(func(task string) bool {
		_, here := slices.BinarySearch(tasks, task)
		return here
	})
	return min(DefaultConcurrency, max(1, threadsPerCPU*w.CPUs/max(1, threads)))
}
