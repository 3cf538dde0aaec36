// Package runtime holds experiments on the runtime of wraps, one file each, run
// with real interpreters on this machine. Their rounds take turns, so that a
// machine that gets slower does so for all; figures are medians.
//
//   - transfer.go: a value from one function to the next by size and way (the
//     paper's Figure 4)
package runtime
