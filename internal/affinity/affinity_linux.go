package affinity

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// CPUs lists the numbers of the CPUs that this process may run on, ascending.
// It is the calling thread's affinity, which all threads of a Go program have where
// none was bound by itself.
func CPUs() ([]int, error) {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		return nil, fmt.Errorf("ask which CPUs this process may use: %w", os.NewSyscallError("sched_getaffinity", err))
	}
	cpus := make([]int, 0, set.Count())
	for cpu := range len(set) * 64 {
		if set.IsSet(cpu) {
			cpus = append(cpus, cpu)
		}
	}
	return cpus, nil
}
