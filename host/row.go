package host

import (
	"fmt"
	"syscall"
	"time"
)

// Next is a function of a Call's Row.
type Next struct {
	Function string
	// Timeout is the most time that its call may take.
	Timeout time.Duration
}

// Step is a function of a row that has ended, and whose result the next has.
type Step struct {
	// Start, Run and CPU as in Reply.
	Start, Run, CPU time.Duration
	// Ended is when it did.
	Ended time.Time
}

// row is what stands in the place of a call's meta.
func (w *Worker) row(c Call) ([]byte, error) {
	row := make([]next, len(c.Row))
	for i, n := range c.Row {
		function, ok := w.zygote.index[n.Function]
		if !ok {
			return nil, fmt.Errorf("function %q is not in this host", n.Function)
		}
		row[i] = next{function, n.Timeout}
	}
	var bound int64
	if !c.Bound.IsZero() {
		bound = w.zygote.clock.nanos(c.Bound)
	}
	return appendRow(nil, bound, row), nil
}

// at is the function of the row's place i.
func (c *Call) at(i int) string {
	if i == 0 {
		return c.Function
	}
	return c.Row[i-1].Function
}

// tellStop tells the worker that no other function of the row is to begin. It does
// not wait: where the socket is full the row goes on.
func (l *lane) tellStop(call uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.call != call || l.stopped {
		return
	}
	l.stopped = true
	_ = l.memory.raw.Write(func(fd uintptr) bool {
		_, _ = syscall.Write(int(fd), stopFrame()) // it closed: the reader sees that
		return true
	})
}

// step takes note of a function of the row that has ended: the next has its own
// time from now on.
func (l *lane) step(c Call, head replyHead) error {
	now := time.Now()
	s := Step{
		Start: time.Duration(head.start - l.worker.zygote.clock.nanos(l.begin)),
		Run:   time.Duration(head.run), CPU: time.Duration(head.cpu),
	}
	// By the worker's clock: this side may hear of it when the next has ended, too.
	if s.Ended = l.begin.Add(s.Start + s.Run); s.Ended.After(now) {
		s.Ended = now
	}
	l.steps = append(l.steps, s)
	if len(l.steps) > len(c.Row) {
		return &frameError{fmt.Errorf("%d functions of a row of %d", len(l.steps), len(c.Row))}
	}
	if c.Deadline.IsZero() || l.draining {
		return nil
	}
	deadline := now.Add(c.Row[len(l.steps)-1].Timeout)
	if !c.Bound.IsZero() && c.Bound.Before(deadline) {
		deadline = c.Bound
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.cancelled && !l.worker.isDead() {
		_ = l.file.SetDeadline(deadline)
	}
	return nil
}
