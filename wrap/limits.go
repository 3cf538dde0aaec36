package wrap

import (
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/chiron-faas/chiron/host"
	"github.com/chiron-faas/chiron/internal/cgroup"
)

// limits tell which failures are owed to a limit of the wrap. The kernel says
// so only in counters of the control groups, read where something has failed.
type limits struct {
	memory, processes cgroup.Group
	// dataLimit and processLimit are those of the options.
	dataLimit    int64
	processLimit int
	// relieve ends what has used up the wrap's processes.
	relieve func()

	mu      sync.Mutex
	kills   counter // guarded by mu
	refused counter // guarded by mu
}

// newLimits looks up the groups that the options name, or this process' own.
func newLimits(o Options) *limits {
	l := &limits{
		memory: cgroup.Group(o.MemoryGroup), processes: cgroup.Group(o.FunctionsGroup),
		dataLimit: o.DataLimit, processLimit: o.ProcessLimit,
	}
	if l.memory == "" || l.processes == "" {
		if mounts, err := cgroup.Mounts(); err == nil { // else a SIGKILL has no known cause
			if l.memory == "" {
				l.memory = cgroup.Own(mounts, "memory")
			}
			if l.processes == "" {
				l.processes = cgroup.Own(mounts, "pids")
			}
		}
	}
	l.kills = newCounter(l.memory.OOMKills)
	l.refused = newCounter(l.processes.RefusedForks)
	return l
}

// limitError is a failure that a limit of the wrap has caused.
type limitError struct {
	text string
	err  error
}

func (e *limitError) Error() string { return e.text }
func (e *limitError) Unwrap() error { return e.err }

// explain names the limit that err is owed to, where it is owed to one; nil
// stays nil.
func (l *limits) explain(err error) error {
	var known *limitError
	if err == nil || errors.As(err, &known) {
		return err
	}
	var exit *host.ExitError
	var handler *host.HandlerError
	var spawn *host.SpawnError
	l.mu.Lock()
	defer l.mu.Unlock()
	oom := l.kills.observe()
	full := l.refused.observe()
	switch {
	case errors.As(err, &exit) && exit.Signal == syscall.SIGKILL:
		text := fmt.Sprintf("the worker (pid %d)", exit.Pid)
		if exit.Function != "" {
			text = fmt.Sprintf("function %q: its process (pid %d)", exit.Function, exit.Pid)
		}
		switch {
		case oom:
			l.kills.claim()
			return &limitError{text + " was killed: " + l.memoryReached(), err}
		case full:
			return &limitError{text + " was killed: " + l.processesReached(), err}
		}
	case oom && diedStarting(err):
		l.kills.claim()
		return &limitError{err.Error() + ": " + l.memoryReached(), err}
	case errors.As(err, &handler) && handler.Type == "MemoryError" && l.dataLimit > 0:
		return &limitError{fmt.Sprintf("%v: a process of this wrap may have %s of private memory, its threads' stacks included (RLIMIT_DATA)", handler, megabytes(l.dataLimit)), err}
	case errors.As(err, &spawn) && spawn.Errno == syscall.EAGAIN, handler != nil && wantsProcess(handler):
		if full || l.processLimit > 0 {
			if l.relieve != nil {
				l.relieve()
			}
			return &limitError{err.Error() + ": " + l.processesReached(), err}
		}
	}
	return err
}

// diedStarting reports whether err is of a language host that was killed.
func diedStarting(err error) bool {
	var ended *exec.ExitError
	if !errors.As(err, &ended) {
		return false
	}
	status, ok := ended.Sys().(syscall.WaitStatus)
	return ok && status.Signaled() && status.Signal() == syscall.SIGKILL
}

// wantsProcess reports whether a handler raised because it could start no
// process or thread: EAGAIN of fork(2), in Python's words.
func wantsProcess(e *host.HandlerError) bool {
	return strings.Contains(e.Message, "start new thread") || strings.Contains(e.Message, syscall.EAGAIN.Error()) ||
		strings.Contains(e.Message, "Resource temporarily unavailable")
}

func (l *limits) memoryReached() string {
	m := l.memory.Memory()
	if m.File == "" {
		return "the machine ran out of memory"
	}
	return fmt.Sprintf("the wrap reached its memory limit of %s (%s)", megabytes(m.Value), m.File)
}

func (l *limits) processesReached() string {
	if p := l.processes.Processes(); p.File != "" {
		return fmt.Sprintf("the wrap's functions reached their limit of %d processes and threads (%s)", p.Value, p.File)
	}
	return fmt.Sprintf("the wrap's functions may add %d processes and threads to their user's (RLIMIT_NPROC)", l.processLimit)
}

func megabytes(n int64) string { return fmt.Sprintf("%.1f MB", float64(n)/1e6) }

// counter is a number of the kernel's that grows when a limit is reached.
type counter struct {
	read func() (int64, error)
	seen int64
	// pending is what it grew by, at the time when that was seen, less what has
	// been claimed.
	pending int64
	at      time.Time
}

// eventAge is how long after its event a failure may still be owed to it: what a
// handler started may have been the one killed, and then nobody claims it.
const eventAge = 5 * time.Second

func newCounter(read func() (int64, error)) counter {
	n, err := read()
	if err != nil {
		n = 0 // it cannot be read later either, or is made by then
	}
	return counter{read: read, seen: n}
}

// observe reads the counter and reports whether it grew lately.
func (c *counter) observe() bool {
	if n, err := c.read(); err == nil && n > c.seen {
		c.pending += n - c.seen
		c.seen, c.at = n, time.Now()
	}
	if c.pending > 0 && time.Since(c.at) > eventAge {
		c.pending = 0
	}
	return c.pending > 0
}

// claim takes one of the events: each killed process is one failure.
func (c *counter) claim() { c.pending-- }
