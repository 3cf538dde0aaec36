// Package programtest builds this repository's programs for tests that start
// them: chiron, chiron-agent, which runs inside every wrap, and chiron-controller,
// which runs in clusters.
//
// Where it stands: below every test that starts a process of ours. Only tests
// import it.
package programtest
