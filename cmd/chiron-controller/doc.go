// Command chiron-controller plans Workflow resources and runs them in the cluster
// that holds them. deploy/kubernetes/base has the manifests that it runs by.
//
// It is a program of its own because a controller's libraries are larger than all
// else that chiron links, and none of its other verbs needs them. It holds no logic:
// flags.go makes options of the command line, start.go the manager that package
// deploy/kubernetes/controller is registered with.
package main
