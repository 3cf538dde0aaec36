package runtime

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// tree is a process and all below it.
func tree(pid int) []int {
	pids := []int{pid}
	for i := 0; i < len(pids); i++ { // the list grows by the children of each
		pids = append(pids, childrenOf(pids[i])...)
	}
	return pids
}

// childrenOf a process, whichever of its threads started them (proc_pid_task(5)).
func childrenOf(pid int) (found []int) {
	lists, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid)) // fails only for a bad pattern
	for _, list := range lists {
		text, _ := os.ReadFile(list) // a thread may have ended
		for _, field := range strings.Fields(string(text)) {
			if child, err := strconv.Atoi(field); err == nil {
				found = append(found, child)
			}
		}
	}
	return found
}

// residentMB is a process' resident memory.
func residentMB(pid int) (float64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		return 0, err
	}
	return rollup(text, "Rss"), nil
}

// shareMB is the memory of processes, of what they have in common with others
// their share (PSS). Of those that have ended it is 0.
func shareMB(pids ...int) (sum float64) {
	for _, pid := range pids {
		text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
		sum += rollup(text, "Pss")
	}
	return sum
}

// rollup is a figure of smaps_rollup, MB.
func rollup(text []byte, name string) float64 {
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		if len(fields) >= 2 && fields[0] == name+":" {
			kb, _ := strconv.ParseFloat(fields[1], 64) // the kernel writes numbers
			return kb * 1024 / 1e6
		}
	}
	return 0
}
