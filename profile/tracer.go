package profile

import (
	"context"
	"time"
)

// Tracer watches one thread of a running process and cuts its calls into
// segments.
type Tracer interface {
	// Name is what a Function's Tracer says: "ebpf", "perf", "strace", "portable".
	Name() string
	// Available returns nil where this machine lets the tracer work, else one
	// line that says what is missing and what to do about it.
	Available(ctx context.Context) error
	// Start begins to watch and returns once it sees every call made from now
	// on. The Trace must be ended with Stop or Abort.
	Start(ctx context.Context, target Target) (Trace, error)
}

// Trace is a Tracer at work.
type Trace interface {
	// Stop ends the watching and returns what was seen of the calls, which are
	// all that the target served since Start, in order; untraced is how the
	// function behaves when nobody watches, which a tracer needs to tell its
	// own cost from the function's.
	Stop(ctx context.Context, calls []Call, untraced Untraced) (*Observation, error)
	// Abort ends the watching. It may be called after Stop, and then does nothing.
	Abort()
}

// Passes is a Trace that looks more than once, each time at something else,
// because what tells most also slows the function most. The calls are made anew
// for each pass.
type Passes interface {
	Trace
	// Passes is how many warm calls each pass wants. The cold one comes in the
	// first. The last is the one that slows the function least: its calls'
	// times count, and are what Function.Slowdown is of.
	Passes() []int
	// Pass begins a pass, before its first call.
	Pass(ctx context.Context, n int) error
}

// Target is what to watch: a thread that waits for calls.
type Target struct {
	PID int
	// TID of the thread that runs the handler.
	TID int
	// Dir is the process' working folder, absolute.
	Dir string
	// Probe starts a thread in the process that writes to a file when the
	// interpreter lock is free, and returns the thread's number; nil where the
	// language's host has none. See host/python/chiron_host/probe.py.
	Probe func(ctx context.Context, file string) (tid int, err error)
}

// Call is one traced call as the host measured it.
type Call struct {
	// Start of the handler's run.
	Start time.Time
	// Run is the handler's wall time, CPU its thread's CPU time.
	Run time.Duration
	CPU time.Duration
	// Cold marks a first call in its process, or after something was changed in
	// it: only the files that it writes count.
	Cold bool
	// Pass that it was made in, of a Trace that makes several.
	Pass int
}

// Untraced are the means of the warm runs without a tracer.
type Untraced struct {
	Wall time.Duration
	CPU  time.Duration
}

// Observation is what a Tracer saw.
type Observation struct {
	// Runs holds for each call that was not cold its segments in order: as long
	// as the tracer saw them, its own cost taken off as well as it can tell.
	// Runs of one function need not agree; runs that the tracer missed are left
	// out.
	Runs [][]Segment
	// Resolution is the length under which a segment says nothing.
	Resolution time.Duration
	// Complete: every call that can block was seen, so that time off the CPU
	// that no segment explains was not spent waiting in one.
	Complete bool
	// Held is how long in the mean a run was off the CPU with the interpreter's
	// lock, as while a page is read in: it is part of the cpu segments.
	Held time.Duration
	// Files written by the calls, absolute, sorted.
	Files []string
	// Sockets that the calls connected to or bound, as Function has them;
	// sorted, each once.
	Sockets []string
	// Notes for the profile's reader.
	Notes []string
}

// Segment is a stretch of one traced run.
type Segment struct {
	Class Class
	// Cause of a Block: the system call; empty where unknown.
	Cause string
	Took  time.Duration
	// Partly marks a Block whose call may have worked on the CPU for all or
	// part of the time, such as a read from the page cache.
	Partly bool
}
