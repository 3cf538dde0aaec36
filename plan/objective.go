package plan

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"
)

// Goal is what makes one plan better than another.
type Goal string

// The goals.
const (
	// FewestCPUs that keep the SLO; of equals the first found, which needs the
	// least memory.
	FewestCPUs Goal = "cpus"
	// LowestLatency on as many CPUs as may be.
	LowestLatency Goal = "latency"
	// LowestMoney, by a table of prices, of the plans that keep the SLO.
	LowestMoney Goal = "money"
)

// Goals lists them, the usual one first.
func Goals() []Goal { return []Goal{FewestCPUs, LowestLatency, LowestMoney} }

// Objective says what a plan was searched for, and what was predicted of it then.
// It is for people and for later plans: nothing that runs a plan looks at it, and
// it is no part of the plan's id.
type Objective struct {
	Goal Goal
	// MostCPUs that the plan was to need, but for what conflicts between functions
	// force; 0: any number.
	MostCPUs int
	// SLO is the latency to keep; 0: none was asked for.
	SLO time.Duration
	// Percentile of the predicted distribution that is held against the SLO, which
	// makes the safety margin; 0: its mean.
	Percentile float64
	// Predicted is the latency at that percentile, by so many Samples, drawn with
	// Seed.
	Predicted time.Duration
	Samples   int
	Seed      uint64
}

// At says in words where the objective is meant: "mean", "p95".
func (o *Objective) At() string { return AtPercentile(o.Percentile) }

// AtPercentile is a percentile in words: "p95"; 0 is the "mean".
func AtPercentile(percentile float64) string {
	if percentile == 0 {
		return "mean"
	}
	return "p" + strconv.FormatFloat(percentile, 'f', -1, 64)
}

// String says in words what was asked for: "the fewest CPUs, at most 2, with p95
// within 120ms".
func (o *Objective) String() string {
	text := map[Goal]string{
		FewestCPUs: "the fewest CPUs", LowestLatency: "the lowest latency", LowestMoney: "the least money",
	}[o.Goal]
	if o.MostCPUs > 0 {
		text += ", at most " + strconv.Itoa(o.MostCPUs)
		if o.Goal != FewestCPUs {
			text += " CPUs"
			if o.MostCPUs == 1 {
				text = text[:len(text)-1]
			}
		}
	}
	if o.SLO > 0 {
		text += fmt.Sprintf(", with %s within %v", o.At(), o.SLO)
	}
	return text
}

// shape says what cannot be an objective.
func (o *Objective) shape() error {
	if o == nil {
		return nil
	}
	var faults []error
	add := func(format string, args ...any) {
		faults = append(faults, fmt.Errorf("the objective: "+format, args...))
	}
	if !slices.Contains(Goals(), o.Goal) {
		add("unknown goal %q: it must be one of %q", o.Goal, Goals())
	}
	if o.MostCPUs < 0 {
		add("at most %d CPUs: leave it out for any number", o.MostCPUs)
	}
	if o.SLO < 0 {
		add("an slo of %v: leave it out for none", o.SLO)
	}
	// Not in this order, NaN would pass.
	if !(o.Percentile >= 0 && o.Percentile < 100) {
		add("a percentile of %v: it must be under 100; leave it out for the mean", o.Percentile)
	}
	if o.Predicted <= 0 || o.Samples < 1 {
		add("%v predicted by %d samples: both must be positive", o.Predicted, o.Samples)
	}
	return errors.Join(faults...)
}

// Placement is the plan without its objective: all of it that runs. It shares the
// wraps with p.
func (p *Plan) Placement() *Plan {
	return &Plan{Workflow: p.Workflow, Model: p.Model, Calls: p.Calls, Wraps: p.Wraps}
}
