package wrap

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/chiron-faas/chiron/host"
)

const (
	// replacementWait bounds how long a call waits for a worker that is being
	// replaced: an interpreter's start with heavy imports, not more.
	replacementWait = 10 * time.Second
	// callAttempts bounds the repetition of calls that did not start.
	callAttempts = 4
)

// pool keeps the long-lived worker of one pool process of the plan: it replaces
// the worker when it dies, when a call on it runs past its timeout, and when
// the zygote that forked it is replaced.
type pool struct {
	*process
	zygotes *slot[zygote]
	log     *slog.Logger
	// longest timeout of the process' functions: the time that calls in flight
	// on a retired worker may still need.
	longest time.Duration
	// entries are the functions whose warmup entries are called.
	entries []string

	live     slot[*member]
	restarts atomic.Int64
	failures int // of warmup entries, in a row; run's own
}

// member is one worker of a pool.
type member struct {
	worker
	parent  zygote
	started time.Time
	// replace is closed, once, when the member takes no more calls; worn, when
	// it has been used as often as the plan says: it serves until its
	// replacement does.
	replace, worn chan struct{}
	retired       atomic.Bool
	uses          atomic.Int64
}

// run keeps the worker alive until ctx ends. The zygote ends what is left.
func (p *pool) run(ctx context.Context) {
	var deaths backoff
	var previous *member
	for {
		m, err := p.spawn(ctx)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			p.live.explain(err)
			p.log.Error("could not start a worker", "process", p.index, "error", err.Error())
			if !pause(ctx, max(deaths.died(0), firstPause)) {
				return
			}
			continue
		}
		p.live.put(m)
		if previous != nil {
			p.restarts.Add(1)
			p.retire(previous, nil)
			p.log.Info("worker replaced", "process", p.index, "pid", m.Pid(), "was", previous.Pid())
		}
		select {
		case <-ctx.Done():
			return
		case <-m.worn:
		case <-m.replace: // by a call that ran past its timeout, or found it dead
		case <-m.parent.Done(): // m serves on, if it lives, until there is a new zygote
		case <-m.Done():
		}
		select {
		case <-m.Done():
			p.retire(m, m.Err())
			p.log.Warn("worker died", "process", p.index, "pid", m.Pid(), "error", fmt.Sprint(m.Err()),
				"lived_ms", time.Since(m.started).Milliseconds())
			if !pause(ctx, deaths.died(time.Since(m.started))) {
				return
			}
		default:
		}
		previous = m
	}
}

// spawn returns a worker that has been forked and warmed.
func (p *pool) spawn(ctx context.Context) (*member, error) {
	z, err := p.zygotes.get(ctx)
	if err != nil {
		return nil, err
	}
	w, err := z.Spawn(ctx, p.options)
	if err != nil {
		return nil, err
	}
	if w.Pid() == 0 {
		<-w.Done()
		return nil, w.Err()
	}
	if err := p.warm(ctx, w); err != nil {
		w.Kill()
		return nil, err
	}
	return &member{worker: w, parent: z, started: time.Now(), replace: make(chan struct{}), worn: make(chan struct{})}, nil
}

// warm prepares a worker for its first call. After a warmup entry that ends its
// process, or never ends, the entries are not called any more.
func (p *pool) warm(ctx context.Context, w worker) error {
	ctx, cancel := context.WithTimeout(ctx, warmPatience)
	defer cancel()
	err := w.WarmUp(ctx, p.entries...)
	switch {
	case err == nil || !entryFailed(err):
		p.failures = 0
		return err
	case p.failures+1 < entryFailures:
		p.failures++
	default:
		p.log.Error("the warmup entries are not called any more", "process", p.index, "functions", p.entries)
		p.entries = nil
	}
	return err
}

// call runs c on the live worker; began, if any, is called right before. The
// call is repeated on a replacement only where the handler is known not to have
// started.
func (p *pool) call(ctx context.Context, began func(), c host.Call) (host.Reply, error) {
	for attempt := 1; ; attempt++ {
		m, err := p.member(ctx, c.Deadline)
		if err != nil {
			return host.Reply{}, err
		}
		if began != nil {
			began()
		}
		m.used(1, p.maxUses)
		r, err := m.Call(ctx, c)
		m.used(len(r.Steps), p.maxUses)
		if err == nil {
			return r, nil
		}
		switch {
		case isTimeout(err):
			// Its thread still runs the handler and nothing can stop a thread
			// of CPython but the end of its process.
			p.retire(m, fmt.Errorf("a call ran past its timeout: %w", err))
		case isExit(err), errors.Is(err, host.ErrRetired): // its zygote died
			p.retire(m, err)
		}
		if !notStarted(err) || attempt == callAttempts {
			return r, err
		}
	}
}

// used counts n uses; worn is closed as they reach most (0: never).
func (m *member) used(n, most int) {
	after := int(m.uses.Add(int64(n)))
	if after-n < most && after >= most {
		close(m.worn)
	}
}

// member returns the live worker, waiting for a replacement that is on its way.
func (p *pool) member(ctx context.Context, deadline time.Time) (*member, error) {
	if m, ok := p.live.peek(); ok {
		return m, nil
	}
	patience := time.Now().Add(replacementWait)
	if deadline.Before(patience) {
		patience = deadline
	}
	ctx, cancel := context.WithDeadline(ctx, patience)
	defer cancel()
	m, err := p.live.get(ctx)
	if err != nil {
		return nil, fmt.Errorf("process %d has no worker yet: %w", p.index, err)
	}
	return m, nil
}

// retire takes m out of service; calls in flight on it may finish.
func (p *pool) retire(m *member, why error) {
	if why == nil {
		why = errors.New("the worker is being replaced")
	}
	p.live.remove(m, why)
	if m.retired.CompareAndSwap(false, true) {
		close(m.replace)
		m.Retire(p.longest)
	}
}
