package fleet

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/chiron-faas/chiron/deploy"
	"github.com/chiron-faas/chiron/gateway/hop"
)

// Options of New. Start and First are needed.
type Options struct {
	// First is an instance that runs already.
	First deploy.Instance
	// Start brings up one more.
	Start func(ctx context.Context) (deploy.Instance, error)
	// Min and Max bound the number of instances. Max 0: as many as Min, at
	// least 1.
	Min, Max int
	// Idle is how long an instance beyond Min is kept that is not needed; 0:
	// DefaultIdle.
	Idle time.Duration
	// Limit is the most requests that a wrap of an instance works on at once;
	// nil: DefaultLimit.
	Limit func(wrap string) int
	// Log takes starts, stops and failures; nil discards.
	Log *slog.Logger
}

// Defaults of Options.
const (
	DefaultIdle  = time.Minute
	DefaultLimit = 32
)

const (
	// firstPause and longestPause bound the pauses after starts that failed.
	firstPause   = time.Second
	longestPause = 30 * time.Second
	// suspension is how long an instance that was not reached gets no requests
	// where there is another.
	suspension = 100 * time.Millisecond
)

// ErrClosed is the error of Acquire after Close.
var ErrClosed = errors.New("the deployment is going down")

// StartError says that no instance runs, and why the last start failed.
type StartError struct {
	// Wait is how long no other is tried.
	Wait time.Duration
	Err  error
}

func (e *StartError) Error() string {
	return fmt.Sprintf("no instance is running and none could be started: %v", e.Err)
}

func (e *StartError) Unwrap() error { return e.Err }

// Fleet keeps a deployment's instances. Its methods may be called from any
// goroutine.
type Fleet struct {
	options Options
	life    context.Context
	end     context.CancelFunc
	owned   sync.WaitGroup
	// changed wakes the goroutine that stops what is not needed.
	changed chan struct{}

	mu      sync.Mutex
	members []*member // in the order of their numbers
	wraps   map[string]*line
	// starting and stopping count instances that are on their way.
	starting, stopping int
	// neededAt[n] is when more than n instances were needed last.
	neededAt []time.Time
	closed   bool
	failure  error         // of the last start; nil: it was good
	pause    time.Duration // after the last failure
	retryAt  time.Time     // when the pause ends
	observe  func(took time.Duration, err error)
}

// line is one wrap's requests, over all instances.
type line struct {
	limit   int
	inside  int
	waiting []*waiter // first come first served
}

// waiter is a request without a place.
type waiter struct {
	got  *member // guarded by Fleet.mu, as is err
	err  error
	done chan struct{} // closed when one of them is set
}

// member is an instance at work.
type member struct {
	deploy.Instance
	inside  map[string]int // by wrap
	total   int
	clients map[string]*hop.Client
	// suspended until then; watched: somebody waits for that.
	suspended time.Time
	watched   bool
}

// New makes a Fleet, which Close ends.
func New(o Options) *Fleet {
	if o.Max <= 0 {
		o.Max = max(o.Min, 1)
	}
	if o.Idle <= 0 {
		o.Idle = DefaultIdle
	}
	if o.Limit == nil {
		o.Limit = func(string) int { return DefaultLimit }
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	f := &Fleet{
		options: o, changed: make(chan struct{}, 1), wraps: make(map[string]*line),
		neededAt: make([]time.Time, o.Max), observe: func(time.Duration, error) {},
	}
	f.life, f.end = context.WithCancel(context.Background())
	now := time.Now()
	for n := range f.neededAt {
		f.neededAt[n] = now // the first instance is given its time
	}
	f.members = []*member{newMember(o.First)}
	f.owned.Go(f.shrink)
	f.mu.Lock()
	for len(f.members)+f.starting < o.Min {
		f.start()
	}
	f.mu.Unlock()
	return f
}

func newMember(i deploy.Instance) *member {
	return &member{Instance: i, inside: make(map[string]int), clients: make(map[string]*hop.Client)}
}

// Close ends starts in progress and refuses requests from now on. The instances
// are left to the deployment's Down.
func (f *Fleet) Close() {
	f.mu.Lock()
	f.closed = true
	for _, l := range f.wraps {
		for _, w := range l.waiting {
			w.err = ErrClosed
			close(w.done)
		}
		l.waiting = nil
	}
	f.mu.Unlock()
	f.end()
	f.owned.Wait()
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, m := range f.members {
		m.close()
	}
}

func (m *member) close() {
	for _, c := range m.clients {
		c.Close()
	}
}

// Place is a request's, with one instance.
type Place struct {
	// Client speaks to the wrap.
	Client *hop.Client
	// Instance is the number of the one that it is with.
	Instance int
	// Alone says that there is no other instance to turn to, Suspect that this
	// one was not to be reached a moment ago.
	Alone, Suspect bool

	fleet  *Fleet
	member *member
	wrap   string
}

// Acquire waits for a place with a wrap of an instance; Release gives it back.
// Its errors: the context's cause, ErrClosed, and a *StartError.
func (f *Fleet) Acquire(ctx context.Context, wrap string) (Place, error) {
	f.mu.Lock()
	if f.closed {
		f.mu.Unlock()
		return Place{}, ErrClosed
	}
	now := time.Now()
	l := f.line(wrap)
	m := f.choose(l, wrap, now)
	if m != nil && len(l.waiting) == 0 {
		p := f.enter(l, m, wrap, now)
		f.mu.Unlock()
		return p, nil
	}
	if len(f.members)+f.starting == 0 && now.Before(f.retryAt) {
		err := &StartError{Wait: f.retryAt.Sub(now), Err: f.failure}
		f.mu.Unlock()
		return Place{}, err
	}
	w := &waiter{done: make(chan struct{})}
	l.waiting = append(l.waiting, w)
	f.grow(l, now)
	f.mu.Unlock()
	select {
	case <-w.done:
	case <-ctx.Done():
		f.mu.Lock()
		defer f.mu.Unlock()
		if w.got == nil {
			l.leave(w)
			return Place{}, context.Cause(ctx)
		}
		// It was given a place at the last moment.
		f.release(l, w.got, wrap)
		return Place{}, context.Cause(ctx)
	}
	if w.err != nil {
		return Place{}, w.err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.place(w.got, wrap, time.Now()), nil
}

func (f *Fleet) line(wrap string) *line {
	l := f.wraps[wrap]
	if l == nil {
		l = &line{limit: max(f.options.Limit(wrap), 1)}
		f.wraps[wrap] = l
	}
	return l
}

// leave takes a waiter out of the line.
func (l *line) leave(w *waiter) {
	for i, other := range l.waiting {
		if other == w {
			l.waiting = append(l.waiting[:i], l.waiting[i+1:]...)
			return
		}
	}
}

// choose returns the instance for a request: among those that are needed, or,
// where these are full, all; nil where all are. One that was not reached a moment
// ago has its turn only where all are such.
func (f *Fleet) choose(l *line, wrap string, now time.Time) *member {
	needed := f.needed(now)
	reached := slices.ContainsFunc(f.members, func(m *member) bool { return !now.Before(m.suspended) })
	var best *member
	bestSpare := false
	for n, m := range f.members {
		if m.inside[wrap] >= l.limit || reached && now.Before(m.suspended) {
			continue
		}
		spare := n >= needed
		if best == nil || bestSpare && !spare || spare == bestSpare && m.inside[wrap] < best.inside[wrap] {
			best, bestSpare = m, spare
		}
	}
	return best
}

// needed is how many instances were needed within the idle time.
func (f *Fleet) needed(now time.Time) int {
	n := 0
	for n < len(f.neededAt) && now.Sub(f.neededAt[n]) < f.options.Idle {
		n++
	}
	return max(n, f.options.Min)
}

// note takes down how many instances are needed now.
func (f *Fleet) note(now time.Time) {
	need := f.demand()
	for n := range min(need, len(f.neededAt)) {
		f.neededAt[n] = now
	}
}

// demand is how many instances would have a place for every request that there
// is.
func (f *Fleet) demand() int {
	need := 0
	for _, l := range f.wraps {
		need = max(need, (l.inside+len(l.waiting)+l.limit-1)/l.limit)
	}
	return need
}

func (f *Fleet) enter(l *line, m *member, wrap string, now time.Time) Place {
	l.inside++
	m.inside[wrap]++
	m.total++
	f.note(now)
	return f.place(m, wrap, now)
}

func (f *Fleet) place(m *member, wrap string, now time.Time) Place {
	c := m.clients[wrap]
	if c == nil {
		network, address, _ := m.Address(wrap)
		o := hop.Options{Network: network, Address: address, MaxIdle: f.line(wrap).limit}
		if d, ok := m.Instance.(deploy.Dialer); ok {
			o.Dial = func(ctx context.Context) (net.Conn, error) { return d.Dial(ctx, wrap) }
		}
		c = hop.NewClient(o)
		m.clients[wrap] = c
	}
	return Place{Client: c, Instance: m.Number(), Alone: len(f.members) == 1, Suspect: now.Before(m.suspended), fleet: f, member: m, wrap: wrap}
}

// Release gives the place back.
func (p Place) Release() {
	p.fleet.mu.Lock()
	defer p.fleet.mu.Unlock()
	p.fleet.release(p.fleet.line(p.wrap), p.member, p.wrap)
}

// Suspend gives the place back, and the instance no requests for a moment: it
// was not to be reached.
func (p Place) Suspend() {
	p.fleet.mu.Lock()
	defer p.fleet.mu.Unlock()
	p.member.suspended = time.Now().Add(suspension)
	p.fleet.watch(p.member)
	p.fleet.release(p.fleet.line(p.wrap), p.member, p.wrap)
}

func (f *Fleet) release(l *line, m *member, wrap string) {
	now := time.Now()
	f.note(now)
	l.inside--
	m.inside[wrap]--
	m.total--
	f.serve(l, wrap, now)
}

// watch looks whether places are free for those who wait, once m is not suspended
// any more; the caller holds f.mu.
func (f *Fleet) watch(m *member) {
	if m.watched {
		return
	}
	m.watched = true
	f.later(time.Until(m.suspended), func() {
		m.watched = false
		if time.Now().Before(m.suspended) { // anew
			f.watch(m)
			return
		}
		for wrap, l := range f.wraps {
			f.serve(l, wrap, time.Now())
		}
	})
}

// later has do called after a while with f.mu held, unless Close comes first, which
// waits for it. The caller holds f.mu.
func (f *Fleet) later(while time.Duration, do func()) {
	if f.closed {
		return
	}
	f.owned.Go(func() {
		timer := time.NewTimer(while)
		defer timer.Stop()
		select {
		case <-f.life.Done():
			return
		case <-timer.C:
		}
		f.mu.Lock()
		defer f.mu.Unlock()
		if !f.closed {
			do()
		}
	})
}

// serve gives places to those who wait.
func (f *Fleet) serve(l *line, wrap string, now time.Time) {
	for len(l.waiting) > 0 {
		m := f.choose(l, wrap, now)
		if m == nil {
			return
		}
		w := l.waiting[0]
		l.waiting = l.waiting[1:]
		f.enter(l, m, wrap, now)
		w.got = m
		close(w.done)
	}
}
