package systems

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/chiron-faas/chiron/bench/load"
	"github.com/chiron-faas/chiron/bench/proc"
)

const (
	// busyRequests run one after the other while memory is looked at.
	busyRequests = 6
	// lookEvery so often.
	lookEvery = 15 * time.Millisecond
	// warmLoad is the part of Options.Load that comes before what counts.
	warmLoad = 4
)

// connections that send as fast as they are answered: few, and more than any of
// this machine's CPUs could be busy with.
func (s *session) connections() []int { return []int{2 * s.cpus, 8 * s.cpus} }

// measureAlone measures what depends on the machine being one system's: memory,
// whose pages processes of other deployments would share, and throughput. What
// fails is in the result.
func (s *session) measureAlone(ctx context.Context, w *subject, name string) (_ *alone, err error) {
	a := &alone{System: name}
	before, err := proc.ReadLoad()
	if err != nil {
		return nil, err
	}
	up, err := s.up(ctx, w, w.plan(name))
	if err == nil {
		err = errors.Join(s.fill(ctx, w, up, a), up.down())
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if err != nil {
		return &alone{System: name, Failure: err.Error()}, nil
	}
	after, err := proc.ReadLoad()
	a.Others = proc.Others(before, after)
	return a, err
}

func (s *session) fill(ctx context.Context, w *subject, up *served, a *alone) (err error) {
	for range warmUps {
		if _, err := up.request(ctx, &w.check); err != nil {
			return err
		}
	}
	if a.Rest, a.Processes, err = up.memory(ctx); err != nil {
		return err
	}
	if a.Busy, err = s.busyMemory(ctx, w, up); err != nil {
		return err
	}
	a.Busy = max(a.Busy, a.Rest)
	for _, connections := range s.connections() {
		l, err := s.load(ctx, w, up, connections)
		if err != nil {
			return fmt.Errorf("with %d connections: %w", connections, err)
		}
		a.Loads = append(a.Loads, l)
	}
	return nil
}

// busyMemory is the most that the wraps hold while requests run one after the
// other.
func (s *session) busyMemory(ctx context.Context, w *subject, up *served) (int64, error) {
	pids, err := up.wraps(ctx)
	if err != nil {
		return 0, err
	}
	ended := make(chan error, 1)
	go func() {
		for range busyRequests {
			if _, err := up.request(ctx, &w.check); err != nil {
				ended <- err
				return
			}
		}
		ended <- nil
	}()
	most := int64(0)
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		select {
		case err := <-ended:
			return most, err
		case <-tick.C:
			h, err := proc.Held(pids...)
			if err != nil {
				return 0, errors.Join(err, <-ended)
			}
			most = max(most, h.Memory)
		}
	}
}

// load measures the throughput with so many connections.
func (s *session) load(ctx context.Context, w *subject, up *served, connections int) (loaded, error) {
	target := up.program.Gateway()
	if _, err := load.Run(ctx, target, load.Options{Connections: connections, Duration: s.Load / warmLoad}); err != nil {
		return loaded{}, err
	}
	pids, err := up.wraps(ctx)
	if err != nil {
		return loaded{}, err
	}
	before, err := proc.Used(pids...)
	if err != nil {
		return loaded{}, err
	}
	r, err := load.Run(ctx, target, load.Options{Connections: connections, Duration: s.Load, Answers: true})
	if err != nil {
		return loaded{}, err
	}
	after, err := proc.Used(pids...)
	if err != nil {
		return loaded{}, err
	}
	for _, body := range r.Answers {
		if err := w.check.answer([]byte(body)); err != nil {
			return loaded{}, err
		}
	}
	if len(r.Latencies) == 0 {
		return loaded{}, errors.New("no request was answered in time")
	}
	return loaded{
		Connections: connections, Rate: r.Rate(),
		P50: r.Percentile(50).Microseconds(), P99: r.Percentile(99).Microseconds(),
		CPU: (after - before).Microseconds() / int64(len(r.Latencies)),
	}, nil
}
