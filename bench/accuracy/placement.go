package accuracy

import (
	"context"
	"errors"
	"time"

	"github.com/chiron-faas/chiron/plan"
	"github.com/chiron-faas/chiron/plan/model"
	"github.com/chiron-faas/chiron/plan/pgp"
	"github.com/chiron-faas/chiron/profile"
	"github.com/chiron-faas/chiron/workflow"
)

// models are the deployment models' placements and the searched ones: for the
// project's objective, and the fastest. A plan that two of them make is measured
// once, under both names. The notes name models that cannot run the workflow.
func (s *session) models(ctx context.Context, project *workflow.Project, p *profile.Profile) ([]*Placement, []string, error) {
	cpus := len(s.cpus)
	var all []*Placement
	var notes []string
	add := func(name string, pl *plan.Plan) {
		for _, known := range all {
			if alike(known.Plan, pl) {
				known.Model += " = " + name
				return
			}
		}
		all = append(all, &Placement{ID: placementID(pl, cpus), Model: name, CPUs: cpus, Plan: pl})
	}
	for _, m := range model.All() {
		pl, err := model.Build(m, model.Input{
			Workflow: project.Name, Definition: project.Definition, Functions: project.Functions, Profile: p,
		})
		if errors.Is(err, model.ErrConflict) {
			notes = append(notes, err.Error())
			continue
		}
		if err != nil {
			return nil, nil, err
		}
		pl.Calls = plan.Direct // placements are asked without a gateway
		add(string(m), pl)
	}
	objectives := []struct {
		name string
		slo  time.Duration
	}{{pgp.Name, project.SLO.Latency}, {pgp.Name + " fastest", 1}}
	for _, o := range objectives {
		found, err := pgp.Search(ctx, pgp.Problem{
			Workflow: project.Name, Definition: project.Definition, Functions: project.Functions,
			Profile: p, Calibration: s.archive.calibrations[len(s.archive.calibrations)-1], SLO: o.slo, CPUs: cpus,
		})
		if err != nil {
			return nil, nil, err
		}
		add(o.name, found.Plan)
	}
	return all, notes, nil
}

// alike says whether two plans place everything the same way, whatever they are
// called.
func alike(a, b *plan.Plan) bool {
	x, y := a.Clone(), b.Clone()
	x.Model, y.Model = "", ""
	return x.Digest() == y.Digest()
}

// naive adds up the longest function of every stage, and all functions.
func naive(d *workflow.Definition, p *profile.Profile) (longest, sum time.Duration) {
	for _, s := range d.Stages() {
		var most time.Duration
		for _, t := range s.Root.Tasks() {
			if f, ok := p.Task(t.Name); ok {
				most = max(most, f.Wall.Mean)
				sum += f.Wall.Mean
			}
		}
		longest += most
	}
	return longest, sum
}

// drift is by how much the functions' times together changed.
func drift(before, after *profile.Profile) float64 {
	total := func(p *profile.Profile) float64 {
		sum := 0.0
		for _, f := range p.Functions {
			sum += float64(f.Wall.Mean)
		}
		return sum
	}
	first := total(before)
	if first == 0 {
		return 0
	}
	return total(after)/first - 1
}
