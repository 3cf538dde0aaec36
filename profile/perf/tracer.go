package perf

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/chiron-faas/chiron/profile"
	"github.com/chiron-faas/chiron/profile/syscalls"
	"github.com/chiron-faas/chiron/profile/touched"
)

// Name of the tracer in profiles and options.
const Name = "perf"

const (
	// interval between samples of what the thread does.
	interval = time.Millisecond
	// resolution: shorter waits come and go with what else the machine does.
	resolution = 20 * time.Microsecond
	// maxEvents and maxSamples bound one trace.
	maxEvents  = 4 << 20
	maxSamples = 1 << 20
	// settle is waited before the end, so that the last event of the last call
	// is there: its reply is here before the thread waits again.
	settle = 2 * time.Millisecond
)

// Tracer reads records of context switches. The zero Tracer works.
type Tracer struct{}

var (
	_ profile.Tracer = Tracer{}
	_ profile.Trace  = (*trace)(nil)
)

// Name is "perf".
func (Tracer) Name() string { return Name }

// Available asks for records of a thread of our own.
func (Tracer) Available(context.Context) error {
	r, err := openRing(os.Getpid())
	if err != nil {
		return err
	}
	r.close()
	return nil
}

// Start asks for the records of the target's thread.
func (Tracer) Start(_ context.Context, target profile.Target) (profile.Trace, error) {
	r, err := openRing(target.TID)
	if err != nil {
		return nil, fmt.Errorf("perf: %w", err)
	}
	t := &trace{target: target, ring: r, before: touched.Look(target.Dir), stop: make(chan struct{})}
	t.at, t.mono = time.Now(), monotonic()
	t.watcher.Go(t.watch)
	return t, nil
}

// monotonic is the kernel's clock of the records, which is Go's too.
func monotonic() int64 {
	var ts unix.Timespec
	// It fails for a clock that is not there; this one is on every Linux.
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts)
	return ts.Nano()
}

type trace struct {
	target  profile.Target
	ring    *ring
	before  touched.Folder
	at      time.Time // the moment mono
	mono    int64
	stop    chan struct{}
	once    sync.Once
	watcher sync.WaitGroup

	// To be read once the watcher has ended.
	events  []event
	samples []sample
	gaps    []gap
}

// gap is a time of which records may be lost.
type gap struct{ from, to int64 }

// watch samples the thread, and empties the buffer.
func (t *trace) watch() {
	task := syscalls.OpenTask(t.target.PID, t.target.TID)
	defer task.Close()
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	last := monotonic()
	for stopped := false; !stopped; {
		select {
		case <-t.stop:
			stopped = true
		case <-ticker.C:
		}
		now := monotonic()
		if len(t.samples) < maxSamples {
			t.samples = append(t.samples, sample{now, task.Read()})
		}
		var lost bool
		t.events, lost = t.ring.read(t.events)
		after := monotonic()
		if len(t.events) > maxEvents {
			t.events, lost = t.events[:maxEvents], true
		}
		if lost {
			t.gaps = append(t.gaps, gap{last, after})
		}
		last = now
	}
}

// Abort ends the records and the watcher.
func (t *trace) Abort() {
	t.once.Do(func() {
		close(t.stop)
		t.watcher.Wait()
		t.ring.close()
	})
}

// Stop ends the watching and cuts the calls by the records.
func (t *trace) Stop(ctx context.Context, calls []profile.Call, _ profile.Untraced) (*profile.Observation, error) {
	select {
	case <-time.After(settle):
	case <-ctx.Done():
	}
	t.Abort()
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	o, err := t.observe(calls)
	if err != nil {
		return nil, err
	}
	after := touched.Look(t.target.Dir)
	o.Files = t.before.Changed(after)
	o.Notes = append(o.Notes, t.before.Note(after))
	return o, nil
}

func (t *trace) observe(calls []profile.Call) (*profile.Observation, error) {
	if len(calls) == 0 {
		return nil, errors.New("perf: no call was made while it watched")
	}
	o := &profile.Observation{Resolution: resolution, Complete: true}
	warm := 0
	var held time.Duration
	for _, call := range calls {
		if call.Cold {
			continue
		}
		warm++
		from := t.mono + int64(call.Start.Sub(t.at))
		to := from + int64(call.Run)
		if t.lost(from, to) {
			continue
		}
		run, off := segments(t.events, t.samples, from, to)
		o.Runs = append(o.Runs, run)
		held += off
	}
	agree(o.Runs)
	switch n := len(o.Runs); {
	case warm > 0 && n == 0:
		return nil, fmt.Errorf("perf: records of all %d traced calls were lost", warm)
	case n > 0:
		o.Held = held / time.Duration(n)
	}
	if n := warm - len(o.Runs); n > 0 {
		o.Notes = append(o.Notes, fmt.Sprintf("%d of %d traced runs are left out: records of them were lost", n, warm))
	}
	o.Notes = append(o.Notes,
		fmt.Sprintf("perf tells when it waited, not for what: waits under %v may have no name", 2*interval),
		"perf does not see the interpreter lock: native periods count as cpu")
	return o, nil
}

func (t *trace) lost(from, to int64) bool {
	for _, g := range t.gaps {
		if g.from < to && g.to > from {
			return true
		}
	}
	return false
}
