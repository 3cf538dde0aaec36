package search

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	"github.com/chiron-faas/chiron/bench/serving"
	"github.com/chiron-faas/chiron/host"
	"github.com/chiron-faas/chiron/internal/affinity"
	"github.com/chiron-faas/chiron/pipeline"
	"github.com/chiron-faas/chiron/plan"
	"github.com/chiron-faas/chiron/plan/pgp"
	"github.com/chiron-faas/chiron/predict"
	"github.com/chiron-faas/chiron/profile"
	"github.com/chiron-faas/chiron/workflow"
)

// Options of Run. Projects and Agent are needed.
type Options struct {
	Projects []*workflow.Project
	// Agent is the file of chiron-agent, which runs the wraps.
	Agent string
	// Calibration of this machine; nil: the one in the cache, or a new one.
	Calibration *predict.Calibration
	// Rounds in which every plan has a request; 0: DefaultRounds.
	Rounds int
	// ProfileRuns of each function; 0: the profiler's own.
	ProfileRuns int
	// Random plans that are held against the chosen one; 0: DefaultRandom. Seed
	// decides which.
	Random int
	Seed   int64
	// Progress, when set, is told each step.
	Progress func(text string)
}

// Defaults of Options.
const (
	// DefaultRounds show p95 with five requests beyond it.
	DefaultRounds = 100
	DefaultRandom = 3
)

// Run measures the projects one after the other. When it returns, nothing of it
// runs on, and nothing is left in the projects' folders.
func Run(ctx context.Context, o Options) (_ *Report, err error) {
	switch {
	case len(o.Projects) == 0:
		return nil, errors.New("search: no project to measure")
	case o.Agent == "":
		return nil, errors.New("search: the path of chiron-agent is missing")
	case o.Rounds < 0 || o.Random < 0:
		return nil, fmt.Errorf("search: %d rounds and %d random plans: give positive numbers", o.Rounds, o.Random)
	}
	if o.Rounds == 0 {
		o.Rounds = DefaultRounds
	}
	if o.Random == 0 {
		o.Random = DefaultRandom
	}
	if o.Progress == nil {
		o.Progress = func(string) {}
	}
	// Sockets lie in it: the shorter its path the better (unix(7): 107 bytes).
	dir, err := os.MkdirTemp("", "chiron-sea-")
	if err != nil {
		return nil, fmt.Errorf("search: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	r := &Report{Machine: profile.ThisMachine(), Rounds: o.Rounds, Seed: o.Seed}
	for i, p := range o.Projects {
		own := *p
		own.Dir = filepath.Join(dir, fmt.Sprint(i)) // nothing goes into the user's
		if err := os.MkdirAll(own.Dir, 0o700); err != nil {
			return nil, fmt.Errorf("search: %w", err)
		}
		e := &experiment{Options: o, project: &own, dir: own.Dir}
		w, err := e.run(ctx)
		if err != nil {
			return nil, fmt.Errorf("search: workflow %q: %w", p.Name, err)
		}
		r.Workflows = append(r.Workflows, w...)
	}
	return r, nil
}

// experiment is one project's.
type experiment struct {
	Options
	project   *workflow.Project
	dir       string
	cpus      []int
	profile   *profile.Profile
	constants *predict.Calibration
	predictor *predict.Predictor
}

// run measures the project under its own SLO, and under one that takes a second
// CPU to meet where its own does not.
func (e *experiment) run(ctx context.Context) (_ []Workflow, err error) {
	if e.cpus, err = affinity.CPUs(); err != nil {
		return nil, err
	}
	e.Progress(e.project.Name + ": measuring the functions")
	if e.profile, _, err = pipeline.Profile(ctx, pipeline.ProfileOptions{Project: e.project, Runs: e.ProfileRuns}); err != nil {
		return nil, err
	}
	if e.constants = e.Calibration; e.constants == nil {
		e.Progress("measuring this machine's constants")
		lang, runtime := pipeline.MainRuntime(e.project)
		c, err := pipeline.Calibrate(ctx, pipeline.CalibrateOptions{Agent: e.Agent, Lang: lang, Runtime: runtime, Reuse: true, Rough: true})
		if err != nil {
			return nil, err
		}
		e.constants = c.Constants
	}
	e.predictor, err = predict.New(e.project.Definition, e.profile, e.constants, predict.Options{CPUs: len(e.cpus)})
	if err != nil {
		return nil, err
	}
	end, err := pipeline.ServeStore(ctx, e.project, nil)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, end()) }()
	slos := []workflow.SLO{e.project.SLO}
	if e.project.SLO.Latency == 0 {
		slos = nil
	}
	tight, err := e.tight(ctx)
	if err != nil {
		return nil, err
	}
	if tight.Latency > 0 {
		slos = append(slos, tight)
	}
	var out []Workflow
	for i, slo := range slos {
		w, err := e.measure(ctx, slo, i)
		if err != nil {
			return nil, err
		}
		out = append(out, *w)
	}
	return out, nil
}

// search with an SLO; at the lowest latency on a budget where that is not 0.
func (e *experiment) search(ctx context.Context, slo workflow.SLO, budget int) (*pgp.Result, error) {
	p := pgp.Problem{
		Workflow: e.project.Name, Definition: e.project.Definition, Functions: e.project.Functions,
		Profile: e.profile, Calibration: e.constants, Rules: &e.project.Rules, SLO: slo.Latency, CPUs: len(e.cpus),
	}
	if slo.Latency > 0 {
		p.AtPercentile = func(pl *plan.Plan) (time.Duration, error) { return e.at(pl, slo) }
	}
	if budget > 0 {
		p.Goal, p.Budget = plan.LowestLatency, budget
	}
	return pgp.Search(ctx, p)
}

// at is a plan's predicted latency at the SLO's percentile.
func (e *experiment) at(pl *plan.Plan, slo workflow.SLO) (time.Duration, error) {
	return e.predictor.Percentile(pl, slo.Percentile, predict.DistributionOptions{})
}

// tight is an SLO half-way between what one CPU and what two can do; zero where
// two are no faster.
func (e *experiment) tight(ctx context.Context) (workflow.SLO, error) {
	slo := workflow.SLO{Percentile: workflow.DefaultPercentile}
	if len(e.cpus) < 2 {
		return workflow.SLO{}, nil
	}
	var ends [2]time.Duration
	for i := range ends {
		r, err := e.search(ctx, workflow.SLO{}, i+1)
		if err != nil {
			return workflow.SLO{}, err
		}
		if r.Plan.CPUs() != i+1 {
			return workflow.SLO{}, nil
		}
		if ends[i], err = e.at(r.Plan, slo); err != nil {
			return workflow.SLO{}, err
		}
	}
	slo.Latency = ((ends[0] + ends[1]) / 2).Round(100 * time.Microsecond)
	if ends[1] >= slo.Latency || slo.Latency >= ends[0] {
		return workflow.SLO{}, nil
	}
	return slo, nil
}

// contenders are the chosen plan, the smaller one and the random ones.
func (e *experiment) contenders(ctx context.Context, slo workflow.SLO) ([]*contender, error) {
	chosen, err := e.search(ctx, slo, 0)
	if err != nil {
		return nil, err
	}
	all := []*contender{{Name: Chosen, plan: chosen.Plan}}
	cpus := chosen.Plan.CPUs()
	if cpus > 1 {
		smaller, err := e.search(ctx, workflow.SLO{}, cpus-1)
		if err != nil {
			return nil, err
		}
		if smaller.Plan.CPUs() < cpus {
			all = append(all, &contender{Name: Smaller, plan: smaller.Plan})
		}
	}
	rng := rand.New(rand.NewPCG(uint64(e.Seed), 3))
	for i := range e.Random {
		if p := randomPlan(rng, e.project, e.profile, cpus, all); p != nil {
			all = append(all, &contender{Name: fmt.Sprintf("random %d", i+1), plan: p})
		}
	}
	for _, c := range all {
		c.CPUs, c.Wraps = c.plan.CPUs(), len(c.plan.Wraps)
		for i := range c.plan.Wraps {
			c.Processes += len(c.plan.Wraps[i].Processes)
		}
		at, err := e.at(c.plan, slo)
		if err != nil {
			return nil, err
		}
		c.Predicted = pipeline.Millis(at)
	}
	return all, nil
}

// interpreters are found once.
func (e *experiment) interpreters(ctx context.Context) (func(context.Context, string, string) (string, error), error) {
	known := make(map[[2]string]string)
	for _, f := range e.project.Functions {
		found, err := host.FindInterpreter(ctx, f.Lang, f.Runtime)
		if err != nil {
			return nil, err
		}
		known[[2]string{f.Lang, f.Runtime}] = found.Path
	}
	return func(_ context.Context, lang, runtime string) (string, error) {
		return known[[2]string{lang, runtime}], nil
	}, nil
}

// pause before each request, as package calibrate leaves it between its.
const pause = 3 * time.Millisecond

// measure serves the contenders by turns: each round each has a request that is
// not timed, since its processes have slept, and one that is.
func (e *experiment) measure(ctx context.Context, slo workflow.SLO, number int) (_ *Workflow, err error) {
	all, err := e.contenders(ctx, slo)
	if err != nil {
		return nil, err
	}
	find, err := e.interpreters(ctx)
	if err != nil {
		return nil, err
	}
	for i, c := range all {
		e.Progress(fmt.Sprintf("%s: starting plan %d of %d", e.project.Name, i+1, len(all)))
		up, err := serving.Up(ctx, serving.Options{
			Project: e.project, Plan: c.plan, Agent: e.Agent, Dir: filepath.Join(e.dir, fmt.Sprintf("%d.%d", number, i)),
			CPUs: e.cpus[:min(c.CPUs, len(e.cpus))], Interpreter: find,
		})
		if err != nil {
			return nil, fmt.Errorf("%s: %w", c.Name, err)
		}
		defer func() { err = errors.Join(err, up.Down(ctx)) }()
		c.served = up
	}
	for round := range e.Rounds {
		e.Progress(fmt.Sprintf("%s: round %d of %d", e.project.Name, round+1, e.Rounds))
		for i := range all {
			c := all[i]
			if round%2 == 1 { // nobody always comes after the same
				c = all[len(all)-1-i]
			}
			for range 2 {
				time.Sleep(pause)
				begun := time.Now()
				if _, _, err := serving.Post(ctx, c.served.Client, "/", e.project.Input, false); err != nil {
					return nil, fmt.Errorf("%s: %w", c.Name, err)
				}
				c.last = time.Since(begun)
			}
			c.took = append(c.took, c.last)
		}
	}
	return judge(e.project.Name, slo, all), nil
}
