// Package simulation holds package simulate against the real thing: it serves a
// project as "chiron up" does, sends requests at random times, and simulates the
// same plan with requests at the same times on one node.
package simulation
