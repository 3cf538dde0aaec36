package profiler

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// peakRSS is the largest resident set that a process has had, bytes: VmHWM of
// /proc/PID/status. It counts pages shared with other processes in full.
func peakRSS(pid int) (int64, error) {
	name := fmt.Sprintf("/proc/%d/status", pid)
	text, err := os.ReadFile(name)
	if err != nil {
		return 0, err
	}
	for line := range bytes.Lines(text) {
		value, ok := bytes.CutPrefix(line, []byte("VmHWM:"))
		if !ok {
			continue
		}
		kb, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(string(value)), " kB"), 10, 64)
		if err != nil {
			return 0, fmt.Errorf("%s: VmHWM: %w", name, err)
		}
		return kb << 10, nil
	}
	return 0, fmt.Errorf("%s has no VmHWM", name)
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
