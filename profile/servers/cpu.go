package servers

import (
	"slices"
	"time"

	"github.com/chiron-faas/chiron/internal/cputime"
	"github.com/chiron-faas/chiron/internal/procfs"
)

// CPU is how much CPU time processes have had, with all their descendants: a
// server may have a process for each connection. That of children which have ended
// and been waited for is known to a tick of 10 ms only; of processes that are not
// there it is 0.
func CPU(pids []int) time.Duration {
	if len(pids) == 0 {
		return 0
	}
	processes, err := procfs.Processes()
	if err != nil {
		return 0
	}
	all := make(map[int]procfs.Stat)
	for _, s := range processes {
		all[s.PID] = s
	}
	var sum time.Duration
	for pid, s := range all {
		if !descends(pid, pids, all) {
			continue
		}
		sum += s.ChildrenCPU
		if own, err := cputime.Of(pid); err == nil {
			sum += own
		}
	}
	return sum
}

// descends says whether a process is one of some, or a descendant's.
func descends(pid int, of []int, all map[int]procfs.Stat) bool {
	for range all { // no longer than there are: numbers may be used anew meanwhile
		if slices.Contains(of, pid) {
			return true
		}
		s, ok := all[pid]
		if !ok {
			return false
		}
		pid = s.Parent
	}
	return false
}
