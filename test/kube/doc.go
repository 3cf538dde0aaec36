// Package kube tests what Chiron does on Kubernetes, on a true cluster of one node
// (package cluster) with the real binary: make test-kube brings the cluster up, runs
// these tests and takes it down. Without a cluster they are skipped.
package kube
