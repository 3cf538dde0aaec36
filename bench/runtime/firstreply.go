package runtime

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/chiron-faas/chiron/bench/load"
	"github.com/chiron-faas/chiron/internal/quantile"
	"github.com/chiron-faas/chiron/plan"
)

// heaps are the sizes of what the handler's module keeps, MB.
var heaps = []int{5, 50, 200}

// heapPause between requests: a child that was taken is replaced meanwhile, and
// everything has fallen asleep, as it does where requests are seldom.
const heapPause = 60 * time.Millisecond

// table is a handler whose module keeps a table of objects, and looks one up. A
// row takes some 420 bytes in CPython 3.11.
func table(mb int) string {
	return fmt.Sprintf(`import json

TABLE = {i: {"id": i, "name": "name-%%d" %% i, "price": i * 1.5} for i in range(%d)}


def price(order):
    row = TABLE[order["id"]]
    return {"row": row, "text": json.dumps(row), "total": sum(order["counts"]) * row["price"]}


def handler(event, context):
    return price(event)
`, max(mb*2400, 10))
}

// firstReply asks wraps of each mode, one request at a time: with fork and
// standby each is the first call of a process.
func firstReply(ctx context.Context, o Options, dir string) (_ []Table, err error) {
	if o.Rounds == 0 {
		o.Rounds = 41
	}
	type cell struct {
		*running
		mb      int
		latency []time.Duration
	}
	var cells []*cell
	defer func() {
		for _, c := range cells {
			err = errors.Join(err, c.down(ctx))
		}
	}()
	for _, mb := range heaps {
		for _, mode := range plan.Modes() {
			o.Progress(fmt.Sprintf("start %s with a heap of %d MB", mode, mb))
			r, err := up(ctx, o, dir, subject{fmt.Sprintf("%s-%d", mode, mb), table(mb), plan.Process{Mode: mode}}, []byte(`{"id":7,"counts":[1,2,3]}`))
			if err != nil {
				return nil, err
			}
			cells = append(cells, &cell{running: r, mb: mb})
		}
	}
	for round := range o.Rounds + 2 {
		o.Progress(fmt.Sprintf("first reply: round %d of %d", max(0, round-1), o.Rounds))
		for _, c := range cells {
			time.Sleep(heapPause / time.Duration(len(cells)))
			r, err := load.Run(ctx, c.target, load.Options{Connections: 1, Requests: 1})
			if err != nil {
				return nil, err
			}
			if round >= 2 {
				c.latency = append(c.latency, r.Latencies...)
			}
		}
	}
	t := Table{
		Experiment: "first-reply", Title: fmt.Sprintf("First reply through a wrap, median of %d requests", o.Rounds),
		Keys: []string{"heap", "mode"}, Figures: []string{"ms", "p90 ms", "times pool"},
	}
	pool := 0.0
	for _, c := range cells {
		ms := float64(quantile.Median(c.latency)) / 1e6
		if c.process.Mode == plan.Pool {
			pool = ms
		}
		t.add([]string{fmt.Sprintf("%d MB", c.mb), string(c.process.Mode)}, ms, percentile(c.latency, 90), ms/pool)
	}
	return []Table{t}, nil
}
