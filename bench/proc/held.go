package proc

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
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
		h.Memory += memoryOf(pid)
		fds, _ := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid)) // none where it ended
		h.Descriptors += len(fds)
	}
	return h, nil
}

// tree lists processes and all below them.
func tree(roots []int) ([]int, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	parents := make(map[int]int)
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		data, err := os.ReadFile(filepath.Join("/proc", e.Name(), "stat"))
		if err != nil {
			continue // it ended
		}
		// pid (name) state ppid: the name may hold anything.
		fields := strings.Fields(string(data[strings.LastIndexByte(string(data), ')')+1:]))
		if len(fields) > 1 {
			parents[pid], _ = strconv.Atoi(fields[1])
		}
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

// memoryOf is a process' proportional set size, bytes; 0 where it ended.
func memoryOf(pid int) int64 {
	data, _ := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	for line := range strings.Lines(string(data)) {
		if fields := strings.Fields(line); len(fields) > 1 && fields[0] == "Pss:" {
			kib, _ := strconv.ParseInt(fields[1], 10, 64)
			return kib << 10
		}
	}
	return 0
}
