package cputime

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// Of is how much CPU time a process has had, all of its threads, those that have
// ended too. The number of its clock is made of the process' (the layout is the
// kernel's, include/linux/posix-timers_types.h).
func Of(pid int) (time.Duration, error) {
	const scheduled = 2 // CPUCLOCK_SCHED, in ns
	var t unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|scheduled), &t); err != nil {
		return 0, fmt.Errorf("read the CPU clock of process %d: %w", pid, err)
	}
	return time.Duration(t.Nano()), nil
}
