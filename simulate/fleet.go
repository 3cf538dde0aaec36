package simulate

import "math"

// members is a tree over the places of instances that run: how many do, and the
// fewest requests that one has. Places are numbered as instances are.
type members struct {
	leaves int
	count  []int32
	fewest []int32
}

// absent is fewest where no instance runs.
const absent = math.MaxInt32

func newMembers(places int) *members {
	m := &members{leaves: 1}
	for m.leaves < places {
		m.leaves *= 2
	}
	m.count, m.fewest = make([]int32, 2*m.leaves), make([]int32, 2*m.leaves)
	for i := range m.fewest {
		m.fewest[i] = absent
	}
	return m
}

// set says how many requests the instance at a place has; absent: none runs.
func (m *members) set(place, inside int) {
	i := m.leaves + place
	m.fewest[i], m.count[i] = int32(inside), 1
	if inside == absent {
		m.count[i] = 0
	}
	for i /= 2; i > 0; i /= 2 {
		m.count[i] = m.count[2*i] + m.count[2*i+1]
		m.fewest[i] = min(m.fewest[2*i], m.fewest[2*i+1])
	}
}

func (m *members) running() int { return int(m.count[1]) }

// choose is the instance for a request: the one with the fewest requests of the
// first needed ones, or where these are full of all; the lowest place of equals;
// -1: all are full.
func (m *members) choose(needed, limit int) int {
	if int(m.fewest[1]) >= limit {
		return -1
	}
	best := 0 // a place of the tree
	for i, left := 1, int32(min(needed, m.leaves)); left > 0; {
		if m.count[i] <= left {
			if best == 0 || m.fewest[i] < m.fewest[best] {
				best = i
			}
			break
		}
		if low := 2 * i; m.count[low] <= left {
			if best == 0 || m.fewest[low] < m.fewest[best] {
				best = low
			}
			left -= m.count[low]
			i = low + 1
		} else {
			i = low
		}
	}
	if best == 0 || int(m.fewest[best]) >= limit {
		best = 1 // those that are needed are full: the fewest are elsewhere
	}
	for best < m.leaves {
		low := 2 * best
		if m.fewest[low] == m.fewest[best] {
			best = low
		} else {
			best = low + 1
		}
	}
	return best - m.leaves
}

// idle is the last instance without a request; -1: there is none.
func (m *members) idle() int {
	if m.fewest[1] != 0 {
		return -1
	}
	i := 1
	for i < m.leaves {
		i = 2*i + 1
		if m.fewest[i] != 0 {
			i--
		}
	}
	return i - m.leaves
}

// need remembers how many instances were needed within the idle time.
type need struct {
	idle int64
	// noted are demands that no later one has reached: the most first.
	noted []noted
	head  int
}

type noted struct {
	at     int64
	demand int
}

// note takes down how many are needed now.
func (n *need) note(now int64, demand int) {
	for len(n.noted) > n.head && n.noted[len(n.noted)-1].demand <= demand {
		n.noted = n.noted[:len(n.noted)-1]
	}
	n.noted = append(n.noted, noted{now, demand})
	if n.head > 1024 && n.head > len(n.noted)/2 {
		n.noted = n.noted[:copy(n.noted, n.noted[n.head:])]
		n.head = 0
	}
}

// most is the most that were needed within the idle time.
func (n *need) most(now int64) int {
	for n.head < len(n.noted) && now-n.noted[n.head].at >= n.idle {
		n.head++
	}
	if n.head == len(n.noted) {
		return 0
	}
	return n.noted[n.head].demand
}

// last is when so many were needed last, of what most has left.
func (n *need) last(demand int) int64 {
	at := int64(0)
	for _, one := range n.noted[n.head:] {
		if one.demand < demand {
			break
		}
		at = one.at
	}
	return at
}
