package proc

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/chiron-faas/chiron/internal/procfs"
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
	processes, err := procfs.Processes()
	if err != nil {
		return Load{}, err
	}
	parents := make(map[int]int)
	used := make(map[int]float64)
	for _, s := range processes {
		parents[s.PID], used[s.PID] = s.Parent, float64((s.CPU+s.ChildrenCPU)/tick)
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

// Others is the part of the machine's CPUs that other programs used between two
// readings.
func Others(begin, end Load) float64 {
	if end.all <= begin.all {
		return 0
	}
	return max(0, (end.busy-begin.busy)-(end.own-begin.own)) / (end.all - begin.all)
}

// tick is of the clock that /proc/stat counts in: USER_HZ, which the kernel has
// fixed at 100 for programs on every architecture that Go knows.
const tick = 10 * time.Millisecond

// Used is the CPU time that processes and all below them have used so far,
// children that they have waited for included.
func Used(roots ...int) (time.Duration, error) {
	below, err := tree(roots)
	if err != nil {
		return 0, err
	}
	var used time.Duration
	for _, pid := range below {
		if s, err := procfs.ReadStat(pid); err == nil { // it may have ended
			used += s.CPU + s.ChildrenCPU
		}
	}
	return used, nil
}
