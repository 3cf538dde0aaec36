package runtime

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/chiron-faas/chiron/bench/load"
	"github.com/chiron-faas/chiron/internal/quantile"
	"github.com/chiron-faas/chiron/plan"
)

const (
	// throughputRound is how long one number of connections is asked in a round.
	throughputRound = 400 * time.Millisecond
	// work is what the handler computes: some 0.2 ms.
	work = `def handler(event, context):
    n = 0
    for i in range(5000):
        n += i
    return n
`
)

var connections = []int{1, 8, 32}

// throughput asks wraps of each mode as fast as they answer.
func throughput(ctx context.Context, o Options, dir string) (_ []Table, err error) {
	if o.Rounds == 0 {
		o.Rounds = 7
	}
	type cell struct {
		*running
		connections int
		rate        []float64
		p99, median []time.Duration
	}
	var cells []*cell
	var all []*running
	defer func() {
		for _, r := range all {
			err = errors.Join(err, r.down(ctx))
		}
	}()
	for _, mode := range plan.Modes() {
		o.Progress(fmt.Sprintf("start %s", mode))
		r, err := up(ctx, o, dir, subject{string(mode), work, plan.Process{Mode: mode}}, []byte(`{}`))
		if err != nil {
			return nil, err
		}
		all = append(all, r)
		for _, n := range connections {
			cells = append(cells, &cell{running: r, connections: n})
		}
	}
	for round := range o.Rounds + 1 {
		for _, c := range cells {
			o.Progress(fmt.Sprintf("throughput: round %d of %d: %s, %d connections", round, o.Rounds, c.process.Mode, c.connections))
			r, err := load.Run(ctx, c.target, load.Options{Connections: c.connections, Duration: throughputRound})
			if err != nil {
				return nil, fmt.Errorf("%s, %d connections: %w", c.process.Mode, c.connections, err)
			}
			if round > 0 {
				c.rate = append(c.rate, r.Rate())
				c.median = append(c.median, r.Percentile(50))
				c.p99 = append(c.p99, r.Percentile(99))
			}
		}
	}
	t := Table{
		Experiment: "throughput", Title: fmt.Sprintf("Requests a second to a function that computes for 0.2 ms, median of %d rounds", o.Rounds),
		Keys: []string{"mode", "connections"}, Figures: []string{"requests/s", "median ms", "p99 ms"},
	}
	for _, c := range cells {
		t.add([]string{string(c.process.Mode), fmt.Sprint(c.connections)},
			quantile.Median(c.rate), float64(quantile.Median(c.median))/1e6, float64(quantile.Median(c.p99))/1e6)
	}
	return []Table{t}, nil
}

// percentile of latencies, ms.
func percentile(latency []time.Duration, percent float64) float64 {
	return float64(quantile.Nearest(slices.Sorted(slices.Values(latency)), percent)) / 1e6
}
