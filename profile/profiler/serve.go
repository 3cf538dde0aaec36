package profiler

import (
	"context"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/chiron-faas/chiron/host"
	"github.com/chiron-faas/chiron/profile"
	"github.com/chiron-faas/chiron/profile/servers"
)

// answering measures how much CPU time servers of this machine spend on a
// function's calls.
type answering struct {
	pids   []int
	before time.Duration
	runs   int           // that were made before
	own    time.Duration // of a call, where this process is one of the servers
}

// ownCalls are enough to know what a call costs this process within a few µs.
const ownCalls = 20

// answered begins to measure; what it returns is ended by perRun.
func (m *subject) answered(ctx context.Context, w *host.Worker, sockets []string) (answering, error) {
	a := answering{pids: servers.Find(w.Pid(), sockets), runs: len(m.walls)}
	// What this process does for each call is none of a server's work, so where it
	// serves, too, that is measured without a handler and taken off.
	if slices.Contains(a.pids, os.Getpid()) {
		before := servers.CPU(a.pids)
		for range ownCalls {
			if err := w.WarmUp(ctx); err != nil {
				return a, err
			}
		}
		a.own = (servers.CPU(a.pids) - before) / ownCalls
	}
	a.before = servers.CPU(a.pids)
	return a, nil
}

// perRun is the servers' CPU time since, by the runs that were made.
func (a *answering) perRun(runs int) time.Duration {
	if len(a.pids) == 0 || runs <= a.runs {
		return 0
	}
	return max(0, (servers.CPU(a.pids)-a.before)/time.Duration(runs-a.runs)-a.own)
}

// share gives the waits for sockets what servers worked meanwhile, by their
// lengths. What servers do beside a function that goes on is not in its periods.
func share(periods []profile.Period, served time.Duration) {
	var waits time.Duration
	for _, p := range periods {
		if waitsForSocket(p) {
			waits += p.Mean
		}
	}
	if waits == 0 {
		return
	}
	part := min(1, float64(served)/float64(waits))
	for i := range periods {
		if p := &periods[i]; waitsForSocket(*p) {
			p.Served = time.Duration(part * float64(p.Mean))
		}
	}
}

// waitsForSocket says whether a period's call is one that waits for what another
// process sends.
func waitsForSocket(p profile.Period) bool {
	if p.Class != profile.Block {
		return false
	}
	for _, call := range [...]string{"recv", "send", "connect", "accept", "poll", "ppoll", "select", "pselect", "epoll_", "read", "write"} {
		if strings.HasPrefix(p.Cause, call) {
			return true
		}
	}
	return false
}
