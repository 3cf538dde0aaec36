package workflow

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"
)

// Executor does the work of the states that take functions. Run calls it with
// effective inputs and takes its results as they are; it must stop soon after
// its context is done.
type Executor interface {
	// Task calls the function of a Task state.
	Task(ctx context.Context, s *State, input json.RawMessage) (json.RawMessage, error)
	// Parallel runs every branch of a Parallel state on the same input and
	// returns their outputs in the order of the branches. RunBranches is the
	// plain way to do so.
	Parallel(ctx context.Context, s *State, input json.RawMessage) ([]json.RawMessage, error)
}

// Run walks a definition from StartAt to its end and returns its output. It
// keeps nothing: any number of runs may share one Definition, which must be as
// ParseDefinition returns it.
//
// Values travel as the bytes that came. Only where a path, a template or a
// Parallel's array needs JSON must they be JSON: elsewhere a function may
// answer with text.
//
// The error is a *Failure that names the state, or what the executor or the
// context returned where that is no failure of the workflow's own.
//
// Paths that begin with "$$" see the Execution in ctx (WithExecution); where
// there is none, Run makes one that holds the input and the time.
func Run(ctx context.Context, d *Definition, input json.RawMessage, exec Executor) (json.RawMessage, error) {
	s, ok := d.States[d.StartAt]
	if !ok {
		return nil, fmt.Errorf("run: StartAt names no state: %q", d.StartAt)
	}
	if ExecutionFrom(ctx) == nil && d.UsesContext() {
		ctx = WithExecution(ctx, &Execution{StartTime: time.Now(), Input: input})
	}
	rows, _ := exec.(RowExecutor)
	value := input
	for {
		if err := ctx.Err(); err != nil {
			return nil, context.Cause(ctx)
		}
		var row []*State
		if rows != nil && s.Type == Task {
			row = rows.Row(s)
		}
		var err error
		if len(row) > 1 {
			value, err = runRow(ctx, row, value, rows)
			s = row[len(row)-1]
		} else {
			value, err = runState(ctx, s, value, exec)
		}
		if err != nil {
			return nil, err
		}
		if s.End || s.Type == Succeed {
			return value, nil
		}
		next, ok := d.States[s.Next]
		if !ok {
			return nil, fmt.Errorf("run: state %q: Next names no state: %q", s.Name, s.Next)
		}
		s = next
	}
}

func runState(ctx context.Context, s *State, raw json.RawMessage, exec Executor) (json.RawMessage, error) {
	if s.Type == Fail {
		return nil, &Failure{Name: s.Error, Cause: s.Cause, State: s.Name}
	}
	f := newFlow(ctx, s)
	input, err := f.input(s, raw)
	if err != nil {
		return nil, err
	}
	result := input
	switch s.Type {
	case Task:
		if result, err = exec.Task(ctx, s, input); err != nil {
			return nil, inState(err, s)
		}
	case Parallel:
		results, err := exec.Parallel(ctx, s, input)
		if err != nil {
			return nil, inState(err, s)
		}
		if result, err = joinBranches(s, results); err != nil {
			return nil, err
		}
	case Pass:
		if s.Result != nil {
			result = s.Result
		}
	case Succeed:
	default:
		return nil, fmt.Errorf("run: state %q: no such state type: %q", s.Name, s.Type)
	}
	return f.output(s, raw, result)
}

// inState names the state in a failure that names none yet.
func inState(err error, s *State) error {
	var f *Failure
	if errors.As(err, &f) && f.State == "" {
		named := *f
		named.State = s.Name
		return &named
	}
	return err
}

// joinBranches makes a Parallel's result: the array of its branches' outputs.
func joinBranches(s *State, results []json.RawMessage) (json.RawMessage, error) {
	size := 1
	for i, r := range results {
		if !validJSON(r) {
			start := ""
			if i < len(s.Branches) {
				start = fmt.Sprintf(" (from %q)", s.Branches[i].StartAt)
			}
			return nil, &Failure{
				Name: ErrRuntime, State: s.Name,
				Cause: fmt.Sprintf("the output of branch %d%s is not JSON, and must be to join a Parallel's array: %s", i+1, start, excerpt(r)),
			}
		}
		size += len(r) + 1
	}
	out := make([]byte, 0, size+1)
	out = append(out, '[')
	for i, r := range results {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(out, r...)
	}
	return append(out, ']'), nil
}

// RunBranches runs every branch of a Parallel state at the same time, the
// first in the caller's goroutine, and waits for all of them. The first
// failure is the one returned; it cancels the other branches.
func RunBranches(ctx context.Context, s *State, input json.RawMessage, exec Executor) ([]json.RawMessage, error) {
	results := make([]json.RawMessage, len(s.Branches))
	if len(s.Branches) == 1 {
		var err error
		if results[0], err = Run(ctx, s.Branches[0], input, exec); err != nil {
			return nil, err
		}
		return results, nil
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var (
		wg    sync.WaitGroup
		once  sync.Once
		first error // written once, read after wg.Wait
	)
	branch := func(i int) {
		var err error
		if results[i], err = Run(ctx, s.Branches[i], input, exec); err != nil {
			once.Do(func() {
				first = err
				cancel(err)
			})
		}
	}
	for i := 1; i < len(s.Branches); i++ {
		wg.Go(func() { branch(i) })
	}
	if len(s.Branches) > 0 {
		branch(0)
	}
	wg.Wait()
	if first != nil {
		return nil, first
	}
	return results, nil
}

// RunInTurn is RunBranches one branch after the other, for who wants every task
// alone.
func RunInTurn(ctx context.Context, s *State, input json.RawMessage, exec Executor) ([]json.RawMessage, error) {
	results := make([]json.RawMessage, len(s.Branches))
	for i, branch := range s.Branches {
		var err error
		if results[i], err = Run(ctx, branch, input, exec); err != nil {
			return nil, err
		}
	}
	return results, nil
}
