package accuracy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/chiron-faas/chiron/bench/proc"
	"github.com/chiron-faas/chiron/bench/serving"
	"github.com/chiron-faas/chiron/plan"
)

const (
	// warmUps come before the first round.
	warmUps = 3
	// traceEvery so many rounds a request of each placement is traced.
	traceEvery = 6
	// pause before each request: what the one before leaves behind (forked
	// children that end, and are reaped) is no part of this one's latency. Package
	// calibrate leaves the same between its.
	pause = 3 * time.Millisecond
)

// served is a placement that is up.
type served struct {
	*Placement
	*serving.Served // nil: it is not up
	dir             string
	latencies       []time.Duration // by round
	traces          []json.RawMessage
	failure         error
}

// measure brings a batch of placements up, measures them, and takes them down.
// What the functions take alone is measured in the same rounds.
func (s *session) measure(ctx context.Context, w *subject, batch []*Placement) (_ []*measurement, _ []*soloRuns, err error) {
	s.batches++
	// It is short, since sockets lie below; of its own for each, since the
	// local target deals out CPUs by what else is up.
	dir := filepath.Join(s.dir, fmt.Sprint("b", s.batches))
	all := make([]*served, len(batch))
	for i, p := range batch {
		all[i] = &served{Placement: p, dir: filepath.Join(dir, fmt.Sprint(i))}
	}
	// Warm and cold by turns, for each number of CPUs.
	var alone []*solo
	everything := slices.Clone(all)
	for _, cpus := range cpusOf(batch) {
		for _, mode := range []plan.Mode{plan.Pool, plan.Fork} {
			one := newSolo(w.project, mode, min(cpus, len(s.cpus)), dir)
			alone, everything = append(alone, one), append(everything, one.served)
		}
	}
	defer func() {
		for _, one := range alone {
			one.closeIdle()
		}
		err = errors.Join(err, s.takeDown(ctx, everything), os.RemoveAll(dir))
	}()
	// Once, before several ask at the same time.
	for _, f := range w.project.Functions {
		if _, err := s.interpreter(ctx, f.Lang, f.Runtime); err != nil {
			return nil, nil, err
		}
	}
	var group errgroup.Group
	group.SetLimit(runtime.NumCPU())
	for i, p := range everything {
		s.tell(w, "deploy", i, len(everything))
		group.Go(func() error { p.failure = s.bringUp(ctx, w, p); return nil })
	}
	_ = group.Wait() // each keeps its own failure
	for _, one := range alone {
		if one.failure != nil {
			return nil, nil, one.failure
		}
	}
	begin := time.Now().UTC()
	before, err := proc.ReadLoad()
	if err != nil {
		return nil, nil, err
	}
	for round := range s.Rounds {
		s.tell(w, "measure", round, s.Rounds)
		for _, one := range alone {
			if err := one.turn(ctx, w.project.Input); err != nil {
				return nil, nil, err
			}
		}
		for i := range all {
			p := all[i]
			if round%2 == 1 { // nobody always comes after the same
				p = all[len(all)-1-i]
			}
			if p.failure == nil {
				p.failure = p.turn(ctx, w.project.Input, round)
			}
			if ctx.Err() != nil {
				return nil, nil, context.Cause(ctx)
			}
		}
	}
	after, err := proc.ReadLoad()
	if err != nil {
		return nil, nil, err
	}
	end := time.Now().UTC()
	var measured []*measurement
	var failures []error
	for _, p := range all {
		m := &measurement{Placement: p.ID, Begin: begin, End: end, Latencies: p.latencies, Traces: p.traces, Others: proc.Others(before, after)}
		if p.failure != nil {
			m.Latencies, m.Traces, m.Failure = nil, nil, p.failure.Error()
			failures = append(failures, fmt.Errorf("%s: %w", p.name(), p.failure))
		}
		measured = append(measured, m)
	}
	if len(failures) == len(all) {
		return nil, nil, failures[0] // it is not the placements' fault
	}
	var runs []*soloRuns
	for i := 0; i < len(alone); i += 2 {
		runs = append(runs, &soloRuns{Begin: begin, CPUs: alone[i].CPUs, Warm: alone[i].runs, Cold: alone[i+1].runs})
	}
	return measured, runs, nil
}

// cpusOf are the numbers of CPUs that placements run on.
func cpusOf(placements []*Placement) []int {
	var all []int
	for _, p := range placements {
		all = append(all, p.CPUs)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// bringUp builds and starts a placement.
func (s *session) bringUp(ctx context.Context, w *subject, p *served) error {
	up, err := serving.Up(ctx, serving.Options{
		Project: w.project, Plan: p.Plan, Agent: s.Agent, Dir: p.dir, CPUs: s.cpus[:min(p.CPUs, len(s.cpus))],
		Interpreter: func(ctx context.Context, lang, runtime string) (string, error) {
			return s.interpreters[[2]string{lang, runtime}], nil
		},
	})
	p.Served = up
	return err
}

// takeDown ends what is up.
func (s *session) takeDown(ctx context.Context, all []*served) error {
	var group errgroup.Group
	group.SetLimit(runtime.NumCPU())
	failures := make([]error, len(all))
	for i, p := range all {
		if p.Served == nil {
			continue
		}
		group.Go(func() error { failures[i] = p.Down(ctx); return nil })
	}
	_ = group.Wait() // each keeps its own failure
	return errors.Join(failures...)
}

// turn is one placement's in a round: a request that is timed, and before it one
// that is not, since the placement's processes have slept while the others had
// their turn. There is one a round, and many rounds, since requests that follow
// each other find the machine in the same state.
func (p *served) turn(ctx context.Context, input []byte, round int) error {
	idle := 1
	if round == 0 {
		idle = warmUps
	}
	var took time.Duration
	for range idle + 1 {
		time.Sleep(pause)
		begun := time.Now()
		if _, _, err := serving.Post(ctx, p.Client, "/", input, false); err != nil {
			return err
		}
		took = time.Since(begun)
	}
	p.latencies = append(p.latencies, took)
	if round%traceEvery != 0 {
		return nil
	}
	time.Sleep(pause)
	_, trace, err := serving.Post(ctx, p.Client, "/", input, true)
	if err != nil {
		return err
	}
	p.traces = append(p.traces, trace)
	return nil
}
