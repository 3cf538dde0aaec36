// Package calibrate measures a machine's constants (predict.Calibration): what
// threads, processes and wraps cost on it besides the functions that they run.
// The paper takes them from its test bed; a prediction for another machine
// needs that machine's.
//
// # How
//
// Tiny workflows of functions that sleep for a millisecond are placed by hand:
// in a row in one process, side by side as threads, as pool and as forked
// processes, in wraps. Each placement (a shape, shapes.go) is bundled and run
// by real wraps, all at the same time; then every round sends
// each of them a few requests, one after the other. A shape's latency is the
// mean of the middle half of its rounds', and the constants solve the model's
// equations for those latencies (fit.go): slopes over the number of tasks,
// threads, processes and wraps, and what is left.
//
// How the constants vary (spread.go) is taken from the same requests, each beside
// the others of its shape; how far functions of one request are slow together
// from a shape that computes four times in a row. How much CPUs slow each other
// is the ratio within requests that compute by one and by two in turn, and what
// the ends of forked processes take is measured on one CPU.
//
// # How far to trust it
//
// Rounds are drawn anew from those measured (bootstrap) to see how far each
// constant varies. Then the calibration predicts every shape that it was taken
// from, and workloads that it was not, measured in the same rounds: Report.Checks.
// Forks are CPU time in the model (package predict, fork.go), so the constants
// hold on fewer CPUs than they were measured on; what wraps add when they compete
// for CPUs is in the slopes. Constants mean something on the machine they were
// measured on only.
//
// Where it stands: beside the profiler, before the search. It runs wraps as a
// target would, but without one: nothing is supervised, and a pipe that every
// wrap holds (its leash) ends them with this process, however that ends.
package calibrate
