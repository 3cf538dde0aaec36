// Package controller plans and runs Workflow resources (deploy/kubernetes/v1alpha1)
// in the cluster that holds them.
//
// # From a Workflow to pods
//
//	request.go   the spec, read and checked
//	inputs.go    the profile and the calibration, from their ConfigMaps
//	planning.go  the search's plan for them, or a Refusal: the reason of the condition
//	planner.go   who asks for the same again gets the same plan, without a search
//	workload.go  the plan's wraps and their images, as package kubernetes applies them
//	reconcile.go takes one Workflow at a time, and writes its status
//	advance.go   looks, does the next step, and says when to look again
//	status.go    conditions, and events where they change
//	watch.go     whose change wakes up which Workflow
//
// # What a restart keeps
//
// Nothing that runs hangs on the controller's memory. The plan of a revision lies in
// the revision's ConfigMap with the digest of what it was made from, so that who
// starts anew, by a version with another search too, goes on with it; how far a
// change has come shows in the cluster (package kubernetes, Rollout); what did not
// come up is in the status.
//
// Where it stands: above deploy/kubernetes and plan/pgp; cmd/chiron-controller starts
// it. It must not come into cmd/chiron, which links no controller.
package controller
