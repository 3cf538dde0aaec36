package pgp

import (
	"slices"
	"time"
)

// floor is what the workflow takes at least in a layout.
func (s *search) floor(sh *shape) time.Duration {
	sum := s.Calibration.Request
	for i := range s.stages {
		st := &s.stages[i]
		sum += st.floor(sh, s.composition.begins(sh, st))
	}
	return sum
}

// estimate is what the workflow takes in a layout if the longest tasks are dealt
// out first and the threads of a process are never in each other's way.
func (s *search) estimate(sh *shape) time.Duration {
	sum := s.Calibration.Request
	for i := range s.stages {
		st := &s.stages[i]
		if !st.flat {
			sum += st.floor(sh, s.composition.begins(sh, st))
			continue
		}
		sum += st.dealt(sh, s.composition.allBegin(sh, func(sl *slot) bool { return st.groups[sl.group].duration > 0 }))
	}
	return sum
}

// floor of a stage: its longest way; for each group, its longest task behind the
// first process that can begin, and its work poured into its processes.
func (st *stage) floor(sh *shape, begins []time.Duration) time.Duration {
	least := st.critical
	for g, w := range st.groups {
		if w.duration == 0 {
			continue
		}
		var own []time.Duration
		cpus := 0
		for j, sl := range sh.slots {
			if sl.group == g {
				own = append(own, begins[j])
			}
		}
		for _, ws := range sh.wraps {
			if ws.group == g {
				cpus += ws.cpus
			}
		}
		slices.Sort(own)
		if !st.flat {
			own[0] = 0 // a branch may begin elsewhere
		}
		least = max(least, own[0]+w.duration)
		if !sh.pinned() || !st.flat {
			least = max(least, w.cpu/time.Duration(cpus))
			continue
		}
		level, sum := time.Duration(0), time.Duration(0)
		for k, begin := range own {
			if k > 0 && begin >= level {
				break
			}
			sum += begin
			level = (w.cpu + sum) / time.Duration(k+1)
		}
		least = max(least, level)
	}
	return least
}

// dealt is when longestFirst ends, by its own estimate.
func (st *stage) dealt(sh *shape, begin []time.Duration) time.Duration {
	busy, ends := slices.Clone(begin), make([]time.Duration, len(begin))
	var last time.Duration
	for _, strand := range st.byLength {
		best, bestEnd := -1, time.Duration(0)
		for j, sl := range sh.slots {
			if sl.group != strand.group {
				continue
			}
			e := max(ends[j], busy[j]+strand.work.cpu, begin[j]+strand.work.duration)
			if best < 0 || e < bestEnd || e == bestEnd && busy[j] < busy[best] {
				best, bestEnd = j, e
			}
		}
		busy[best] += strand.work.cpu
		ends[best] = bestEnd
		last = max(last, bestEnd)
	}
	return last
}
