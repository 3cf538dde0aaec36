package simulate

import "math"

// never is the time of what does not happen.
const never = math.MaxInt64

// clock says which of several sources is due next: a binary heap with one entry
// a source, so that a source's time can be changed.
type clock struct {
	heap  []int   // sources
	times []int64 // by source
	place []int   // in the heap by source; -1: not there
}

// set says when a source is due; never: not at all.
func (c *clock) set(source int, at int64) {
	for source >= len(c.place) {
		c.place = append(c.place, -1)
		c.times = append(c.times, never)
	}
	i := c.place[source]
	was := c.times[source]
	c.times[source] = at
	switch {
	case i < 0 && at == never:
	case i < 0:
		c.heap = append(c.heap, source)
		c.place[source] = len(c.heap) - 1
		c.up(len(c.heap) - 1)
	case at == never:
		last := len(c.heap) - 1
		moved := c.heap[last]
		c.heap = c.heap[:last]
		c.place[source] = -1
		if i < last {
			c.heap[i], c.place[moved] = moved, i
			c.up(i)
			c.down(c.place[moved])
		}
	case at < was:
		c.up(i)
	default:
		c.down(i)
	}
}

// next is the source that is due first and when; never: none is. Of those that
// are due together it is the one with the lowest number.
func (c *clock) next() (source int, at int64) {
	if len(c.heap) == 0 {
		return -1, never
	}
	return c.heap[0], c.times[c.heap[0]]
}

func (c *clock) before(i, j int) bool {
	a, b := c.heap[i], c.heap[j]
	return c.times[a] < c.times[b] || c.times[a] == c.times[b] && a < b
}

func (c *clock) swap(i, j int) {
	c.heap[i], c.heap[j] = c.heap[j], c.heap[i]
	c.place[c.heap[i]], c.place[c.heap[j]] = i, j
}

func (c *clock) up(i int) {
	for i > 0 {
		parent := (i - 1) / 2
		if !c.before(i, parent) {
			return
		}
		c.swap(i, parent)
		i = parent
	}
}

func (c *clock) down(i int) {
	for {
		child := 2*i + 1
		if child >= len(c.heap) {
			return
		}
		if child+1 < len(c.heap) && c.before(child+1, child) {
			child++
		}
		if !c.before(child, i) {
			return
		}
		c.swap(i, child)
		i = child
	}
}
