// Package load sends HTTP requests as fast as a few connections allow and
// measures at the client. It is lean, since it shares the machine with what it
// measures: one goroutine a connection, one write and as few reads as the kernel
// makes of an answer, no parsing beyond the status and the length.
package load

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
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
	// Answers asks for Result.Answers.
	Answers bool
	// CountRefusals has answers other than 200 counted, and the connection go on.
	CountRefusals bool
}

// maxAnswers bounds the different answers that are kept of a connection.
const maxAnswers = 1000

// Result is what the client saw.
type Result struct {
	// Latencies of every request that was answered 200, ascending.
	Latencies []time.Duration
	// Elapsed from the first request's begin to the last answer's end.
	Elapsed time.Duration
	// Answers are the bodies that were answered, each once, for who checks them:
	// the first maxAnswers of each connection.
	Answers []string
	// Refused are the answers by their status, with CountRefusals; nil: none.
	Refused map[int]int
}

// Refusals are the answers other than 200.
func (r Result) Refusals() (n int) {
	for _, of := range r.Refused {
		n += of
	}
	return n
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
// its last is answered. An answer that is not 200, unless these are counted, or
// none, ends it with an error.
func Run(ctx context.Context, t Target, o Options) (Result, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	conns := make([]*Conn, o.Connections)
	for i := range conns {
		c, err := Dial(ctx, t)
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
	answers := make([]map[string]bool, len(conns))
	failures := make([]error, len(conns))
	refused := make([]map[int]int, len(conns))
	for i, c := range conns {
		all.Go(func() {
			stop := context.AfterFunc(ctx, c.giveUp)
			defer stop()
			answers[i] = make(map[string]bool)
			for {
				if o.Requests > 0 && sent.Add(1) > int64(o.Requests) {
					return
				}
				start := time.Now()
				if o.Requests == 0 && start.After(end) {
					return
				}
				answer, err := c.post(false)
				var refusal *RefusedError
				if o.CountRefusals && errors.As(err, &refusal) {
					if refused[i] == nil {
						refused[i] = make(map[int]int)
					}
					refused[i][refusal.Status]++
					continue
				}
				if err != nil {
					failures[i] = err
					cancel() // the others' failures are its consequence
					return
				}
				latencies[i] = append(latencies[i], time.Since(start))
				// No copy is made of an answer that is known.
				if o.Answers && len(answers[i]) < maxAnswers && !answers[i][string(answer.Body)] {
					answers[i][string(answer.Body)] = true
				}
			}
		})
	}
	all.Wait()
	result := Result{Elapsed: time.Since(begin), Latencies: slices.Concat(latencies...)}
	slices.Sort(result.Latencies)
	for _, some := range answers {
		for body := range some {
			result.Answers = append(result.Answers, body)
		}
	}
	for _, of := range refused {
		for status, n := range of {
			if result.Refused == nil {
				result.Refused = make(map[int]int)
			}
			result.Refused[status] += n
		}
	}
	slices.Sort(result.Answers)
	result.Answers = slices.Compact(result.Answers)
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
