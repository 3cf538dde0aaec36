package load

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"
)

// maxOpen is the most requests that Open has under way: more say that the target
// does not keep up, and the machine would hold nothing but connections.
const maxOpen = 2000

// Open sends a request at each of the times, which count from now, ascending,
// whether others are answered or not. A latency counts from the time at which the
// request was due, so a sender that is late tells no lower one. An answer that is
// not 200, or none, ends it with an error.
func Open(ctx context.Context, t Target, times []time.Duration) (Result, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var (
		mu        sync.Mutex
		idle      []*Conn
		latencies []time.Duration
		failure   error
	)
	fail := func(err error) {
		mu.Lock()
		defer mu.Unlock()
		if failure == nil {
			failure = err
			cancel() // the others' failures are its consequence
		}
	}
	one := func(due time.Time) error {
		mu.Lock()
		var c *Conn
		if last := len(idle) - 1; last >= 0 {
			c = idle[last]
			idle = idle[:last]
		}
		mu.Unlock()
		if c == nil {
			var err error
			if c, err = Dial(ctx, t); err != nil {
				return err
			}
		}
		if _, err := c.Post(ctx, false); err != nil {
			_ = c.Close()
			return err
		}
		took := time.Since(due)
		mu.Lock()
		defer mu.Unlock()
		latencies = append(latencies, took)
		idle = append(idle, c)
		return nil
	}
	begin := time.Now()
	timer := time.NewTimer(0)
	defer timer.Stop()
	places := make(chan struct{}, maxOpen)
	var all sync.WaitGroup
	for _, at := range times {
		due := begin.Add(at)
		timer.Reset(time.Until(due))
		select {
		case <-ctx.Done():
		case <-timer.C:
		}
		if ctx.Err() != nil {
			break
		}
		select {
		case places <- struct{}{}:
		default:
			fail(fmt.Errorf("%d requests are under way: the target does not keep up", maxOpen))
			continue
		}
		all.Go(func() {
			if err := one(due); err != nil {
				fail(err)
			}
			<-places
		})
	}
	all.Wait()
	for _, c := range idle {
		_ = c.Close()
	}
	result := Result{Elapsed: time.Since(begin), Latencies: latencies}
	slices.Sort(result.Latencies)
	if failure == nil && len(latencies) < len(times) {
		failure = context.Cause(ctx)
	}
	if failure != nil {
		return result, fmt.Errorf("load: %w", failure)
	}
	return result, nil
}
