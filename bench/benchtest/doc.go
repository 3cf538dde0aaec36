// Package benchtest is what the tests of the experiments set up: the program whose
// wraps they serve, and a project.
package benchtest
