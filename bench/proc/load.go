package proc

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Load is what CPUs have done so far, in clock ticks (proc(5)).
type Load struct {
	// busy and all of the machine's CPUs; stolen by other machines on the same
	// hardware counts as busy.
	busy, all float64
	// own is what this process and those below it used, children that they have
	// waited for included: forked workers, which come and go.
	own float64
}

// ReadLoad reads /proc.
func ReadLoad() (Load, error) {
	data, err := os.ReadFile("/proc/stat")
	if err != nil {
		return Load{}, err
	}
	l, err := machineLoad(data)
	if err != nil {
		return Load{}, err
	}
	files, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return Load{}, err
	}
	parents := make(map[int]int)
	used := make(map[int]float64)
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			continue // it has ended
		}
		if pid, parent, ticks, ok := processLoad(data); ok {
			parents[pid], used[pid] = parent, ticks
		}
	}
	self := os.Getpid()
	for pid, ticks := range used {
		above := pid
		// The processes may have changed while they were read: bound the way up.
		for range len(parents) {
			if above == self || above == 0 {
				break
			}
			above = parents[above]
		}
		if above == self {
			l.own += ticks
		}
	}
	return l, nil
}

// machineLoad reads the first line of /proc/stat: user, nice, system, idle,
// iowait, irq, softirq, steal; what follows is counted in user and nice already.
func machineLoad(data []byte) (Load, error) {
	line, _, _ := bytes.Cut(data, []byte("\n"))
	fields := strings.Fields(string(line))
	if len(fields) < 9 || fields[0] != "cpu" {
		return Load{}, fmt.Errorf("/proc/stat begins with %.60q", line)
	}
	var l Load
	for i, f := range fields[1:9] {
		ticks, err := strconv.ParseFloat(f, 64)
		if err != nil {
			return Load{}, fmt.Errorf("/proc/stat: %w", err)
		}
		l.all += ticks
		if i != 3 && i != 4 {
			l.busy += ticks
		}
	}
	return l, nil
}

// processLoad reads /proc/PID/stat. The command's name, in parentheses, may hold
// anything; behind it, ppid is the 2nd field and utime, stime, cutime and cstime
// are the 12th to 15th.
func processLoad(data []byte) (pid, parent int, ticks float64, ok bool) {
	head, _, _ := bytes.Cut(data, []byte(" "))
	end := bytes.LastIndexByte(data, ')')
	if end < 0 {
		return 0, 0, 0, false
	}
	fields := strings.Fields(string(data[end+1:]))
	if len(fields) < 15 {
		return 0, 0, 0, false
	}
	pid, err1 := strconv.Atoi(string(head))
	parent, err2 := strconv.Atoi(fields[1])
	if err1 != nil || err2 != nil {
		return 0, 0, 0, false
	}
	for _, f := range fields[11:15] {
		t, err := strconv.ParseFloat(f, 64)
		if err != nil {
			return 0, 0, 0, false
		}
		ticks += t
	}
	return pid, parent, ticks, true
}

// Others is the part of the machine's CPUs that other programs used between two
// readings.
func Others(begin, end Load) float64 {
	if end.all <= begin.all {
		return 0
	}
	return max(0, (end.busy-begin.busy)-(end.own-begin.own)) / (end.all - begin.all)
}

// tickRate is of the clock ticks that /proc counts in: USER_HZ, which the kernel
// has fixed at 100 for programs on every architecture that Go knows.
const tickRate = 100

// Used is the CPU time that processes and all below them have used so far,
// children that they have waited for included.
func Used(roots ...int) (time.Duration, error) {
	below, err := tree(roots)
	if err != nil {
		return 0, err
	}
	var ticks float64
	for _, pid := range below {
		data, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
		if err != nil {
			continue // it has ended
		}
		if _, _, t, ok := processLoad(data); ok {
			ticks += t
		}
	}
	return time.Duration(ticks / tickRate * float64(time.Second)), nil
}
