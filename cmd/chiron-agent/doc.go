// Command chiron-agent runs one wrap: it serves the bundle in a folder until
// SIGTERM, then finishes the requests inside. Targets start it, in a process of
// this machine or as the command of an image.
//
// It is a program of its own because there is one in every wrap: what else chiron
// links (clients of registries, queues and clusters) would be started, held in
// memory and downloaded with each. It holds no logic: flags.go makes wrap.Options
// of the command line. chiron looks for it beside its own file
// (internal/agentfile).
package main
