package plan

import (
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
// or fewer where a request of the workflow has so many threads at a time in it that
// those of all would keep its CPUs busy by waiting.
func (p *Plan) SetConcurrency(d *workflow.Definition, n int) {
	for i := range p.Wraps {
		w := &p.Wraps[i]
		w.Concurrency = n
		if n > 0 {
			continue
		}
		if most := threadsPerCPU * w.CPUs / max(1, w.threads(d)); most < DefaultConcurrency {
			w.Concurrency = max(1, most)
		}
	}
}

// threads is how many of the wrap's tasks a request may run at the same time.
func (w *Wrap) threads(d *workflow.Definition) int {
	here := make(map[string]bool)
	for _, process := range w.Processes {
		for _, task := range process.Tasks {
			here[task] = true
		}
	}
	most := 0
	for _, stage := range d.Stages() {
		most = max(most, widest(stage.Root, here))
	}
	return most
}

// widest is how many of some tasks a block may run at the same time.
func widest(b *workflow.Block, of map[string]bool) int {
	switch b.Kind {
	case workflow.BlockTask:
		if of[b.Task.Name] {
			return 1
		}
		return 0
	case workflow.BlockSeries:
		return slices.Max(widths(b.Children, of))
	default:
		sum := 0
		for _, n := range widths(b.Children, of) {
			sum += n
		}
		return sum
	}
}

func widths(blocks []*workflow.Block, of map[string]bool) []int {
	all := make([]int, len(blocks))
	for i, b := range blocks {
		all[i] = widest(b, of)
	}
	return all
}
