// Package portable cuts a function's run into periods with what every process
// may ask about its own children: no tracing rights, no tools, any Linux.
//
// While a call runs, a sampler reads about every millisecond which system call
// the serving thread is in (/proc/PID/task/TID/syscall, where it may be read) and
// how long it waited for a CPU. Inside the worker a probe (see
// host/python/chiron_host/probe.py) asks for the interpreter lock every half
// millisecond and, when it has it, reads the serving thread's CPU clock. So
//
//	the probe is kept waiting         the lock was held: cpu
//	it comes at once, the clock ran   the lock was free: native
//	it comes at once, the clock stood block
//
// For the traced runs the interpreter's switch interval is so long that the probe
// gets the lock only where the function lets go of it by itself: it does not
// disturb what it measures. What it cannot see: a release of the lock that is
// shorter than the probe takes to wake up (some 0.1 ms; it counts as held), where
// within the half millisecond of a pause the lock was taken again, how much of a
// fine mix is which (of 10 ms that examples/slapp's networkio computes, eBPF sees
// 3.5 without the lock, in pieces of 0.1 ms; the probe takes 5 to 8 for such), which of the
// function's own threads holds the lock, and all this for a language whose host
// has no probe. There, the CPU clock is the process', read from outside, which
// the kernel brings up to date at its timer's ticks (1 to 4 ms).
//
// Totals do not depend on the sampler: profile/profiler takes them from untraced
// runs. Only the order and the relative lengths are the sampler's, to about half
// a millisecond: where a run waits and computes more finely than that, the waits
// are found but not told apart.
//
// Files that the function writes are found by comparing its working folder
// before and after: what it writes elsewhere stays unseen, and the profile says
// so.
package portable
