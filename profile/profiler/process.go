package profiler

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/chiron-faas/chiron/profile"
)

// peakRSS is the largest resident set that a process has had, bytes: VmHWM of
// /proc/PID/status. It counts pages shared with other processes in full.
func peakRSS(pid int) (int64, error) {
	sizes, err := sizes(fmt.Sprintf("/proc/%d/status", pid), "VmHWM")
	if err != nil {
		return 0, err
	}
	return sizes["VmHWM"], nil
}

// footprint is a process' memory by /proc/PID/smaps_rollup, which Linux has
// since 4.14; see the kernel's Documentation/filesystems/proc.rst.
func footprint(pid int) (profile.Footprint, error) {
	all, err := sizes(fmt.Sprintf("/proc/%d/smaps_rollup", pid), "Rss", "Pss", "Private_Clean", "Private_Dirty")
	if err != nil {
		return profile.Footprint{}, err
	}
	return profile.Footprint{RSS: all["Rss"], PSS: all["Pss"], Private: all["Private_Clean"] + all["Private_Dirty"]}, nil
}

// sizes reads lines of the form "Name: 123 kB", bytes by name; each name that is
// wanted must be there.
func sizes(file string, wanted ...string) (map[string]int64, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	found := make(map[string]int64)
	for line := range bytes.Lines(text) {
		name, value, ok := strings.Cut(string(line), ":")
		if !ok || !slices.Contains(wanted, name) {
			continue
		}
		kb, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
		if err != nil {
			return nil, fmt.Errorf("%s: %s: %w", file, name, err)
		}
		found[name] = kb << 10
	}
	for _, name := range wanted {
		if _, ok := found[name]; !ok {
			return nil, fmt.Errorf("%s has no %s", file, name)
		}
	}
	return found, nil
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
