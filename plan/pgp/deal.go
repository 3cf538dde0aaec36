package pgp

import (
	"cmp"
	"slices"
	"time"

	"github.com/chiron-faas/chiron/plan"
)

// inTurn deals a stage's tasks out to the processes in turn (line 8); those of a
// branch stay together.
func (s *search) inTurn(st *stage, sh shape) [][]int {
	sets := make([][]int, sh.processes)
	for i, strand := range st.strands {
		j := i % sh.processes
		sets[j] = append(sets[j], strand...)
	}
	return sorted(sets)
}

// longestFirst gives each branch, the longest first, to the process that would
// end first with it: Graham's rule for machines that begin at different times.
func (s *search) longestFirst(st *stage, sh shape) [][]int {
	order := slices.Clone(st.strands)
	sum := func(strand []int) work {
		var w work
		for _, t := range strand {
			w = w.plus(st.work[t])
		}
		return w
	}
	slices.SortStableFunc(order, func(a, b []int) int {
		x, y := sum(a), sum(b)
		return cmp.Or(cmp.Compare(y.cpu, x.cpu), cmp.Compare(y.duration, x.duration))
	})
	begin := s.begins(sh)
	busy := slices.Clone(begin) // until when each computes
	end := make([]time.Duration, sh.processes)
	sets := make([][]int, sh.processes)
	for _, strand := range order {
		w := sum(strand)
		best, bestEnd := -1, time.Duration(0)
		for j := range sh.processes {
			e := max(end[j], busy[j]+w.cpu, begin[j]+w.duration)
			if best < 0 || e < bestEnd || e == bestEnd && busy[j] < busy[best] {
				best, bestEnd = j, e
			}
		}
		sets[best] = append(sets[best], strand...)
		busy[best] += w.cpu
		end[best] = bestEnd
	}
	return sorted(sets)
}

// begins says when each process can begin a stage (equations 2 and 4).
func (s *search) begins(sh shape) []time.Duration {
	c := s.Calibration
	var out []time.Duration
	for w, size := range sh.sizes {
		forked := time.Duration(0)
		for range size {
			var begin time.Duration
			if w > 0 {
				begin = c.RPC + time.Duration(w)*c.INV
			}
			if sh.modeOf(len(out)) == plan.Fork {
				begin += c.Startup + forked*c.Block
				forked++
			}
			out = append(out, begin)
		}
	}
	return out
}

// sorted puts every set into the order of the definition, in which its threads
// are started.
func sorted(sets [][]int) [][]int {
	for _, set := range sets {
		slices.Sort(set)
	}
	return sets
}
