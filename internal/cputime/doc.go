// Package cputime says how much CPU time another process has had, by its CPU clock
// (clock_getcpuclockid(3)).
package cputime
