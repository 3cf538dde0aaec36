package systems

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/chiron-faas/chiron/bench/load"
	"github.com/chiron-faas/chiron/bench/proc"
)

// loadSlices are the parts that the time for each throughput is cut into, one
// where that is short: machines drift, so systems take turns here, too.
const (
	loadSlices = 4
	shortLoad  = 2 * time.Second
)

func (s *session) slices() int {
	if s.Load < shortLoad {
		return 1
	}
	return loadSlices
}

// connections that send as fast as they are answered: few, and more than any of
// this machine's CPUs could be busy with; where time is short, a number between.
func (s *session) connections() []int {
	if s.Load < shortLoad {
		return []int{4 * s.cpus}
	}
	return []int{2 * s.cpus, 8 * s.cpus}
}

// takeLoads has the systems that are up serve as much as they can, by turns. What
// counts comes after one request each, since processes slept.
func (s *session) takeLoads(ctx context.Context, w *subject, all []*turn) error {
	for n := range s.slices() {
		for i := range all {
			t := all[i]
			if n%2 == 1 { // nobody always comes after the same
				t = all[len(all)-1-i]
			}
			s.tell(w, t.System, "throughput", n, s.slices())
			for _, connections := range s.connections() {
				if t.failure != nil {
					break
				}
				if _, t.failure = t.up.request(ctx, &w.check); t.failure != nil {
					break
				}
				one, err := s.slice(ctx, w, t.up, connections)
				if err != nil {
					t.failure = fmt.Errorf("with %d connections: %w", connections, err)
				}
				t.Loads = append(t.Loads, one)
			}
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
		}
	}
	return nil
}

// load measures the throughput with so many connections, for a slice of the time.
func (s *session) slice(ctx context.Context, w *subject, up *served, connections int) (loaded, error) {
	pids, err := up.wraps(ctx)
	if err != nil {
		return loaded{}, err
	}
	before, err := proc.Used(pids...)
	if err != nil {
		return loaded{}, err
	}
	r, err := load.Run(ctx, up.gateway, load.Options{Connections: connections, Duration: s.Load / time.Duration(s.slices()), Answers: true})
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
