// Package predict is the white-box latency model: it answers how long a
// workflow takes when its functions are placed as a plan says, and shows the
// timeline behind the answer.
//
// Predictor simulates, event by event and in integer nanoseconds, what the
// runtime does with a plan (packages wrap and host): branches that start one
// after the other, forks that delay each other, threads that hand the
// interpreter lock to each other, processes that share CPUs, wraps that are
// called over the network. What the functions do comes from their profile, what
// the machine costs from a Calibration.
//
// Predictor.PaperLatency is the paper's own model, equations 1 to 4 and Algorithm
// 1. The simulation is held against it where the paper's assumptions hold (every
// process has a CPU, no native code, flat stages); nothing is planned with it.
//
// It stands between plan, which it reads, and plan/pgp, which asks it about
// thousands of plans. It measures nothing and knows no processes or sockets.
package predict
