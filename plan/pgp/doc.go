// Package pgp is the search for a plan: the paper's Algorithm 2 (prediction-based
// graph partitioning), a client of predict.
//
// For n = 1, 2, … CPUs it deals the tasks of every stage out to n processes,
// improves pairs of processes by Kernighan-Lin exchanges that the prediction
// judges, and stops at the first n whose predicted latency meets the objective.
// Then it packs the processes into as few wraps as the objective allows.
//
// # Where the paper leaves room
//
// Process 0 of wrap 1 is resident (pool), so that tasks in series and the first
// share of a stage cost no fork; the other processes are forked for the request
// (fork) as in the paper, and only where that does not meet the objective at the
// same n resident too, which costs memory between requests but no CPU. Wrap 1
// gets as many processes as are forked in the time that calling another wrap
// takes, T_RPC/T_Block; the others begin in a wrap each. Functions that may not
// share a wrap with the largest group that may (plan.Conflicts) get wraps of
// their own, with one resident process each.
//
// # CPUs
//
// In the paper every process has a CPU of its own. So it is here where it can be:
// n processes in n CPUs, each pinned to one. But a machine has only so many, and
// the fewest CPUs are the aim, so two other layouts are looked at for each n,
// where the profile says that they can help; in both, no process is pinned, and
// the kernel deals the wrap's CPUs out:
//
//   - fewer processes than CPUs, where functions compute without the interpreter
//     lock: their threads then run beside each other in one process;
//   - more processes than CPUs, n+1 and 2n, where functions wait: a thread that
//     wakes beside a computing one gets its lock after up to a switch interval
//     (5 ms), its share of a CPU at once. More than twice as many gain nothing
//     further: the CPUs are full, and each process costs memory.
//
// # What goes beyond Algorithm 2
//
// Problem.Literal turns this off, for comparison. Kernighan-Lin also moves a task
// without one in return (Kernighan and Lin's own extension to sets of unequal
// size, 1970, section 2.6: an empty place is an element), so that one long task
// can stand alone. A second start deals the longest tasks first to the process
// that ends first: with as many processes as rules, dealing in turn puts all
// tasks of a rule together and no single exchange leads out of that. Counts of
// CPUs that cannot meet the objective, because the work alone takes longer on
// them, are skipped. Only pairs with the process that ends last are tried: no
// other pair can end the stage sooner. And where every process has a CPU of its
// own, only the processes that an exchange touches are predicted anew and the
// stage is put together by equations 2 to 4 (board.compose).
//
// It stands rightmost of the plan's way before bundle; it measures nothing.
package pgp
