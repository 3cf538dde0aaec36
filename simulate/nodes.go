package simulate

import (
	"fmt"
)

// Node is a machine.
type Node struct {
	CPUs int
	// Memory in bytes; 0: more than is needed.
	Memory int64
}

// CapacityError says that a wrap fits on no node.
type CapacityError struct {
	Wrap Wrap
	Node Node
	// Full says that it would fit on an empty one.
	Full bool
}

// Error says in one line what asked for what.
func (e *CapacityError) Error() string {
	asks := fmt.Sprintf("%s asks for %d CPUs", e.Wrap.Name, e.Wrap.CPUs)
	if e.Wrap.CPUs == 1 {
		asks = e.Wrap.Name + " asks for 1 CPU"
	}
	has := fmt.Sprintf("has %d", e.Node.CPUs)
	if e.Node.Memory > 0 {
		asks += fmt.Sprintf(" and %.0f MB", float64(e.Wrap.Memory)/1e6)
		has += fmt.Sprintf(" and %.0f MB", float64(e.Node.Memory)/1e6)
	}
	if e.Full {
		return fmt.Sprintf("%s, and no node has as much left: give more nodes", asks)
	}
	return fmt.Sprintf("%s, and a node %s: give larger nodes", asks, has)
}

// nodes places wraps, each on the first node that it fits on. A tree over them
// knows the most that a node of each half has left.
type nodes struct {
	each   Node
	leaves int // a power of two, from the count of nodes on
	cpus   []int
	memory []int64
}

func newNodes(count int, each Node) *nodes {
	n := &nodes{each: each, leaves: 1}
	for n.leaves < count {
		n.leaves *= 2
	}
	n.cpus, n.memory = make([]int, 2*n.leaves), make([]int64, 2*n.leaves)
	for i := range n.leaves {
		n.cpus[n.leaves+i] = -1 // is none
		if i < count {
			n.cpus[n.leaves+i], n.memory[n.leaves+i] = each.CPUs, each.Memory
		}
	}
	for i := n.leaves - 1; i > 0; i-- {
		n.refresh(i)
	}
	return n
}

func (n *nodes) refresh(i int) {
	n.cpus[i] = max(n.cpus[2*i], n.cpus[2*i+1])
	n.memory[i] = max(n.memory[2*i], n.memory[2*i+1])
}

// place takes room for all wraps and returns the node of each, or nothing and
// which wrap does not fit.
func (n *nodes) place(wraps []Wrap) ([]int, error) {
	placed := make([]int, 0, len(wraps))
	for i := range wraps {
		w := &wraps[i]
		at := n.first(1, w)
		if at < 0 {
			n.free(wraps[:i], placed)
			full := w.CPUs <= n.each.CPUs && (n.each.Memory == 0 || w.Memory <= n.each.Memory)
			return nil, &CapacityError{Wrap: *w, Node: n.each, Full: full}
		}
		n.take(at, w.CPUs, w.Memory)
		placed = append(placed, at)
	}
	return placed, nil
}

// free gives the room of wraps back.
func (n *nodes) free(wraps []Wrap, placed []int) {
	for i, at := range placed {
		n.take(at, -wraps[i].CPUs, -wraps[i].Memory)
	}
}

func (n *nodes) take(node, cpus int, memory int64) {
	i := n.leaves + node
	n.cpus[i] -= cpus
	if n.each.Memory > 0 {
		n.memory[i] -= memory
	}
	for i /= 2; i > 0; i /= 2 {
		n.refresh(i)
	}
}

// first is the first node below a place of the tree that a wrap fits on; -1:
// none.
func (n *nodes) first(i int, w *Wrap) int {
	if n.cpus[i] < w.CPUs || n.each.Memory > 0 && n.memory[i] < w.Memory {
		return -1
	}
	if i >= n.leaves {
		return i - n.leaves
	}
	if at := n.first(2*i, w); at >= 0 {
		return at
	}
	return n.first(2*i+1, w)
}
