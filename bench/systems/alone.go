package systems

import (
	"context"
	"errors"
	"time"

	"github.com/chiron-faas/chiron/bench/proc"
)

const (
	// busyRequests run one after the other while memory is looked at; where rounds
	// are few, half as many as those.
	busyRequests = 6
	// lookEvery so often.
	lookEvery = 15 * time.Millisecond
)

// measureAlone measures the memory of a system that is up alone: its processes
// would share pages with those of others. What fails is in the result.
func (s *session) measureAlone(ctx context.Context, w *subject, name string) (*alone, error) {
	a := &alone{System: name}
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
	return a, nil
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
		for range min(busyRequests, s.Rounds/2) {
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
