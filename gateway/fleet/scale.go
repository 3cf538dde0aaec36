package fleet

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/chiron-faas/chiron/deploy"
)

// grow starts as many instances as those who wait need.
func (f *Fleet) grow(l *line, now time.Time) {
	f.note(now)
	if f.closed || now.Before(f.retryAt) {
		return
	}
	want := min(f.demand(), f.options.Max)
	for len(f.members)+f.starting < want {
		f.start()
	}
}

// start starts one; the caller holds f.mu.
func (f *Fleet) start() {
	f.starting++
	f.owned.Go(func() {
		begun := time.Now()
		i, err := f.options.Start(f.life)
		f.started(i, err, time.Since(begun))
	})
}

// started takes what became of a start.
func (f *Fleet) started(i deploy.Instance, err error, took time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.starting--
	if f.closed {
		return // Down ends the instance too
	}
	now := time.Now()
	f.observe(took, err)
	if err != nil {
		f.failure, f.pause = err, min(max(2*f.pause, firstPause), longestPause)
		f.retryAt = now.Add(f.pause)
		f.options.Log.Error("an instance did not start", "error", err.Error(), "pause", f.pause.String())
		if len(f.members)+f.starting == 0 {
			f.fail(&StartError{Wait: f.pause, Err: err})
		} else if len(f.members) > 0 {
			f.later(f.pause, f.retry)
		}
		return
	}
	f.failure, f.pause, f.retryAt = nil, 0, time.Time{}
	m := newMember(i)
	f.members = append(f.members, m)
	slices.SortFunc(f.members, func(a, b *member) int { return a.Number() - b.Number() })
	f.options.Log.Info("an instance started", "instance", i.Number(), "took", took.Round(time.Millisecond).String(), "instances", len(f.members))
	for wrap, l := range f.wraps {
		f.serve(l, wrap, now)
	}
	f.wake()
}

// retry looks again, after a pause, for what those who wait need; the caller holds
// f.mu.
func (f *Fleet) retry() {
	for _, l := range f.wraps {
		if len(l.waiting) > 0 {
			f.grow(l, time.Now())
		}
	}
}

// fail answers everybody who waits.
func (f *Fleet) fail(err error) {
	for _, l := range f.wraps {
		for _, w := range l.waiting {
			w.err = err
			close(w.done)
		}
		l.waiting = nil
	}
}

func (f *Fleet) wake() {
	select {
	case f.changed <- struct{}{}:
	default:
	}
}

// shrink stops what is not needed, until Close. It sleeps until the first
// instance can be idle for long enough: a fleet at rest takes no CPU.
func (f *Fleet) shrink() {
	timer := time.NewTimer(f.options.Idle)
	defer timer.Stop()
	for {
		select {
		case <-f.life.Done():
			return
		case <-f.changed:
		case <-timer.C:
		}
		m, next := f.surplus(time.Now())
		if m != nil {
			f.owned.Go(func() { f.stop(m) })
			f.wake() // there may be more
		}
		if next > 0 {
			timer.Reset(next)
		}
	}
}

// surplus takes an instance out that is not needed and has no request; next is
// when to look again, 0: when something has changed.
func (f *Fleet) surplus(now time.Time) (_ *member, next time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.note(now)
	needed := f.needed(now)
	if f.closed || len(f.members) <= f.options.Min {
		return nil, 0
	}
	if len(f.members) <= needed {
		// The last of them is not needed from then on, if nothing comes.
		return nil, max(f.options.Idle-now.Sub(f.neededAt[len(f.members)-1]), time.Millisecond)
	}
	for n := len(f.members) - 1; n >= 0; n-- {
		if m := f.members[n]; m.total == 0 {
			f.members = slices.Delete(f.members, n, n+1)
			f.stopping++
			return m, f.options.Idle
		}
	}
	// All have requests, which end some time.
	return nil, max(f.options.Idle/4, time.Millisecond)
}

func (f *Fleet) stop(m *member) {
	m.close()
	err := m.Stop(context.WithoutCancel(f.life))
	f.mu.Lock()
	defer f.mu.Unlock()
	f.stopping--
	if err != nil && !errors.Is(err, context.Canceled) {
		f.options.Log.Error("an instance was not stopped cleanly", "instance", m.Number(), "error", err.Error())
		return
	}
	f.options.Log.Info("an instance was not needed and is stopped", "instance", m.Number(), "instances", len(f.members))
}

// Resize sets other bounds: what is missing is started, what is too much is
// stopped once it has no request.
func (f *Fleet) Resize(least, most int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := time.Now()
	f.note(now)
	f.options.Min, f.options.Max = least, max(most, least, 1)
	needed := make([]time.Time, f.options.Max)
	copy(needed, f.neededAt)
	if demand := f.demand(); len(f.members)+f.starting > least {
		// Fewer were asked for: those beyond are not waited for to be idle.
		for n := max(least, demand); n < len(needed); n++ {
			needed[n] = time.Time{}
		}
	}
	f.neededAt = needed
	for !f.closed && len(f.members)+f.starting < least {
		f.start()
	}
	f.wake()
}

// Counts is what a fleet consists of.
type Counts struct {
	Ready, Starting, Stopping int
}

// Counts returns how many instances there are.
func (f *Fleet) Counts() Counts {
	f.mu.Lock()
	defer f.mu.Unlock()
	return Counts{Ready: len(f.members), Starting: f.starting, Stopping: f.stopping}
}

// OnStart has observe called with each start from now on, while the fleet is
// locked: it must be quick and call nothing of it.
func (f *Fleet) OnStart(observe func(took time.Duration, err error)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.observe = observe
}
