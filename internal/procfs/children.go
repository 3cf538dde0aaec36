package procfs

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Children of a process, whichever of its threads has started them; none where it
// has ended (proc_pid_task(5), children).
func Children(pid int) []int {
	lists, _ := filepath.Glob("/proc/" + strconv.Itoa(pid) + "/task/*/children") // fails only for a bad pattern
	var pids []int
	for _, list := range lists {
		data, err := os.ReadFile(list)
		if err != nil {
			continue // the thread has ended
		}
		for _, field := range strings.Fields(string(data)) {
			if child, err := strconv.Atoi(field); err == nil {
				pids = append(pids, child)
			}
		}
	}
	return pids
}
