// Package deploy says what a target is: a place where a plan's wraps run. Each
// target is a folder of its own (local; later openfaas, kubernetes) whose files
// have the same names, and passes the same contract suite, deploy/targettest.
//
// Where it stands: right of bundle, whose folders it runs, and left of the
// gateway, which calls what it runs. A target starts wraps, keeps them running
// and takes them down; it knows nothing of workflows, requests or predictions.
package deploy
