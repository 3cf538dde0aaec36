// Package serving brings plans up on this machine for the experiments that hold
// them side by side, and asks them.
package serving
