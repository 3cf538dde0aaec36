// Package runtime holds experiments on the runtime of wraps, one file each, run
// with real interpreters on this machine. Their rounds take turns, so that a
// machine that gets slower does so for all; figures are medians.
//
//   - transfer.go: a value from one function to the next by size and way (the
//     paper's Figure 4)
//   - firstreply.go: the first reply of a process by mode and heap size
//   - path.go: what a workflow's functions do not take of a request
//   - throughput.go: requests a second by mode and number of connections
//   - memory.go: what a wrap holds, beside as many interpreters
//   - cold.go: cold starts by way; idle.go: an agent that nobody calls
//
// Those that ask real wraps and fill a Table are lines in All. The benchmarks in
// hot_test.go have agent and gateway inside the test's process, to be profiled.
package runtime
