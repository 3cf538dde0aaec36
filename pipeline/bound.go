package pipeline

import (
	"time"

	"github.com/chiron-faas/chiron/profile"
	"github.com/chiron-faas/chiron/workflow"
)

// Bound is the shortest that a workflow can take under any plan: its functions
// one after the other along the longest way, each as fast as alone, with nothing
// between them.
type Bound struct {
	Latency time.Duration
	// Tasks on that way, in order.
	Tasks []string
}

// boundOf finds the longest way by the functions' mean times. The profile has
// every task.
func boundOf(d *workflow.Definition, measured *profile.Profile) Bound {
	var whole Bound
	for _, st := range d.Stages() {
		b := longestWay(st.Root, measured)
		whole.Latency += b.Latency
		whole.Tasks = append(whole.Tasks, b.Tasks...)
	}
	return whole
}

func longestWay(b *workflow.Block, measured *profile.Profile) Bound {
	if b.Kind == workflow.BlockTask {
		var took time.Duration
		if f, ok := measured.Task(b.Task.Name); ok {
			took = f.Wall.Mean
		}
		return Bound{Latency: took, Tasks: []string{b.Task.Name}}
	}
	var way Bound
	for _, child := range b.Children {
		one := longestWay(child, measured)
		switch {
		case b.Kind == workflow.BlockSeries:
			way.Latency += one.Latency
			way.Tasks = append(way.Tasks, one.Tasks...)
		case one.Latency > way.Latency:
			way = one
		}
	}
	return way
}
