package pipeline

import (
	"math"
	"slices"
	"time"

	"github.com/chiron-faas/chiron/internal/quantile"
	"github.com/chiron-faas/chiron/plan"
	"github.com/chiron-faas/chiron/workflow"
)

// Objective is an SLO in a report.
type Objective struct {
	Latency Millis `json:"latency_ms"`
	// Percentile that it is meant at; 0: the mean.
	Percentile float64 `json:"percentile,omitempty"`
}

func objective(s workflow.SLO) *Objective {
	if s.Latency == 0 {
		return nil
	}
	return &Objective{Latency: Millis(s.Latency), Percentile: s.Percentile}
}

// At says in words where the objective is meant: "mean", "p99".
func (o *Objective) At() string {
	return plan.AtPercentile(o.Percentile)
}

// Of is the figure of the samples that the objective is about: their mean, or the
// percentile by nearest rank, as profile.NewStat's. 0 of none.
func (o *Objective) Of(samples []time.Duration) time.Duration {
	if len(samples) == 0 {
		return 0
	}
	if o.Percentile == 0 {
		var sum time.Duration
		for _, s := range samples {
			sum += s
		}
		return sum / time.Duration(len(samples))
	}
	return quantile.Nearest(slices.Sorted(slices.Values(samples)), o.Percentile)
}

// need is how many samples it takes before the percentile is another figure
// than the largest: fewer do not show it.
func (o *Objective) need() int {
	if o.Percentile == 0 {
		return 1
	}
	return int(math.Floor(100/(100-o.Percentile)+1e-9)) + 1
}
