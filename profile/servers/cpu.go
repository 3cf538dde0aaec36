package servers

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/chiron-faas/chiron/internal/cputime"
)

// CPU is how much CPU time processes have had, with all their descendants: a
// server may have a process for each connection. That of children which have ended
// and been waited for is known to a tick of 10 ms only; of processes that are not
// there it is 0.
func CPU(pids []int) time.Duration {
	if len(pids) == 0 {
		return 0
	}
	all := make(map[int]stat)
	for _, pid := range processes() {
		if s, err := readStat(pid); err == nil {
			all[pid] = s
		}
	}
	var sum time.Duration
	for pid, s := range all {
		if !descends(pid, pids, all) {
			continue
		}
		sum += s.children
		if own, err := cputime.Of(pid); err == nil {
			sum += own
		}
	}
	return sum
}

// descends says whether a process is one of some, or a descendant's.
func descends(pid int, of []int, all map[int]stat) bool {
	for range all { // no longer than there are: numbers may be used anew meanwhile
		if slices.Contains(of, pid) {
			return true
		}
		s, ok := all[pid]
		if !ok {
			return false
		}
		pid = s.parent
	}
	return false
}

// stat is what matters of /proc/PID/stat.
type stat struct {
	parent   int
	children time.Duration // CPU time of those that were waited for
}

func readStat(pid int) (stat, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return stat{}, err
	}
	return parseStat(string(text))
}

// userTick is the unit of times in /proc/PID/stat: USER_HZ is 100 on all that Linux
// runs on but Alpha and Itanium.
const userTick = 10 * time.Millisecond

// parseStat reads the parent and the times of children (proc_pid_stat(5): fields
// 4, 16 and 17). The name, in parentheses, may hold anything.
func parseStat(text string) (stat, error) {
	_, rest, ok := cutLast(text, ")")
	fields := strings.Fields(rest)
	const parent, user, system = 4 - 3, 16 - 3, 17 - 3 // fields count from 1, rest begins with the third
	if !ok || len(fields) <= system {
		return stat{}, fmt.Errorf("%d fields", len(fields))
	}
	var s stat
	var err error
	if s.parent, err = strconv.Atoi(fields[parent]); err != nil {
		return stat{}, err
	}
	for _, f := range fields[user : system+1] {
		ticks, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			return stat{}, err
		}
		s.children += time.Duration(ticks) * userTick
	}
	return s, nil
}

func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}
