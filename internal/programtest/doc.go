// Package programtest builds this repository's programs for tests that start
// them: chiron, and chiron-agent, which runs inside every wrap.
//
// Where it stands: below every test that starts a process of ours. Only tests
// import it.
package programtest
