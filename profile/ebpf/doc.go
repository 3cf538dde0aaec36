// Package ebpf cuts a function's run into periods with programs in the kernel:
// exact to some microseconds, with the interpreter's lock in view, and at next
// to no cost to the function.
//
// Who tells what (probes.c):
//   - sched_switch and sched_wakeup: when the thread leaves a CPU, in which
//     system call, when it may run again and when it does. So time that it waits
//     is told from time that it waits for a CPU, which is other programs' doing.
//   - probes on the functions that release and take the interpreter's lock
//     (lock.go): native is on a CPU without the lock, as in a hash, or in the
//     kernel's page cache; block is off it without the lock. Off the CPU with the
//     lock, as for a page that has to be read, is no block: nobody else runs.
//   - the ends of system calls that name files and addresses, of the process and
//     of its children: what it writes and to whom it connects.
//
// What tells most costs most: probes on the lock make a handler of thousands of
// small system calls take several times as long. So the calls are made three
// times over, in passes: with the named calls told, with the lock probed, and
// with nothing but the scheduler. The last takes as long as an untraced run, and
// every length comes from it; the lock's pass only says how each stretch on a
// CPU is divided, less what its probes cost (cost.go, combine.go). Pieces that
// are too short for another thread to use are pooled, class by class (pack.go).
//
// The object is built from probes.c by bpf2go and committed. It is the same for
// every kernel from 5.15 with type information (CO-RE). All of it hangs on file
// descriptors: when the trace, or this process, ends, nothing is left in the
// kernel.
package ebpf
