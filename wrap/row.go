package wrap

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/chiron-faas/chiron/host"
	"github.com/chiron-faas/chiron/workflow"
)

// row are tasks of one process of which each is given what the one before
// returned: the process does them by one call, and their values stay in it.
type row struct {
	tasks  []*workflow.State
	places []*place
	then   []host.Next // the functions after the first
}

// rank finds the rows of d, branches included. top: d is the workflow, whose states
// are a stage each, and a process that serves one request and stage takes no second
// one.
func (l *layout) rank(d *workflow.Definition, top bool) {
	for _, s := range d.States {
		for _, b := range s.Branches {
			l.rank(b, false)
		}
		if s.Type != workflow.Task {
			continue
		}
		p := l.places[s.Name].process
		if p == nil || top && p.mode.PerRequest() {
			continue
		}
		most := host.MaxRow
		if p.maxUses > 0 { // the next worker's turn may be within
			most = min(most, p.maxUses)
		}
		r := &row{}
		for _, t := range d.Row(s) {
			pl := l.places[t.Name]
			if pl.process != p || len(r.tasks) == most {
				break
			}
			if len(r.tasks) > 0 {
				r.then = append(r.then, host.Next{Function: pl.function.name, Timeout: pl.function.timeout})
			}
			r.tasks, r.places = append(r.tasks, t), append(r.places, pl)
		}
		if len(r.tasks) > 1 {
			l.rows[s] = r
		}
	}
}

// Row returns the tasks that s begins.
func (w *walk) Row(s *workflow.State) []*workflow.State {
	if r := w.a.layout.rows[s]; r != nil {
		return r.tasks
	}
	return nil
}

// Tasks runs a row where the plan puts it.
func (w *walk) Tasks(ctx context.Context, tasks []*workflow.State, input json.RawMessage) (json.RawMessage, error) {
	r := w.a.layout.rows[tasks[0]]
	// Its processes live, or are the branch's: see rank.
	rep, err := w.a.call(ctx, w, w.children, r.places[0], r, input)
	if errors.Is(err, host.ErrStopped) {
		return nil, context.Cause(ctx)
	}
	if err != nil {
		return nil, err
	}
	if !w.branch {
		w.r.lastBody, w.r.lastType = rep.Body, rep.Content.Type()
	}
	return rep.Body, nil
}

// failed returns the place of the task that a call came to its end in.
func (r *row) failed(first *place, steps int) *place {
	if r == nil {
		return first
	}
	return r.places[min(steps, len(r.places)-1)]
}
