package search

import (
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/chiron-faas/chiron/plan"
	"github.com/chiron-faas/chiron/profile"
	"github.com/chiron-faas/chiron/workflow"
)

// randomPlan puts the tasks at random into one to twice as many processes as
// CPUs, in one wrap or, where conflicts or the draw ask for it, in several. It
// returns nil where no plan that may be, and is none of the others, was drawn.
func randomPlan(r *rand.Rand, p *workflow.Project, measured *profile.Profile, cpus int, others []*contender) *plan.Plan {
	conflicts := plan.NewConflicts(p.Definition, p.Functions, measured, &p.Rules)
	const tries = 200
	for range tries {
		pl := draw(r, p, cpus)
		if plan.Check(pl, p.Definition, p.Functions, &p.Rules) != nil || pl.Apart(conflicts) != nil || pl.Within(p.Rules.Limits, measured) != nil {
			continue
		}
		if slices.ContainsFunc(others, func(c *contender) bool { return c.plan.Digest() == pl.Digest() }) {
			continue
		}
		return pl
	}
	return nil
}

func draw(r *rand.Rand, p *workflow.Project, cpus int) *plan.Plan {
	pl := &plan.Plan{Workflow: p.Name, Model: "random"}
	wraps := 1 + r.IntN(cpus)
	left := cpus
	for w := range wraps {
		n := left
		if w < wraps-1 {
			n = 1 + r.IntN(left-(wraps-1-w))
		}
		left -= n
		pl.Wraps = append(pl.Wraps, plan.Wrap{Name: fmt.Sprintf("wrap-%d", w+1), CPUs: n})
	}
	type place struct{ wrap, process int }
	var places []place
	for w := range pl.Wraps {
		wrap := &pl.Wraps[w]
		for i := range 1 + r.IntN(2*wrap.CPUs) {
			process := plan.Process{Mode: plan.Pool, CPU: plan.Unpinned}
			if r.IntN(2) == 0 {
				process.CPU = r.IntN(wrap.CPUs)
			}
			if i > 0 && r.IntN(2) == 0 {
				process.Mode = plan.Fork
			}
			wrap.Processes = append(wrap.Processes, process)
			places = append(places, place{w, i})
		}
	}
	for _, t := range p.Definition.Tasks() {
		at := places[r.IntN(len(places))]
		process := &pl.Wraps[at.wrap].Processes[at.process]
		process.Tasks = append(process.Tasks, t.Name)
	}
	for w := range pl.Wraps {
		pl.Wraps[w].Processes = slices.DeleteFunc(pl.Wraps[w].Processes, func(pr plan.Process) bool { return len(pr.Tasks) == 0 })
	}
	// A wrap without a task would take its CPUs with it: the plan is drawn again.
	return pl
}
