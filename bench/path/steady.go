package path

import (
	"context"
	"fmt"

	"github.com/chiron-faas/chiron/bench/load"
	"github.com/chiron-faas/chiron/bench/proc"
	"github.com/chiron-faas/chiron/bench/serving"
)

// Steady is a long run of requests, and what the processes held during it.
type Steady struct {
	Requests    int     `json:"requests"`
	Connections int     `json:"connections"`
	Rate        float64 `json:"requests_per_second"`
	// Samples after a tenth of the requests, half of them and all.
	Samples []Sample `json:"samples"`
}

// Sample is what gateway, agent and host hold together.
type Sample struct {
	Requests    int   `json:"requests"`
	Memory      int64 `json:"memory_bytes"` // proportional set size
	Descriptors int   `json:"descriptors"`
}

const steadyConnections = 16

func steady(ctx context.Context, c *serving.Program, requests int) (*Steady, error) {
	s := &Steady{Requests: requests, Connections: steadyConnections}
	done, seconds := 0, 0.0
	for _, until := range []int{requests / 10, requests / 2, requests} {
		r, err := load.Run(ctx, c.Gateway(), load.Options{Connections: steadyConnections, Requests: until - done})
		if err != nil {
			return nil, fmt.Errorf("bench path: %w", err)
		}
		done = until
		seconds += r.Elapsed.Seconds()
		held, err := proc.Held(c.PID())
		if err != nil {
			return nil, fmt.Errorf("bench path: %w", err)
		}
		s.Samples = append(s.Samples, Sample{Requests: until, Memory: held.Memory, Descriptors: held.Descriptors})
	}
	s.Rate = float64(requests) / seconds
	return s, nil
}
