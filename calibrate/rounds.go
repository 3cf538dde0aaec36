package calibrate

import (
	"context"
	"fmt"
	"time"

	"github.com/chiron-faas/chiron/internal/cputime"
)

// Each shape's turn in a round: a first request that is not timed, for its
// processes have slept and other shapes have used the caches since the last
// round, and then those that are. The first is traced, which the others are
// not: a trace's cost is no part of a latency.
const timedRequests = 2

// pause between requests: what one leaves behind (forked children that end, and
// are reaped) is no part of the next one's latency.
const pause = 3 * time.Millisecond

// warmRounds come before those that count.
const warmRounds = 2

// observation is what the rounds showed of one shape; the slices have one
// value a round, ns.
type observation struct {
	*shape
	// latency of a request, the mean of the round's.
	latency []float64
	// run is the mean of its functions' own times in the traced request, as
	// their host measures them.
	run []float64
	// lastStart is when the last function of the last stage began.
	lastStart []float64
	// tail is from the last function's end to the answer.
	tail []float64
	// overheads has a value for each request, not each round: what it took
	// before the last function of the last stage began and after it ended.
	overheads []float64
	// agent is the CPU time of wrap 1's agent, of a request.
	agent []float64
	// functions has the runs of each function of the traced request, in the
	// order in which they began.
	functions [][]float64
}

// rounds measures every shape once a round, so that what disturbs the machine
// for a while disturbs all of them.
func (m *measurer) rounds(ctx context.Context, shapes []*running, n int) ([]*observation, error) {
	observed := make([]*observation, len(shapes))
	for i, r := range shapes {
		observed[i] = &observation{shape: r.shape}
	}
	for round := range warmRounds + n {
		done := max(0, round-warmRounds)
		if done >= minRuns && time.Now().After(m.until) {
			break
		}
		m.Progress(Step{What: "measure", Done: done, Of: n})
		for i := range shapes {
			// Every second round goes backwards, so that nobody always comes
			// after the same.
			at := i
			if round%2 == 1 {
				at = len(shapes) - 1 - i
			}
			o := observed[at]
			if round < warmRounds {
				o = nil
			}
			if err := turn(ctx, shapes[at], o); err != nil {
				return nil, fmt.Errorf("shape %s: %w", shapes[at].name, err)
			}
		}
	}
	m.Progress(Step{What: "measure", Done: n, Of: n})
	return observed, nil
}

// turn is one shape's in a round; o nil: nothing is kept.
func turn(ctx context.Context, r *running, o *observation) error {
	c, agent := r.client, r.agents[0].cmd.Process.Pid
	first, err := c.invoke(ctx, true)
	if err != nil {
		return err
	}
	before, err := cputime.Of(agent)
	if err != nil {
		return err
	}
	var latency, lastStart, tail time.Duration
	for range timedRequests {
		time.Sleep(max(pause, r.pause))
		answer, err := c.invoke(ctx, false)
		if err != nil {
			return err
		}
		latency += answer.latency()
		lastStart += answer.lastStart()
		tail += answer.tail()
		if o != nil {
			o.overheads = append(o.overheads, float64(answer.lastStart()+answer.tail()))
		}
	}
	if o == nil {
		return nil
	}
	after, err := cputime.Of(agent)
	if err != nil {
		return err
	}
	o.agent = append(o.agent, float64(after-before)/timedRequests)
	o.latency = append(o.latency, float64(latency)/timedRequests)
	o.lastStart = append(o.lastStart, float64(lastStart)/timedRequests)
	o.tail = append(o.tail, float64(tail)/timedRequests)
	var sum time.Duration
	if o.functions == nil {
		o.functions = make([][]float64, len(first.runs))
	}
	for i, run := range first.runs {
		sum += run
		o.functions[i] = append(o.functions[i], float64(run))
	}
	o.run = append(o.run, float64(sum)/float64(len(first.runs)))
	return nil
}
