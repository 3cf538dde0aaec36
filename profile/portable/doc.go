// Package portable cuts a function's run into periods with what every process
// may ask about its own children: no tracing rights, no tools, any Linux.
//
// While a call runs, a sampler reads about every millisecond how much CPU time
// the worker has used so far (clock_gettime on the process' CPU clock, which
// the kernel brings up to date at each reading) and which system call the
// serving thread is in (/proc/PID/task/TID/syscall, where it may be read). CPU
// time that grew as fast as the wall clock is a CPU period, CPU time that stood
// still a block. Totals do not depend on the sampler: profile/profiler takes
// them from untraced runs. Only the order and the relative lengths are the
// sampler's, to about half a millisecond: where a run waits and computes more
// finely than that, the waits are found but not told apart.
//
// Files that the function writes are found by comparing its working folder
// before and after: what it writes elsewhere stays unseen, and the profile says
// so.
package portable
