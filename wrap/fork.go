package wrap

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"syscall"
	"time"

	"github.com/chiron-faas/chiron/host"
	"github.com/chiron-faas/chiron/plan"
)

// children are the processes of one request for one stage: forked for it, or
// taken from those that wait.
type children struct {
	mu sync.Mutex
	// byProcess by process.index; zero where there is none. guarded by mu
	byProcess []child
}

type child struct {
	worker worker
	err    error // of the fork
	// standby says that the process' mode is; calls are those that have not
	// returned, or failed: something may still run.
	standby bool
	calls   int
}

// fork takes children that wait, and asks the zygote for the others, in the
// plan's order. It returns before these are there: the zygote forks them one after the other, and a
// child's calls wait in its lanes, so that it starts them at once, as in the
// paper, where child j starts (j-1)·T_Block after the first. The caller ends
// them with end.
func (a *Agent) fork(ctx context.Context, processes []*process) *children {
	if len(processes) == 0 {
		return nil
	}
	c := &children{byProcess: make([]child, len(a.layout.processes))}
	for _, p := range processes {
		kid := &c.byProcess[p.index]
		if p.shelf != nil {
			kid.worker, kid.standby = p.shelf.take(), true
		}
		if kid.worker == nil {
			kid.worker, kid.err = a.forkOne(ctx, p)
		}
	}
	return c
}

// forkOne waits for a zygote that is being replaced.
func (a *Agent) forkOne(ctx context.Context, p *process) (worker, error) {
	for attempt := 1; ; attempt++ {
		z, ok := a.zygotes.peek()
		if !ok {
			var err error
			waiting, cancel := context.WithTimeout(ctx, replacementWait)
			z, err = a.zygotes.get(waiting)
			cancel()
			if err != nil {
				return nil, fmt.Errorf("fork process %d: %w", p.index, err)
			}
		}
		w, err := z.Spawn(ctx, p.options)
		if err == nil {
			return w, nil
		}
		if !isDeadPeer(err) || attempt == callAttempts {
			return nil, fmt.Errorf("fork process %d: %w", p.index, err)
		}
		// The zygote is dead and its keeper will hear of it in a moment.
		a.zygotes.remove(z, err)
	}
}

// isDeadPeer tells a zygote's end from what is wrong on this side.
func isDeadPeer(err error) bool {
	return isExit(err) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, net.ErrClosed)
}

// callChild runs c on the request's own child of process p; began, if any, is
// called right before. A child that its zygote took along before it could read
// the call is forked anew, and so is one for which there was no room.
func (a *Agent) callChild(ctx context.Context, kids *children, p *process, began func(), c host.Call) (host.Reply, error) {
	for attempt := 1; ; attempt++ {
		kids.mu.Lock()
		kids.byProcess[p.index].calls++
		kid := kids.byProcess[p.index]
		kids.mu.Unlock()
		if kid.err != nil {
			return host.Reply{}, kid.err
		}
		if began != nil {
			began()
		}
		r, err := kid.worker.Call(ctx, c)
		if err == nil {
			kids.returned(p, kid.worker)
		}
		full := isFull(err)
		if err == nil || !full && (!isExit(err) || !notStarted(err)) || attempt == callAttempts {
			return r, err
		}
		if full {
			// Others that end, or are ended for what they started, make room.
			_ = a.limits.explain(err)
			if !pause(ctx, firstPause<<(attempt-1)) {
				return r, err
			}
		}
		kids.mu.Lock()
		if kids.byProcess[p.index].worker == kid.worker {
			w, err := a.forkOne(ctx, p)
			kids.byProcess[p.index] = child{worker: w, err: err, standby: kid.standby}
		}
		kids.mu.Unlock()
	}
}

// returned notes that a call has come to its end, unless its child was replaced.
func (c *children) returned(p *process, w worker) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if kid := &c.byProcess[p.index]; kid.worker == w {
		kid.calls--
	}
}

// end kills the children, whatever runs on them; standby children on which nothing
// runs a moment later. On nil it does nothing.
func (c *children) end() {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	var idle []worker
	for _, kid := range c.byProcess {
		switch {
		case kid.worker == nil:
		case kid.standby && kid.calls == 0:
			idle = append(idle, kid.worker)
		default:
			kid.worker.Kill()
		}
	}
	if len(idle) > 0 {
		// At the agent's end they die with their zygote, and this finds them dead.
		time.AfterFunc(plan.Linger, func() {
			for _, w := range idle {
				w.Kill()
			}
		})
	}
}
