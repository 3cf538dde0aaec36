package local

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/chiron-faas/chiron/internal/procfs"
)

// identity names a process for as long as the machine is up: a pid comes round
// again, a pid with its start time does not.
type identity struct {
	PID int `json:"pid"`
	// Start is in clock ticks after boot (proc_pid_stat(5), starttime).
	Start uint64 `json:"start_ticks"`
}

func identify(pid int) (identity, error) {
	s, err := procfs.ReadStat(pid)
	if err != nil {
		return identity{}, err
	}
	return identity{PID: pid, Start: s.Start}, nil
}

// processes lists all of the machine's that are not dead.
func processes() ([]procfs.Stat, error) {
	all, err := procfs.Processes()
	return slices.DeleteFunc(all, procfs.Stat.Dead), err
}

// family picks the processes that belong to a leader: those of its session or
// its group, and those below it, which may have left both.
func family(all []procfs.Stat, leader int) []int {
	below := map[int]bool{leader: true}
	// A parent may come after its child in the list: go on until nothing new.
	for grown := true; grown; {
		grown = false
		for _, s := range all {
			if !below[s.PID] && (below[s.Parent] || s.Session == leader || s.Group == leader) {
				below[s.PID] = true
				grown = true
			}
		}
	}
	var pids []int
	for _, s := range all {
		if below[s.PID] {
			pids = append(pids, s.PID)
		}
	}
	slices.Sort(pids)
	return pids
}

// memoryOf is the memory that a process holds, bytes: its own pages and its
// share of those that it has in common with others (PSS), so that forked
// workers add up; all of its resident pages where the kernel does not tell.
func memoryOf(pid int) int64 {
	if m, err := procfs.ReadMemory(pid); err == nil {
		return m.PSS
	}
	data, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "statm"))
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(data))
	if len(fields) < 2 {
		return 0
	}
	pages, err := strconv.ParseInt(fields[1], 10, 64)
	if err != nil {
		return 0
	}
	return pages * int64(os.Getpagesize())
}

// bootID tells one run of the machine from another; empty where unknown.
func bootID() string {
	data, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(data))
}
