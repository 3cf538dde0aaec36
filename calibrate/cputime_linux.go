package calibrate

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// processTime is how much CPU time a process has had, all of its threads: its CPU
// clock, whose number is made of the process' (clock_getcpuclockid(3); the layout
// is the kernel's, include/linux/posix-timers_types.h).
func processTime(pid int) (time.Duration, error) {
	const scheduled = 2 // CPUCLOCK_SCHED, in ns
	var t unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|scheduled), &t); err != nil {
		return 0, fmt.Errorf("read the CPU clock of process %d: %w", pid, err)
	}
	return time.Duration(t.Nano()), nil
}
