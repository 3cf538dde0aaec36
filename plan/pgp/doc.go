// Package pgp is the search for a plan: the paper's Algorithm 2 (prediction-based
// graph partitioning), a client of predict.
//
// For n = 1, 2, … processes it deals the tasks of every stage out to the
// processes in turn, improves every pair of processes by Kernighan-Lin swaps
// that the prediction judges, and stops at the first n whose predicted latency
// meets the objective. Then it packs the processes into as few wraps as the
// objective allows.
//
// Where the paper leaves room, this is decided: process 0 of wrap 1 is resident
// (pool), so that tasks in series and the first share of a stage cost no fork;
// the other processes are forked for the request (fork) as in the paper, and
// only where that does not meet the objective at the same n resident too, which
// costs memory between requests but no CPU. Every process is pinned to a CPU of
// its own, so n processes are n CPUs. Functions that may not share a wrap with
// the largest group that may (plan.Conflicts) get wraps of their own, with one
// resident process each.
//
// It stands rightmost of the plan's way before bundle; it measures nothing.
package pgp
