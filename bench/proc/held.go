package proc

import (
	"fmt"
	"os"

	"github.com/chiron-faas/chiron/internal/procfs"
)

// Holding is what processes hold together.
type Holding struct {
	// Memory is their proportional set size, bytes: a page that n processes have
	// counts as a n-th in each.
	Memory int64
	// Descriptors of files that are open.
	Descriptors int
	// Processes that there are.
	Processes int
}

// Held adds up processes and all below them, whatever of these has not ended
// meanwhile.
func Held(roots ...int) (Holding, error) {
	below, err := tree(roots)
	if err != nil {
		return Holding{}, err
	}
	var h Holding
	for _, pid := range below {
		h.Processes++
		m, _ := procfs.ReadMemory(pid) // none where it ended
		h.Memory += m.PSS
		fds, _ := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid)) // none where it ended
		h.Descriptors += len(fds)
	}
	return h, nil
}

// tree lists processes and all below them.
func tree(roots []int) ([]int, error) {
	processes, err := procfs.Processes()
	if err != nil {
		return nil, err
	}
	parents := make(map[int]int)
	for _, s := range processes {
		parents[s.PID] = s.Parent
	}
	isRoot := make(map[int]bool, len(roots))
	for _, r := range roots {
		isRoot[r] = true
	}
	var below []int
	for pid := range parents {
		// The processes may have changed while they were read: bound the way up.
		p := pid
		for range len(parents) {
			if isRoot[p] || p <= 1 {
				break
			}
			p = parents[p]
		}
		if isRoot[p] {
			below = append(below, pid)
		}
	}
	return below, nil
}
