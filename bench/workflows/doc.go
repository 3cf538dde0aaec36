// Package workflows holds the workflows that the paper measures, written afresh as
// projects of real programs with real stores (bench/services):
//
//	sn                   Social Network: 10 functions, 4 stages, at most 5 at once
//	mr                   Movie Reviewing: 9 functions, 4 stages, at most 4 at once
//	slapp                computing, disk and network: 7 functions, 2 stages
//	slapp-v              its variant: 10 functions, 5 stages, at most 5 at once
//	finra-5 … finra-200  validations of trades in parallel, then a margin balance
//
// sn and mr have projects of their own here, and share how they talk to stores.
// The others share the functions of examples/slapp and examples/finra-5. What is
// shared is put beside a project's own files when it is written; FINRA's size is a
// number there.
//
// A Checker says whether an answer is right: it derives from the sample input and
// from the stores' data what every function should have answered.
package workflows
