// Package logs keeps what wraps log: a file of JSON lines for each, bounded, and
// read back in order of time while it grows; and what targets elsewhere need to know
// of an agent's lines.
//
// Where it stands: below the targets. Those that run wraps on this machine have a
// folder of such files for a deployment.
package logs
