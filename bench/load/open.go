package load

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"slices"
	"sync"
	"time"
)

// maxOpen is the most requests that Open has under way: more say that the target
// does not keep up, and the machine would hold nothing but connections.
const maxOpen = 2000

// connection is kept between requests.
type connection struct {
	net.Conn
	r *bufio.Reader
}

// Open sends a request at each of the times, which count from now, ascending,
// whether others are answered or not. A latency counts from the time at which the
// request was due, so a sender that is late tells no lower one. An answer that is
// not 200, or none, ends it with an error.
func Open(ctx context.Context, t Target, times []time.Duration) (Result, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	request := fmt.Appendf(nil, "POST %s HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n", t.Path, len(t.Body))
	request = append(request, t.Body...)
	var (
		mu        sync.Mutex
		idle      []connection
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
		var c connection
		if last := len(idle) - 1; last >= 0 {
			c = idle[last]
			idle = idle[:last]
		}
		mu.Unlock()
		if c.Conn == nil {
			var d net.Dialer
			made, err := d.DialContext(ctx, t.Network, t.Address)
			if err != nil {
				return err
			}
			c = connection{made, bufio.NewReaderSize(made, 16<<10)}
		}
		stop := context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) })
		defer stop()
		if err := exchange(c, c.r, request); err != nil {
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
