package accuracy

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// load is what CPUs have done so far, in clock ticks (proc(5)).
type load struct {
	// busy and all of the machine's CPUs; stolen by other machines on the same
	// hardware counts as busy.
	busy, all float64
	// own is what this process and those below it used, children that they have
	// waited for included: forked workers, which come and go.
	own float64
}

// readLoad reads /proc.
func readLoad() (load, error) {
	data, err := os.ReadFile("/proc/stat")
	if err != nil {
		return load{}, err
	}
	l, err := machineLoad(data)
	if err != nil {
		return load{}, err
	}
	files, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return load{}, err
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
func machineLoad(data []byte) (load, error) {
	line, _, _ := bytes.Cut(data, []byte("\n"))
	fields := strings.Fields(string(line))
	if len(fields) < 9 || fields[0] != "cpu" {
		return load{}, fmt.Errorf("/proc/stat begins with %.60q", line)
	}
	var l load
	for i, f := range fields[1:9] {
		ticks, err := strconv.ParseFloat(f, 64)
		if err != nil {
			return load{}, fmt.Errorf("/proc/stat: %w", err)
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

// others is the part of the machine's CPUs that other programs used between two
// readings.
func others(begin, end load) float64 {
	if end.all <= begin.all {
		return 0
	}
	return max(0, (end.busy-begin.busy)-(end.own-begin.own)) / (end.all - begin.all)
}
