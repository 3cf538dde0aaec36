// Package local runs wraps on this machine: one process tree per wrap, kept by
// the process that called Up.
//
// # One wrap
//
// A wrap is "chiron-agent BUNDLE --listen unix://… --leash": a session of its
// own (setsid(2)), a working folder and a temporary folder of its own, an
// environment made from nothing (PATH, HOME, LANG, TMPDIR), CPUs of its own
// while there are enough, and, where the machine permits it, control groups
// that hold it to its CPUs and its memory and know all of its processes. What it
// prints goes to log files of bounded size. When it dies it is started again: at
// once the first time, then after pauses that grow from 100 ms to 10 s, until it
// has been well for 30 s.
//
// # No orphans
//
// The keeper holds a pipe that every agent reads as its leash: however the
// keeper ends, kill -9 included, the kernel closes the pipe and each agent kills
// its tree and leaves. Down kills what the control group still holds, and what is
// left of the session and below the agent, until nothing is there. The next Up or
// Down of the same name does the same for a keeper that was killed.
//
// # State
//
// A deployment is a folder of Options.Dir: state.json, sockets, logs. Beside it
// lies a lock file on which the keeper holds a lock (flock(2)) as long as it
// lives: who gets the lock knows that the deployment is dead, whatever its pid is
// by now. Processes are recorded with
// their start time, and believed only where it fits. ps, logs and down need the
// folder alone; they ask the keeper over control.sock.
package local
