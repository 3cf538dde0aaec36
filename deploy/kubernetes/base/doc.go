// Package base is the folder of the control plane's manifests, a kustomize base:
//
//	kubectl apply -k deploy/kubernetes/base
//
// It holds no code but the tests that say what the manifests promise: a pod that may
// do nothing, rights without a wildcard, nobody who gets in. That the rights are those
// that the code needs is a test of deploy/kubernetes/controller, that all of it works on
// a cluster is one of test/kube.
package base
