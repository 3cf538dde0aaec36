// Command chiron measures the functions of a serverless workflow, plans how they
// share processes and sandboxes so that a latency objective is met with the
// fewest CPUs, and runs that plan.
//
// It holds no logic: a file per verb reads flags, calls package pipeline (or
// what pipeline calls), and prints. root.go is the list of verbs; report_*.go
// write reports as text, whose JSON form is the report's own; errors.go turns
// what went wrong into one line with what to do, and an exit code: 0 done, 1 the
// work failed, 2 wrong use.
package main
