package pgp

import (
	"slices"
	"time"
)

// inTurn deals a stage's tasks out to the processes in turn (line 8 of Algorithm
// 2); those of a branch stay together.
func (w *worker) inTurn(st *stage, sh *shape, taken [][]string) [][]int {
	sets := make([][]int, len(sh.slots))
	next := make([]int, len(st.groups))
	b := board{w: w, st: st, sh: sh, taken: taken}
	for _, strand := range st.strands {
		j := next[strand.group]
		for tried := 0; tried <= len(sets) && !b.takes(j, sets[j], strand, tried == len(sets)); tried++ {
			j = (j + 1) % len(sets)
		}
		sets[j] = append(sets[j], strand.tasks...)
		next[strand.group] = (j + 1) % len(sets)
	}
	return sets
}

// takes says whether a process may have a strand beside a set. Where nothing
// fits, anything of the group has to do: the plan will be held against the limits.
func (b *board) takes(process int, set []int, s strand, anyhow bool) bool {
	for _, t := range s.tasks {
		if !b.may(t, process) {
			return false
		}
	}
	return anyhow || b.fits(process, append(slices.Clone(set), s.tasks...))
}

// longestFirst gives each branch, the longest first, to the process that would
// end first with it: Graham's rule for machines that begin at different times.
func (w *worker) longestFirst(st *stage, sh *shape, taken [][]string) [][]int {
	begin := w.s.composition.begins(sh, st)
	busy := slices.Clone(begin) // until when each computes
	end := make([]time.Duration, len(sh.slots))
	sets := make([][]int, len(sh.slots))
	b := board{w: w, st: st, sh: sh, taken: taken}
	for _, strand := range st.byLength {
		best, bestEnd := -1, time.Duration(0)
		for _, anyhow := range []bool{false, true} {
			for j := range sets {
				e := max(end[j], busy[j]+strand.work.cpu, begin[j]+strand.work.duration)
				if (best < 0 || e < bestEnd || e == bestEnd && busy[j] < busy[best]) && b.takes(j, sets[j], strand, anyhow) {
					best, bestEnd = j, e
				}
			}
			if best >= 0 {
				break
			}
		}
		sets[best] = append(sets[best], strand.tasks...)
		busy[best] += strand.work.cpu
		end[best] = bestEnd
	}
	return sets
}
