package accuracy

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/chiron-faas/chiron/plan"
	"github.com/chiron-faas/chiron/workflow"
)

// switchIntervals that are compared; the first is CPython's own.
func switchIntervals() []time.Duration {
	return []time.Duration{5 * time.Millisecond, time.Millisecond, 500 * time.Microsecond, 100 * time.Microsecond}
}

// switchPlacements have all tasks in one resident process, with each switch
// interval on each number of CPUs.
func switchPlacements(p *workflow.Project) []*Placement {
	var tasks []string
	for _, t := range p.Definition.Tasks() {
		tasks = append(tasks, t.Name)
	}
	var all []*Placement
	for _, cpus := range cpuCounts() {
		for _, interval := range switchIntervals() {
			pl := &plan.Plan{Workflow: p.Name, Model: "accuracy", Wraps: []plan.Wrap{{
				Name: "wrap-1", CPUs: cpus,
				Processes: []plan.Process{{Mode: plan.Pool, CPU: plan.Unpinned, SwitchInterval: interval, Tasks: slices.Clone(tasks)}},
			}}}
			all = append(all, &Placement{ID: placementID(pl, cpus), Model: fmt.Sprintf("switch every %v", interval), Mode: string(pooled), CPUs: cpus, Plan: pl})
		}
	}
	return all
}

// switchGain is what a placement's interval gains over the longest that was
// measured on as many CPUs.
type switchGain struct {
	row                 Row
	predicted, measured time.Duration
}

// switchGains of a workflow, by CPUs, the longest interval first.
func (w *Workflow) switchGains() []switchGain {
	rows := slices.SortedStableFunc(slices.Values(w.Rows), func(a, b Row) int {
		if c := cmp.Compare(a.CPUs, b.CPUs); c != 0 {
			return c
		}
		return cmp.Compare(b.SwitchInterval, a.SwitchInterval)
	})
	var all []switchGain
	var longest Row
	for _, row := range rows {
		if row.CPUs != longest.CPUs {
			longest = row
		}
		all = append(all, switchGain{row: row, predicted: longest.Predicted - row.Predicted, measured: longest.Measured - row.Measured})
	}
	return all
}
