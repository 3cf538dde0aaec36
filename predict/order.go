package predict

import (
	"cmp"
	"slices"

	"github.com/chiron-faas/chiron/workflow"
)

// inOrder returns the stage with the branches of its Parallel states in the order
// in which the agents start them under the plan that was laid out: process by
// process and, in a process, in the plan's order of tasks (wrap.compareStart). A
// branch that is spread over wraps and begins in another comes first.
//
// The stage is s where that is its order already, else it lives until the next
// call.
func (p *Predictor) inOrder(s *stage) *stage {
	o := &p.order
	o.children, o.nodes = o.children[:0], o.nodes[:0]
	changed := false
	for i := range s.nodes {
		n := s.nodes[i]
		if n.kind == workflow.BlockParallel {
			begin := len(o.children)
			o.children = append(o.children, n.children...)
			n.children = o.children[begin:len(o.children):len(o.children)]
			earlier := func(a, b int) int { return cmp.Compare(p.rank(s, a), p.rank(s, b)) }
			if !slices.IsSortedFunc(n.children, earlier) {
				slices.SortStableFunc(n.children, earlier)
				changed = true
			}
		}
		o.nodes = append(o.nodes, n)
	}
	if !changed {
		return s
	}
	o.stage = *s
	o.stage.nodes = o.nodes
	return &o.stage
}

// order is the memory of inOrder.
type order struct {
	stage    stage
	nodes    []node
	children []int
}

// rank of a branch among those that the same agent starts.
func (p *Predictor) rank(s *stage, branch int) int64 {
	n := &s.nodes[branch]
	first := p.sim.places[n.first]
	for t := n.first + 1; t < n.end; t++ {
		// Spread branches are walked by wrap 1.
		if p.sim.places[t].wrap != first.wrap && first.wrap != 0 {
			return -1
		}
	}
	return int64(first.process)<<32 | int64(first.order)
}
