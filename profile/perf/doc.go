// Package perf cuts a function's run into periods with the kernel's records of
// context switches (perf_event_open(2)): where programs may not be loaded into
// the kernel, but a process may watch its own children, which most systems
// permit (kernel.perf_event_paranoid up to 2).
//
// When the thread was on a CPU and when it was not is exact, and costs the
// thread next to nothing. What it waited for is not in the records: a sampler
// reads about every millisecond in which system call the thread is, as the
// portable tracer's does, so that waits over a millisecond are named. Whether
// the thread had the interpreter's lock is not seen: native periods count as
// cpu. Files are found by comparing the working folder.
package perf
