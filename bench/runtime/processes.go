package runtime

import (
	"github.com/chiron-faas/chiron/internal/procfs"
)

// tree is a process and all below it.
func tree(pid int) []int {
	pids := []int{pid}
	for i := 0; i < len(pids); i++ { // the list grows by the children of each
		pids = append(pids, procfs.Children(pids[i])...)
	}
	return pids
}

// residentMB is a process' resident memory.
func residentMB(pid int) (float64, error) {
	m, err := procfs.ReadMemory(pid)
	return float64(m.RSS) / 1e6, err
}

// shareMB is the memory of processes, of what they have in common with others
// their share (PSS). Of those that have ended it is 0.
func shareMB(pids ...int) (sum float64) {
	for _, pid := range pids {
		m, _ := procfs.ReadMemory(pid) // none where it ended
		sum += float64(m.PSS) / 1e6
	}
	return sum
}
