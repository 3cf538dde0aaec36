// Package predict is the white-box latency model: it answers how long a
// workflow takes when its functions are placed as a plan says, and shows the
// timeline behind the answer.
//
// Predictor simulates, event by event and in integer nanoseconds, what the
// runtime does with a plan (packages wrap and host): branches that start one
// after the other, processes that are forked and end and need CPU time for both,
// threads that hand the interpreter lock to each other, processes that share CPUs
// and slow each other, a queue for each CPU that is balanced late (in requests that
// are drawn), wraps that are called over the network. What the functions
// do comes from their profile, what the machine costs from a Calibration.
//
// Predictor.PaperLatency is the paper's own model, equations 1 to 4 and Algorithm
// 1. The simulation is held against it where the paper's assumptions hold (every
// process has a CPU, no native code, flat stages); nothing is planned with it.
//
// # In
//
// All times are time.Duration, and nanoseconds inside. New takes
//
//   - a workflow.Definition: stages, and branches in them that may hold several
//     states and Parallels again;
//   - a profile.Profile: for each task, by its state's name, the periods of a warm
//     run in order, each with its class, mean and standard deviation; Walls, where
//     they are known, are the whole runs that Distribution draws from. Memory is
//     read for Prediction.Memory only. "chiron profile" measures one;
//   - a Calibration: what the machine adds. "chiron calibrate" measures one; Paper
//     has the paper's. Each constant's own comment says what it is, fit.go of
//     package calibrate how it is measured and by which equation;
//   - Options.CPUs: how many the machine has, if wraps share them; Spare: whether
//     it has more, for servers that functions wait for (Period.Served).
//
// What is asked about is a plan.Plan: wraps with CPUs, in them processes with a
// mode, a CPU or none, a switch interval or the calibration's, and their tasks.
//
// # Out
//
//	Predict        latency where every period takes its mean, the stages, the
//	               timeline, CPU time, peak memory
//	Latency        the first of these, in a tenth of a millisecond and less
//	Distribution   mean, standard deviation, percentiles over drawn requests
//	Percentile     one of those, for who searches
//
// The same input gives the same output on every machine, and a Distribution for
// the same seed: the simulation is integer arithmetic, and what is drawn is.
//
// # Distributions
//
// Each sample is one request. Of every task a run is drawn from its profile
// (draw.go): by its Walls, or where there are none from a floor and an
// exponential tail with the mean and the deviation of its periods. Of the
// machine's constants one factor is drawn for the request, from
// Calibration.Spread. What computes is slow or fast with the other functions of
// its request as far as Calibration.Together says: machines have slow moments,
// and a model that takes functions for independent predicts too narrow a spread
// (RATIONALE.md has the measurement). Blocks vary independently.
//
// Not in it: that a slow moment of one request lasts into the next, since each
// request is drawn alone; that forks of one request vary among themselves.
//
// # Where
//
// It stands between plan, which it reads, and plan/pgp, which asks it about
// thousands of plans. It measures nothing and knows no processes or sockets.
package predict
