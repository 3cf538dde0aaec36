package accuracy

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/chiron-faas/chiron/plan"
	"github.com/chiron-faas/chiron/plan/model"
	"github.com/chiron-faas/chiron/plan/pgp"
	"github.com/chiron-faas/chiron/predict"
	"github.com/chiron-faas/chiron/profile"
)

// placement is a plan that is served and measured.
type placement struct {
	name string
	plan *plan.Plan
	// latencies of the requests, by round: the mean of the round's, ns.
	latencies []float64
	// all of the timed requests.
	all []time.Duration
}

// placements are the deployment models' plans and the searched ones: for the
// project's objective, and the fastest. A plan that two of them make is measured
// once, under both names.
func (e *experiment) placements(ctx context.Context, p *profile.Profile) ([]*placement, []string, error) {
	var all []*placement
	var notes []string
	add := func(name string, pl *plan.Plan) {
		for _, known := range all {
			if alike(known.plan, pl) {
				known.name += " = " + name
				return
			}
		}
		all = append(all, &placement{name: name, plan: pl})
	}
	for _, m := range model.All() {
		pl, err := model.Build(m, model.Input{
			Workflow: e.project.Name, Definition: e.project.Definition, Functions: e.project.Functions, Profile: p,
		})
		if errors.Is(err, model.ErrConflict) {
			notes = append(notes, err.Error())
			continue
		}
		if err != nil {
			return nil, nil, err
		}
		add(string(m), pl)
	}
	objectives := []struct {
		name string
		slo  time.Duration
	}{{pgp.Name, e.project.SLO.Latency}, {pgp.Name + " fastest", 1}}
	for _, o := range objectives {
		found, err := pgp.Search(ctx, pgp.Problem{
			Workflow: e.project.Name, Definition: e.project.Definition, Functions: e.project.Functions,
			Profile: p, Calibration: e.calibration, SLO: o.slo, CPUs: e.cpus,
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

// row predicts a placement from both profiles and holds it against what was
// measured.
func (e *experiment) row(p *placement, before, after *profile.Profile) (*Row, error) {
	row := &Row{Model: p.name, Wraps: len(p.plan.Wraps), CPUs: p.plan.CPUs()}
	for _, w := range p.plan.Wraps {
		row.Processes += len(w.Processes)
	}
	for _, measured := range []*profile.Profile{before, after} {
		predictor, err := predict.New(e.project.Definition, measured, e.calibration, predict.Options{CPUs: e.cpus})
		if err != nil {
			return nil, err
		}
		latency, err := predictor.Latency(p.plan)
		if err != nil {
			return nil, err
		}
		row.Predicted += latency / 2
		longest, sum := e.naive(measured)
		row.Longest += longest / 2
		row.Sum += sum / 2
	}
	stat := profile.NewStat(p.all)
	row.Requests = len(p.all)
	row.Measured = time.Duration(midmean(p.latencies))
	row.P50, row.P99 = stat.P50, stat.P99
	return row, nil
}

// naive adds up the longest function of every stage, and all functions.
func (e *experiment) naive(p *profile.Profile) (longest, sum time.Duration) {
	for _, s := range e.project.Definition.Stages() {
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

// midmean is the mean of the middle half: see package calibrate, whose constants
// are midmeans too.
func midmean(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	cut := len(sorted) / 4
	sum := 0.0
	for _, v := range sorted[cut : len(sorted)-cut] {
		sum += v
	}
	return sum / float64(len(sorted)-2*cut)
}

// label makes a deployment's name of the i-th placement: a DNS label.
func label(i int, name string) string {
	short := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return '-'
	}, strings.ToLower(name))
	return strings.TrimRight(fmt.Sprintf("p%d-%.20s", i, short), "-")
}
