package wrap

import (
	"context"
	"errors"
	"sync/atomic"
)

// errQueueFull is admission's answer when as many wait as may.
var errQueueFull = errors.New("as many requests are waiting as this wrap lets wait")

// admission lets a bounded number of requests in and keeps a bounded number
// waiting. Waiters are blocked senders of one channel, which the runtime serves
// first in, first out, and a newcomer cannot overtake: a slot that is freed
// while somebody waits is never seen as free.
type admission struct {
	slots   chan struct{}
	limit   int64 // most waiters
	waiting atomic.Int64
}

func newAdmission(concurrency, queue int) *admission {
	return &admission{slots: make(chan struct{}, concurrency), limit: int64(queue)}
}

// enter takes a slot, waiting in line for one; leave gives it back.
func (a *admission) enter(ctx context.Context) error {
	select {
	case a.slots <- struct{}{}:
		return nil
	default:
	}
	if a.waiting.Add(1) > a.limit {
		a.waiting.Add(-1)
		return errQueueFull
	}
	defer a.waiting.Add(-1)
	select {
	case a.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (a *admission) leave() { <-a.slots }

func (a *admission) inFlight() int { return len(a.slots) }
