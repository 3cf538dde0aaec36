package systems

import (
	"context"
	"errors"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/chiron-faas/chiron/bench/proc"
)

const (
	// traceEvery so many rounds a request of each system is traced.
	traceEvery = 4
	// enoughTraced requests of a system are kept, enoughSpans of tasks in them.
	enoughTraced = 24
	enoughSpans  = 2000
	// longest that the rounds of a workflow take, if there have been minRounds.
	longest   = 4 * time.Minute
	minRounds = 20
)

// turn is a system that is up and takes turns.
type turn struct {
	timing
	up      *served
	failure error
}

// takeTurns has all systems up and asks one after the other, round by round. A
// system that fails is left out from then on; where all do, that is an error.
func (s *session) takeTurns(ctx context.Context, w *subject) (_ *rounds, err error) {
	var all []*turn
	defer func() {
		for _, t := range all {
			if t.up != nil {
				err = errors.Join(err, t.up.down())
			}
		}
	}()
	var starts errgroup.Group
	starts.SetLimit(s.cpus)
	for i, name := range s.Systems {
		pl := w.plan(name)
		if pl == nil {
			continue
		}
		s.tell(w, name, "start", i, len(s.Systems))
		t := &turn{timing: timing{System: name}}
		all = append(all, t)
		starts.Go(func() error {
			t.up, t.failure = s.up(ctx, w, pl)
			return nil
		})
	}
	_ = starts.Wait() // what fails is its system's
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	r := &rounds{Begin: time.Now().UTC()}
	before, err := proc.ReadLoad()
	if err != nil {
		return nil, err
	}
	for round := range s.Rounds {
		if round >= minRounds && time.Since(r.Begin) > longest {
			break
		}
		s.tell(w, "", "rounds", round, s.Rounds)
		for i := range all {
			t := all[i]
			if round%2 == 1 { // nobody always comes after the same
				t = all[len(all)-1-i]
			}
			if t.failure == nil {
				t.failure = t.ask(ctx, w, round)
			}
			if ctx.Err() != nil {
				return nil, context.Cause(ctx)
			}
		}
	}
	if err := s.takeLoads(ctx, w, all); err != nil {
		return nil, err
	}
	after, err := proc.ReadLoad()
	if err != nil {
		return nil, err
	}
	r.End, r.Others = time.Now().UTC(), proc.Others(before, after)
	var failures []error
	for _, t := range all {
		if t.failure != nil {
			t.timing = timing{System: t.System, Failure: t.failure.Error()}
			failures = append(failures, t.failure)
		}
		r.Systems = append(r.Systems, t.timing)
	}
	if len(failures) == len(all) {
		return nil, failures[0] // it is not the systems' fault
	}
	return r, nil
}

// ask is a system's turn in a round: a request that is timed, and before it one
// that is not, since its processes have slept while others had their turn.
func (t *turn) ask(ctx context.Context, w *subject, round int) error {
	idle := 1
	if round == 0 {
		idle = warmUps
	}
	var took time.Duration
	for range idle + 1 {
		var err error
		if took, err = t.up.request(ctx, &w.check); err != nil {
			return err
		}
	}
	t.Latencies = append(t.Latencies, took.Microseconds())
	tasks := len(w.project.Definition.Tasks())
	if round%traceEvery != 0 || len(t.Traced) >= enoughTraced || len(t.Traced) > 0 && (len(t.Traced)+1)*tasks > enoughSpans {
		return nil
	}
	one, err := t.up.trace(ctx, w)
	t.Traced = append(t.Traced, one)
	return err
}
