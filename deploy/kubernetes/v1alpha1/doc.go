// Package v1alpha1 has the types of the Workflow resource, which
// deploy/kubernetes/controller plans and keeps running: what a user asks for, and
// what has become of it. The resource's definition, with the same fields, is
// deploy/kubernetes/base/crd.yaml; a test holds the two against each other.
//
// Where it stands: data only. It imports none of ours, so that whoever writes or
// reads a Workflow links neither the search nor a controller.
package v1alpha1
