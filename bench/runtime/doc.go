// Package runtime holds experiments on the runtime of wraps, one file each, run
// with real interpreters on this machine. Their rounds take turns, so that a
// machine that gets slower does so for all; figures are medians.
//
//   - transfer.go: a value from one function to the next by size and way (the
//     paper's Figure 4)
//   - firstreply.go: the first reply of a process by mode and heap size
//   - throughput.go: requests a second by mode and number of connections
//   - cold.go: cold starts by way; idle.go: an agent that nobody calls
//
// firstreply.go and throughput.go ask real wraps ("chiron wrap") and fill a Table; each such
// experiment is a line in All.
package runtime
