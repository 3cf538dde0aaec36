// Package services runs the stores that the workflows of bench/workflows talk to
// (PostgreSQL, Redis, memcached and an S3-compatible object server) on loopback,
// with folders, ports and processes of their own: nothing of the machine's own
// installations is touched. It puts the workflows' data there, which are the same
// everywhere: a generator with a fixed seed makes them.
//
// The servers are those that Debian packages; the object server is Versity's
// gateway over a folder (tools/services).
package services
