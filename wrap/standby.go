package wrap

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/chiron-faas/chiron/host"
)

const (
	// DefaultReady bounds the children that wait of one standby process of a
	// plan that sets no bound.
	DefaultReady = 8
	// warmPatience bounds one warming, the functions' warmup entries included.
	warmPatience = 10 * time.Second
	// replacePatience is how long the replacement of a child waits for a moment
	// without requests: until then it would take CPU time from them.
	replacePatience = 20 * time.Millisecond
	// busyShare: while requests never leave it a moment, a standby process makes
	// children for one part in so many of the time. The others fork: at saturation
	// that is less work than to warm a child first.
	busyShare = 4
	// entryFailures in a row are enough: the warmup entries are not called again.
	entryFailures = 3
)

// shelf keeps children of one standby process of the plan: forked and warmed
// ahead of requests, each taken by one of them for one stage. How many wait
// follows the demand; what is taken, or dies while it waits, is replaced off the
// requests' path.
type shelf struct {
	*process
	zygotes *slot[zygote]
	log     *slog.Logger
	// entries are the functions whose warmup entries are called.
	entries []string
	door    *door
	// workshop bounds the children of the wrap that are being made at the same
	// time; whoever makes one has put something in.
	workshop chan struct{}

	// changed wakes run; one that lies there is enough.
	changed chan struct{}
	// tried says that a child waits, or that it was tried in vain: requests can
	// be taken, they fork where none waits.
	tried    atomic.Bool
	late     atomic.Int64 // requests that found none
	restarts atomic.Int64 // of children that died while they waited

	mu     sync.Mutex
	ready  []*waiting // guarded by mu; the last is taken first, its pages are the warmest
	demand demand     // guarded by mu
	// owed are the times at which children were taken, or died, that have not
	// been replaced, oldest first; at most as many as may wait. guarded by mu
	owed   []time.Time
	deaths backoff       // of children that wait; guarded by mu
	rest   time.Duration // before the next is made; guarded by mu
}

// waiting is a child on the shelf.
type waiting struct {
	worker
	since time.Time
	// left is closed when it is no more on the shelf.
	left chan struct{}
}

// take returns a child that waits, or nil where the request has to fork.
func (s *shelf) take() worker {
	now := time.Now()
	s.mu.Lock()
	s.demand.asked(now)
	s.owe(now)
	var child *waiting
	for len(s.ready) > 0 && child == nil {
		last := len(s.ready) - 1
		child, s.ready = s.ready[last], s.ready[:last]
		close(child.left)
		select {
		case <-child.Done(): // just now
			child = nil
		default:
		}
	}
	s.mu.Unlock()
	s.notify()
	if child == nil {
		s.late.Add(1)
		return nil
	}
	return child.worker
}

// owe notes that a child is missing. s.mu is held.
func (s *shelf) owe(since time.Time) {
	if len(s.owed) < s.demand.limit {
		s.owed = append(s.owed, since)
	}
}

// due returns since when the next child is missing, and what rest it was given.
func (s *shelf) due() (since time.Time, rest time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	since = time.Now()
	if len(s.owed) > 0 {
		since = s.owed[0]
		s.owed = slices.Delete(s.owed, 0, 1)
	}
	rest, s.rest = s.rest, 0
	return since, rest
}

func (s *shelf) notify() {
	select {
	case s.changed <- struct{}{}:
	default:
	}
}

// run keeps the shelf filled until ctx ends. The zygote ends what is left.
func (s *shelf) run(ctx context.Context) {
	var watchers sync.WaitGroup
	defer watchers.Wait()
	var fails backoff
	failures := 0
	for {
		missing, surplus, look := s.balance(time.Now())
		for _, child := range surplus {
			child.Kill()
		}
		if missing == 0 {
			if !s.wait(ctx, look) {
				return
			}
			continue
		}
		since, rest := s.due()
		if !pause(ctx, rest) {
			return
		}
		child, err := s.make(ctx, since)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			s.tried.Store(true)
			failures = s.failed(err, failures)
			if !pause(ctx, max(fails.died(0), firstPause)) {
				return
			}
			continue
		}
		failures, fails = 0, backoff{}
		s.mu.Lock()
		s.ready = append(s.ready, child)
		s.demand.replaced(time.Since(since))
		s.mu.Unlock()
		s.tried.Store(true)
		watchers.Go(func() { s.watch(ctx, child) })
	}
}

// balance says how many children are missing, or which are too many, and when to
// look again where nothing happens; zero: there is no need.
func (s *shelf) balance(now time.Time) (missing int, surplus []*waiting, look time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	wanted := s.demand.wanted(now)
	if n := len(s.ready) - wanted; n > 0 {
		// The oldest: the others are taken first.
		surplus = slices.Clone(s.ready[:n])
		s.ready = slices.Delete(s.ready, 0, n)
		for _, child := range surplus {
			close(child.left)
		}
	}
	return max(0, wanted-len(s.ready)), surplus, s.demand.forgets()
}

// wait waits for a change of the shelf, or for a time.
func (s *shelf) wait(ctx context.Context, until time.Time) bool {
	var due <-chan time.Time
	if !until.IsZero() {
		timer := time.NewTimer(time.Until(until))
		defer timer.Stop()
		due = timer.C
	}
	select {
	case <-ctx.Done():
		return false
	case <-s.changed:
	case <-due:
	}
	return true
}

// make forks a child and warms it, when requests leave room for that. since is
// when it went missing.
func (s *shelf) make(ctx context.Context, since time.Time) (*waiting, error) {
	calm := s.lull(ctx, time.Until(since.Add(replacePatience)))
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if begin := time.Now(); !calm {
		defer func() {
			s.mu.Lock()
			s.rest = max(s.rest, (busyShare-1)*time.Since(begin))
			s.mu.Unlock()
		}()
	}
	select {
	case s.workshop <- struct{}{}:
		defer func() { <-s.workshop }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	z, err := s.zygotes.get(ctx)
	if err != nil {
		return nil, err
	}
	w, err := z.Spawn(ctx, s.options)
	if err != nil {
		if isDeadPeer(err) {
			s.zygotes.remove(z, err) // its keeper will hear of it in a moment
		}
		return nil, err
	}
	warming, cancel := context.WithTimeout(ctx, warmPatience)
	defer cancel()
	if err := w.WarmUp(warming, s.entries...); err != nil {
		w.Kill()
		return nil, fmt.Errorf("warm a child: %w", err)
	}
	return &waiting{worker: w, since: time.Now(), left: make(chan struct{})}, nil
}

// lull waits for a moment without requests, but no longer than patience, and
// tells whether it came.
func (s *shelf) lull(ctx context.Context, patience time.Duration) bool {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-s.door.lull():
		return true
	case <-timer.C:
		return false
	}
}

// watch notices when a child dies while it waits.
func (s *shelf) watch(ctx context.Context, child *waiting) {
	select {
	case <-ctx.Done():
		return
	case <-child.left:
		return
	case <-child.Done():
	}
	s.mu.Lock()
	at := slices.Index(s.ready, child)
	if at >= 0 {
		s.ready = slices.Delete(s.ready, at, at+1)
		s.owe(time.Now())
		s.rest = max(s.rest, s.deaths.died(time.Since(child.since)))
	}
	s.mu.Unlock()
	if at < 0 {
		return
	}
	s.restarts.Add(1)
	s.log.Warn("a waiting process died", "process", s.index, "pid", child.Pid(), "error", fmt.Sprint(child.Err()),
		"lived_ms", time.Since(child.since).Milliseconds())
	s.notify()
}

// failed logs why no child could be made, and gives up on warmup entries that
// end their process, or never end, again and again.
func (s *shelf) failed(err error, before int) int {
	s.log.Error("could not keep a process ready", "process", s.index, "error", err.Error())
	if len(s.entries) == 0 || !entryFailed(err) {
		return 0
	}
	if before+1 < entryFailures {
		return before + 1
	}
	s.log.Error("the warmup entries are not called any more", "process", s.index, "functions", s.entries)
	s.entries = nil
	return 0
}

// entryFailed tells a warmup entry that ended its process, or did not end, from
// other failures to warm it.
func entryFailed(err error) bool {
	var exit *host.ExitError
	return isTimeout(err) || errors.As(err, &exit) && exit.Function != ""
}

// waitingNow is the number of children that wait.
func (s *shelf) waitingNow() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.ready)
}

// replacement is how long a child that was taken is missing.
func (s *shelf) replacement() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.demand.replacement
}
