package portable

import (
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// cpuTime is the CPU time that a process has used, all threads, user and
// system. Any process may ask for it.
func cpuTime(pid int) (time.Duration, error) {
	var t unix.Timespec
	if err := unix.ClockGettime(cpuClock(pid), &t); err != nil {
		return 0, fmt.Errorf("read the CPU clock of process %d: %w", pid, err)
	}
	return time.Duration(t.Nano()), nil
}

// cpuClock is the id of a process' CPU clock: the complement of its number,
// shifted by three, with CPUCLOCK_SCHED (2) below: as clock_getcpuclockid(3)
// makes it, after include/linux/posix-timers_types.h.
func cpuClock(pid int) int32 { return ^int32(pid)<<3 | 2 }

// queueFile reads how long a thread has waited for a CPU so far.
type queueFile struct {
	file *os.File // nil: the kernel does not say
	buf  [128]byte
}

func openQueue(pid, tid int) *queueFile {
	file, err := os.Open(fmt.Sprintf("/proc/%d/task/%d/schedstat", pid, tid))
	if err != nil {
		return &queueFile{} // waiting for a CPU then looks like waiting
	}
	return &queueFile{file: file}
}

func (q *queueFile) close() {
	if q.file != nil {
		_ = q.file.Close() // opened for reading
	}
}

// read returns 0 where the kernel does not say. The file holds CPU time and
// waiting time in nanoseconds, and the number of turns; see
// Documentation/scheduler/sched-stats.rst in the kernel's source.
func (q *queueFile) read() time.Duration {
	if q.file == nil {
		return 0
	}
	n, _ := q.file.ReadAt(q.buf[:], 0) // at the end of the line: io.EOF
	var used, waited int64
	if _, err := fmt.Sscan(string(q.buf[:n]), &used, &waited); err != nil {
		return 0
	}
	return time.Duration(waited)
}
