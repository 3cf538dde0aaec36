// Package simulate plays many requests of a workflow on many machines on paper:
// how long they take under a plan, what its instances need of CPUs, memory and
// money, and what is refused.
//
// It is a discrete-event simulation in integer nanoseconds, the same for a seed.
//
//	arrivals.go, trace.go  when requests come: Poisson, evenly, as a file says
//	deployment.go          a plan's instance in numbers: what it needs of a
//	                       machine, what its requests share, and drawn requests
//	instance.go            requests inside an instance share its CPUs and locks
//	nodes.go               where an instance's wraps fit
//	fleet.go               which instance a request gets, when more are started
//	                       and when they are stopped: package gateway/fleet's rules
//	engine.go, clock.go    one moment after the other
//	result.go              what comes of it
//
// # A request
//
// Package predict draws requests, each alone on its wraps, and says which of their
// threads have a CPU at each moment (predict.Drawn). Here such a request is a
// sequence of phases, each with a length and a demand: threads on a wrap's CPUs, on
// a pinned CPU, with the interpreter lock of a process that requests share. Where
// the requests inside an instance demand more of one of these than there is, all
// that use it get on slower in the same measure (processor sharing), each by the
// scarcest that it uses. So a lone request takes what predict says, and what only
// waits is not held up.
//
// # What is left out
//
// Turns of CPUs, and switch intervals of locks, between requests (within one they
// are predict's): a share is fluid. CPUs that slow each other where instances are
// neighbours. The gateway's own work. Networks between nodes: a call costs what it
// was calibrated to cost. Failures and timeouts.
package simulate
