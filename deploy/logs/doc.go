// Package logs keeps what wraps log: a file of JSON lines for each, bounded, and
// read back in order of time while it grows.
//
// Where it stands: beside the targets that run wraps on this machine, each of which
// has a folder of such files for a deployment.
package logs
