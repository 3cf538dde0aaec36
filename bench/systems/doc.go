// Package systems measures every system that the paper compares, side by side on
// this machine: each is a plan (plan/model, plan/pgp), and one program, "chiron
// up", serves them all, so that what differs is the deployment model and nothing
// else.
//
// # A workflow's turn
//
//	prepare   its stores are looked at, its functions profiled; Faastlane is served
//	          and its mean sets the SLO (+ 10 ms, as in the paper); then the other
//	          systems' plans are made, Chiron's searched for that SLO less a margin
//	rounds    all systems are up and take turns, one timed request each a round,
//	          in some rounds one more with a trace; then they take turns again, each
//	          with as many requests as it can serve
//	alone     one system at a time is up: the memory that its wraps hold at rest
//	          and under requests
//
// Every answer is checked. What is measured goes to a journal as it comes
// (bench/journal), so a run that was interrupted goes on; figures, ratios and
// pictures are made when it is reported.
//
// # What is not measured
//
// AWS Step Functions is a model of its costs and delays (stepfunctions.go), and the
// paper's node of 40 CPUs is predicted (simulated.go). Both stand in columns and
// tables of their own that say so: modelled, simulated.
package systems
