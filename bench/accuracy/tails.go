package accuracy

import (
	"slices"

	"github.com/chiron-faas/chiron/internal/quantile"
)

// tail is how well the predicted percentiles hold, over all requests of some
// placements: a single one's 30 requests have no 99th percentile.
type tail struct {
	requests int
	// within is the part of the requests that took at most the predicted p50, p90
	// and p99: 0.5, 0.9 and 0.99 where the predictions are right.
	p50, p90, p99 float64
	// error of the predicted p99: each request over its placement's, the 99th
	// percentile of these, and how much longer the prediction is than that.
	error float64
}

// tailOf some rows; false where there are no requests.
func tailOf(rows []Row) (tail, bool) {
	var t tail
	var over []float64
	for _, r := range rows {
		if r.PredictedP99 <= 0 {
			continue
		}
		for _, l := range r.latencies {
			t.requests++
			if l <= r.PredictedP50 {
				t.p50++
			}
			if l <= r.PredictedP90 {
				t.p90++
			}
			if l <= r.PredictedP99 {
				t.p99++
			}
			over = append(over, float64(l)/float64(r.PredictedP99))
		}
	}
	if t.requests == 0 {
		return t, false
	}
	n := float64(t.requests)
	t.p50, t.p90, t.p99 = t.p50/n, t.p90/n, t.p99/n
	slices.Sort(over)
	t.error = 1/quantile.Nearest(over, 99) - 1
	return t, true
}

// tails of the workflows, and of all of them.
func (r *Report) tails() (names []string, all []tail) {
	add := func(name string, rows []Row) {
		if t, ok := tailOf(rows); ok {
			names, all = append(names, name), append(all, t)
		}
	}
	for i := range r.Workflows {
		if w := &r.Workflows[i]; !w.switching() {
			add(w.Name, w.Rows)
		}
	}
	add("all", r.rows())
	return names, all
}
