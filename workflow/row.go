package workflow

import (
	"context"
	"encoding/json"
	"time"
)

// RowExecutor is an Executor that can run Task states which follow each other as
// one, without the values between them.
type RowExecutor interface {
	Executor
	// Row returns the tasks that the executor runs as one, of which s is the
	// first: the beginning of Definition.Row. Fewer than two: it runs s by Task.
	Row(s *State) []*State
	// Tasks calls the first task's function with input and each other's with what
	// the one before returned; it returns the last one's result. Where the context
	// is done, no other begins. A *Failure names its state.
	Tasks(ctx context.Context, tasks []*State, input json.RawMessage) (json.RawMessage, error)
}

// Row returns the Task states from s on of which each is given the result of the
// one before, whole and as it is, and whose results nothing else looks at.
func (d *Definition) Row(s *State) []*State {
	row := []*State{s}
	for s.Type == Task {
		next := d.States[s.Next]
		if s.End || next == nil || !handsOn(s, next) {
			break
		}
		row = append(row, next)
		s = next
	}
	return row
}

// handsOn says whether next's input is s's result. A field by which a state does
// more with its input or its result than these has to be looked at here.
func handsOn(s, next *State) bool {
	return next.Type == Task &&
		s.ResultPath.IsIdentity() && s.OutputPath.IsIdentity() &&
		next.InputPath.IsIdentity() && next.Parameters == nil && next.ResultPath.IsIdentity() && !next.OutputPath.IsContext()
}

// runRow is runState of several tasks.
func runRow(ctx context.Context, row []*State, raw json.RawMessage, exec RowExecutor) (json.RawMessage, error) {
	first, last := row[0], row[len(row)-1]
	f := newFlow(ctx, first)
	input, err := f.input(first, raw)
	if err != nil {
		return nil, err
	}
	result, err := exec.Tasks(ctx, row, input)
	if err != nil {
		return nil, inState(err, first)
	}
	f = flow{state: last.Name}
	return f.output(last, nil, result)
}

// newFlow begins the data flow of a state.
func newFlow(ctx context.Context, s *State) flow {
	f := flow{state: s.Name}
	if s.usesContext() {
		f.object = &ContextObject{Execution: ExecutionFrom(ctx), StateName: s.Name, EnteredTime: time.Now()}
	}
	return f
}
