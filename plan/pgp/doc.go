// Package pgp is the search for a plan: the paper's Algorithm 2 (prediction-based
// graph partitioning), a client of predict.
//
// For n = 1, 2, … CPUs it deals the tasks of every stage out to n processes,
// improves pairs of processes by Kernighan-Lin exchanges that the prediction
// judges, and stops at the first n whose predicted latency meets the objective.
// Then it packs the processes into as few wraps as the objective allows.
//
// # A plan's way through the package
//
//	Problem     problem.go                what is asked
//	search      prepare.go, stage.go      tasks become stages of kinds, groups without conflicts; bounds
//	  attempt   search.go, parallel.go    counts of CPUs, one after the other or beside each other;
//	            lowest.go                 all of them for the other goals and the frontier
//	    layout  attempt.go, layouts.go    processes and wraps for a count of CPUs; their modes (modes.go)
//	      shape shape.go, floor.go        one layout in one mode; what it takes at least
//	        board partition.go, start.go  one stage's tasks, dealt out to a shape's processes
//	              rounds.go, improve.go   moved (move.go) and predicted (board.go) until it is fast enough
//	              whole.go, exact.go      the same for stages that do not compose, and for all partitions
//	              reshape.go              then other wraps for the same processes
//	    candidate partition.go            all boards together make a plan, predicted whole
//	  shared    shared.go                 another search, of pools whose processes share CPUs
//	  finish    finish.go                 fewer wraps, shorter switch intervals
//	Result      result.go                 with what else there is (alternatives.go)
//
// A worker (worker.go) does the attempts of one goroutine. algorithm2.go is the
// paper's search as it is printed (Problem.Method Algorithm2), the reference that
// the production search is held against.
//
// # Where the paper leaves room
//
// The first process of each wrap is resident (pool), so that tasks in series and
// the first share of a stage cost no fork; the other processes are forked for the
// request (fork) as in the paper, and only where that does not meet the objective
// at the same n resident too, which costs memory between requests but no CPU.
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
// The production search shares the outer loop with it and differs within:
//
//   - Where every process has a CPU of its own and every branch is one task,
//     processes do not touch each other: only those that a move changes are
//     predicted anew, alone, and remembered; the stage is put together by
//     equations 2 to 4 (composition.go). What the composition leaves out, the CPU
//     time that processes which end take from the next stage and that busy CPUs
//     take from each other, is made up for by aiming lower (worker.partition).
//   - Tasks of one profile are of one kind: a process is known by how many it has
//     of each, in the order of their starts, the longest first (stage.go).
//   - It begins with the longest tasks dealt out first, takes moves and exchanges
//     that relieve the process that ends last, most promising first (move.go), then
//     leaves local optima by tabu search and by random kicks with a fixed seed
//     (improve.go). Stages of few tasks are also divided between pairs of processes
//     in every way.
//   - How many wraps there are and how large is chosen by estimates and by a first
//     descent (worker.leading), and again when the processes are known (reshape.go).
//   - Bounds leave out what cannot meet the target: counts of CPUs, layouts
//     (search.atLeast, stage.floor), moves.
//   - Counts of CPUs are tried beside each other on several CPUs (parallel.go); the
//     result is that of trying one after the other.
//
// Functions in conflict make groups; each has wraps of its own and gets CPUs by
// its work. Tasks that are to be together stay in the first wrap of their group.
//
// Exact (exact.go) finds the best of all partitions of stages of up to ten tasks;
// TestOptimal holds the production search against it.
//
// # Percentiles
//
// Predictions are of means. Where the SLO is meant at a percentile
// (Problem.AtPercentile), the search asks for that of the plan that it would
// choose, and goes on with a target as much tighter as the percentile was over the
// SLO, until one meets it.
//
// It stands rightmost of the plan's way before bundle; it measures nothing.
package pgp
