package profiler

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/chiron-faas/chiron/internal/procfs"
	"github.com/chiron-faas/chiron/profile"
)

// peakRSS is the largest resident set that a process has had, bytes: VmHWM of
// /proc/PID/status. It counts pages shared with other processes in full.
func peakRSS(pid int) (int64, error) {
	file := fmt.Sprintf("/proc/%d/status", pid)
	text, err := os.ReadFile(file)
	if err != nil {
		return 0, err
	}
	sizes, err := procfs.Sizes(text, "VmHWM")
	if err != nil {
		return 0, fmt.Errorf("%s: %w", file, err)
	}
	return sizes[0], nil
}

// footprint is a process' memory.
func footprint(pid int) (profile.Footprint, error) {
	m, err := procfs.ReadMemory(pid)
	return profile.Footprint{RSS: m.RSS, PSS: m.PSS, Private: m.Private}, err
}

// queued is how long a process' main thread has waited for a CPU so far, by
// the second figure of /proc/PID/task/TID/schedstat (nanoseconds; see the
// kernel's Documentation/scheduler/sched-stats.rst); 0 where the kernel does
// not say.
func queued(pid int) time.Duration {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/schedstat", pid, pid))
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(text))
	if len(fields) < 2 {
		return 0
	}
	waited, err := strconv.ParseInt(fields[1], 10, 64)
	if err != nil {
		return 0
	}
	return time.Duration(waited)
}
