// Package proc reads what the kernel tells of CPUs and processes (proc(5)), for the
// experiments: how busy the machine was, and with whom, and what processes and all
// below them hold.
package proc
