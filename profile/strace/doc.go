// Package strace cuts a function's run into periods with strace, as the
// paper's Profiler does (section 3.2, figure 10): a system call that can block
// is a block period, what lies between is CPU time.
//
// strace is attached to the worker that the host has started, so that traced
// and untraced calls run in the same kind of process. A call's records are cut
// out of the stream by the lane's own system calls: the host receives on the
// lane, reads the thread's CPU clock before and after the handler (a system
// call on every Linux), and sends on the lane.
//
// Differences from the paper:
//   - The paper scales block periods by the untraced over the traced latency.
//     But strace stops the thread twice in every system call, so its cost lies
//     where the calls are: a handler of 200 small calls takes 0.9 ms alone and
//     17 ms under strace, all of which would count as CPU time. Here the cost
//     of one call is found from the session itself (see cost) and taken off
//     where it arose; profile/profiler then fits what is left to the wall and
//     CPU time measured without strace.
//   - A call that can block need not have: reading a cached file is work on
//     the CPU. Such segments are marked, and the CPU clock decides.
//
// strace sees no release of the interpreter lock outside of system calls, so
// it reports no native periods.
package strace
