package ebpf

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/chiron-faas/chiron/profile"
)

// Name of the tracer in profiles and options.
const Name = "ebpf"

const (
	// namedRuns are made, beside the cold one, while the calls that name files
	// are told: two tell a file of every run from one of a run's own.
	namedRuns = 3
	// nearRuns are made with probes on the lock, lightRuns without.
	nearRuns  = 10
	lightRuns = 10
	// resolution: all segments say something.
	resolution = time.Microsecond
	// settle is waited before the end, so that the last event of the last call
	// is there: its reply is here before the thread waits again.
	settle = 2 * time.Millisecond
)

// The passes, in order.
const (
	passNamed = iota
	passNear
	passLight
)

// Tracer traces with programs in the kernel. The zero Tracer works.
type Tracer struct{}

var (
	_ profile.Tracer = Tracer{}
	_ profile.Passes = (*trace)(nil)
)

// Name is "ebpf".
func (Tracer) Name() string { return Name }

// Available loads the programs for a thread of our own. It says which right or
// which part of the kernel is missing.
func (Tracer) Available(context.Context) error {
	if err := supported(); err != nil {
		return err
	}
	k, err := load(profile.Target{PID: os.Getpid(), TID: os.Getpid()})
	if err != nil {
		return explain(err)
	}
	k.close()
	return nil
}

// Start loads the programs for the target's thread.
func (Tracer) Start(_ context.Context, target profile.Target) (profile.Trace, error) {
	t := &trace{target: target, clock: now(), lock: cpython()}
	t.places, t.lockErr = t.lock.find(target.PID)
	if t.lockErr != nil && !errors.Is(t.lockErr, errNoInterpreter) {
		return nil, fmt.Errorf("ebpf: %w", t.lockErr)
	}
	t.fds = descriptors(target.PID)
	var err error
	if t.kernel, err = load(target); err != nil {
		return nil, fmt.Errorf("ebpf: %w", explain(err))
	}
	return t, nil
}

// trace is the programs at work on one thread.
type trace struct {
	target  profile.Target
	clock   clock
	lock    interpreterLock
	places  lockPlaces
	lockErr error          // why the lock is not probed
	fds     map[int]string // what the process had open at the start
	kernel  *kernel
}

func now() clock {
	var ts unix.Timespec
	// It fails for a clock that is not there; this one is on every Linux.
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts)
	return clock{at: time.Now(), then: moment(ts.Nano())}
}

// Passes are three: what it names, when it holds the lock, how long it takes.
func (t *trace) Passes() []int {
	return []int{passNamed: namedRuns, passNear: nearRuns, passLight: lightRuns}
}

// Pass changes what the kernel is asked to tell.
func (t *trace) Pass(_ context.Context, n int) error {
	t.kernel.release()
	var err error
	switch n {
	case passNamed:
		err = t.kernel.followCalls()
	case passNear:
		if t.lockErr == nil {
			err = t.kernel.probeLock(t.target.PID, t.places)
		}
	}
	if err != nil {
		return fmt.Errorf("ebpf: %w", explain(err))
	}
	return nil
}

// Abort takes everything out of the kernel.
func (t *trace) Abort() { t.kernel.close() }

// Stop takes everything out of the kernel and makes sense of what it told.
func (t *trace) Stop(ctx context.Context, calls []profile.Call, _ profile.Untraced) (*profile.Observation, error) {
	select {
	case <-time.After(settle):
	case <-ctx.Done():
	}
	t.Abort()
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if t.kernel.err != nil {
		return nil, fmt.Errorf("ebpf: %w", t.kernel.err)
	}
	told := &t.kernel.seen
	told.sort()
	return t.observe(told, t.kernel.lost, calls)
}

// observe makes sense of what the kernel told of the calls.
func (t *trace) observe(told *seen, lost probesLost, calls []profile.Call) (*profile.Observation, error) {
	if len(calls) == 0 {
		return nil, errors.New("ebpf: no call was made while it watched")
	}
	o := &profile.Observation{Resolution: resolution, Complete: true}
	var light, near []run
	// Between two calls the host waits for the next, without the lock.
	probed := t.lockErr == nil && told.has(released)
	warm, dropped := 0, 0
	starts := make([]moment, 0, len(calls))
	for _, call := range calls {
		from := t.clock.moment(call.Start)
		to := from + moment(call.Run)
		starts = append(starts, from)
		if call.Cold || call.Pass == passNamed {
			continue
		}
		warm++
		if lost.during(from, to) || told.cutOff(to) {
			dropped++
			continue
		}
		if call.Pass == passNear {
			near = append(near, cut(told.events, from, to, locks{probed: probed, waitsIn: t.lock.waitsIn}))
		} else {
			light = append(light, cut(told.events, from, to, locks{waitsIn: t.lock.waitsIn}))
		}
	}
	if warm > 0 && len(light) == 0 {
		return nil, fmt.Errorf("ebpf: the kernel's events of all %d traced calls were too many to keep (%d lost)", warm, lost.Count)
	}
	if dropped > 0 {
		o.Notes = append(o.Notes, fmt.Sprintf("%d of %d traced runs are left out: their events were too many to keep", dropped, warm))
	}
	switch {
	case t.lockErr != nil:
		o.Notes = append(o.Notes, fmt.Sprintf("native periods are not told from cpu: %v", t.lockErr))
	case len(near) == 0 && warm > 0:
		o.Notes = append(o.Notes, "native periods are not told from cpu: no run with probes on the lock could be used")
	case warm > 0 && !probed:
		o.Notes = append(o.Notes, fmt.Sprintf("native periods are not told from cpu: nothing called %s of %s", t.places.pair.release, t.places.file))
	}
	c := combine(light, near)
	o.Runs, o.Held = c.runs, c.held
	o.Notes = append(o.Notes, c.notes...)
	n := interpret(told.named, starts, t.kernel.process, &view{dir: t.target.Dir, fds: t.fds})
	o.Files = n.files.List()
	o.Sockets = slices.Sorted(maps.Keys(n.sockets))
	if n.long {
		o.Notes = append(o.Notes, fmt.Sprintf("files: names over %d bytes are left out", nameSize-2))
	}
	if told.overflow && len(told.named) >= maxNamed {
		o.Notes = append(o.Notes, fmt.Sprintf("files: only the first %d calls that name some were looked at", maxNamed))
	}
	return o, nil
}

// has says whether an event of a kind was told.
func (s *seen) has(k kind) bool {
	return slices.ContainsFunc(s.events, func(e event) bool { return e.kind == k })
}

// during says whether events of a time may be lost.
func (l probesLost) during(from, to moment) bool {
	return l.Count > 0 && moment(l.First) < to && moment(l.Last) > from
}

// cutOff says whether events before a moment were not kept.
func (s *seen) cutOff(to moment) bool { return s.overflow && s.since < to }
