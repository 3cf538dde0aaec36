// Package load sends HTTP requests as fast as a few connections allow and
// measures at the client. It is lean, since it shares the machine with what it
// measures: one goroutine a connection, one write and as few reads as the kernel
// makes of an answer, no parsing beyond the status and the length.
package load

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/chiron-faas/chiron/internal/quantile"
)

// Target is where requests go.
type Target struct {
	// Network and Address as net.Dial takes them.
	Network, Address string
	// Path and Body of the POST requests; the body is JSON.
	Path string
	Body []byte
}

// Options of Run. Either Requests or Duration ends it.
type Options struct {
	Connections int
	// Requests in all; 0: until Duration is over.
	Requests int
	Duration time.Duration
}

// Result is what the client saw.
type Result struct {
	// Latencies of every request that was answered 200, ascending.
	Latencies []time.Duration
	// Elapsed from the first request's begin to the last answer's end.
	Elapsed time.Duration
}

// Rate is answers a second.
func (r Result) Rate() float64 {
	if r.Elapsed <= 0 {
		return 0
	}
	return float64(len(r.Latencies)) / r.Elapsed.Seconds()
}

// Percentile by nearest rank, q in (0, 100]; 0 without answers.
func (r Result) Percentile(q float64) time.Duration { return quantile.Nearest(r.Latencies, q) }

// Run sends requests over kept connections, each sending its next request when
// its last is answered. An answer that is not 200, or none, ends it with an error.
func Run(ctx context.Context, t Target, o Options) (Result, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	request := fmt.Appendf(nil, "POST %s HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n", t.Path, len(t.Body))
	request = append(request, t.Body...)
	conns := make([]net.Conn, o.Connections)
	for i := range conns {
		var d net.Dialer
		c, err := d.DialContext(ctx, t.Network, t.Address)
		if err != nil {
			return Result{}, fmt.Errorf("load: %w", err)
		}
		defer func() { _ = c.Close() }()
		conns[i] = c
	}
	var sent atomic.Int64
	begin := time.Now()
	end := begin.Add(o.Duration)
	var all sync.WaitGroup
	latencies := make([][]time.Duration, len(conns))
	failures := make([]error, len(conns))
	for i, c := range conns {
		all.Go(func() {
			stop := context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) })
			defer stop()
			r := bufio.NewReaderSize(c, 16<<10)
			for {
				if o.Requests > 0 && sent.Add(1) > int64(o.Requests) {
					return
				}
				start := time.Now()
				if o.Requests == 0 && start.After(end) {
					return
				}
				if err := exchange(c, r, request); err != nil {
					failures[i] = err
					cancel() // the others' failures are its consequence
					return
				}
				latencies[i] = append(latencies[i], time.Since(start))
			}
		})
	}
	all.Wait()
	result := Result{Elapsed: time.Since(begin), Latencies: slices.Concat(latencies...)}
	slices.Sort(result.Latencies)
	for _, err := range failures {
		if err != nil && !errors.Is(err, context.Canceled) && !isTimeout(err) {
			return result, fmt.Errorf("load: %w", err)
		}
	}
	return result, errors.Join(failures...)
}

func isTimeout(err error) bool {
	var e net.Error
	return errors.As(err, &e) && e.Timeout()
}

// exchange sends one request and reads its answer.
func exchange(c net.Conn, r *bufio.Reader, request []byte) error {
	if _, err := c.Write(request); err != nil {
		return err
	}
	line, err := r.ReadSlice('\n')
	if err != nil {
		return err
	}
	status := string(line)
	length := -1
	for {
		line, err = r.ReadSlice('\n')
		if err != nil {
			return err
		}
		if len(line) <= 2 {
			break
		}
		if name, value, ok := strings.Cut(string(line), ":"); ok && strings.EqualFold(name, "Content-Length") {
			if length, err = strconv.Atoi(strings.TrimSpace(value)); err != nil {
				return fmt.Errorf("an answer's length: %w", err)
			}
		}
	}
	if length < 0 {
		return errors.New("an answer has no Content-Length")
	}
	if !strings.HasPrefix(status, "HTTP/1.1 200") {
		body := make([]byte, min(length, 300))
		_, _ = io.ReadFull(r, body)
		return fmt.Errorf("answered %s %s", strings.TrimSpace(status), body)
	}
	_, err = r.Discard(length)
	return err
}
