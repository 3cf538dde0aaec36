// Package plan holds the Plan: which function runs in which wrap, process and
// thread, on how many CPUs and in which process mode. It is the one contract
// between the search (plan/pgp), the fixed deployment models (plan/model), the
// predictor, and the runtime that executes it (bundle, wrap, deploy).
//
// It knows the workflow and, for costs, the profile; it knows nothing of time
// predictions, HTTP or processes of the operating system.
package plan
