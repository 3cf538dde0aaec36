package plan

import "github.com/chiron-faas/chiron/workflow"

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
	for i := range p.Wraps {
		w := &p.Wraps[i]
		if w.Concurrency = n; n == 0 {
			w.Concurrency = w.bearable(d)
			least = min(least, w.Concurrency)
		}
	}
	if n > 0 {
		return
	}
	for i := range p.Wraps {
		w := &p.Wraps[i]
		if p.Calls == Direct {
			w.Concurrency = least
		}
		if w.Concurrency == DefaultConcurrency {
			w.Concurrency = 0
		}
	}
}

// bearable is on how many requests the wrap may work at once, at most
// DefaultConcurrency.
func (w *Wrap) bearable(d *workflow.Definition) int {
	here := make(map[string]bool)
	for i := range w.Processes {
		for _, task := range w.Processes[i].Tasks {
			here[task] = true
		}
	}
	threads := d.Width(func(task string) bool { return here[task] })
	return min(DefaultConcurrency, max(1, threadsPerCPU*w.CPUs/max(1, threads)))
}
