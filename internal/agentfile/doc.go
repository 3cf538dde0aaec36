// Package agentfile knows the file of chiron-agent, the program that runs inside
// every wrap: where chiron finds it, and whether a file is one.
//
// chiron and its agent are two programs of one version: what the one writes (a
// bundle, flags) only the other of the same version is sure to read. So an agent
// of another version is refused, before anything is started.
//
// Where it stands: below cmd/chiron, which looks for its agent, and bundle/oci,
// which puts agents into images.
package agentfile
