// Package profiler measures how each function of a project behaves alone: warm,
// in the host that will serve it, on the input that it really gets.
//
// It walks the workflow once with the sample input, one task after the other,
// branches too, so that nothing else runs while a function is measured. At each
// task the function is called in a fresh worker; the first call (cold) gives the
// output that later tasks get. Then come warm calls without a tracer, until the
// mean is known well enough: they say how long everything takes. Half-way
// through, in a second worker, a tracer watches some calls, in one pass or
// several: they say in which order the function computes and waits.
// buildPeriods puts the two together. Tracers, the best first: profile/ebpf,
// profile/perf, profile/strace, profile/portable.
// Tasks that call the same function with the same bytes share the measurement.
//
// Source: the paper's section 3.2; see profile/strace for what is done
// differently, and why.
package profiler
