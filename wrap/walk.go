package wrap

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/chiron-faas/chiron/host"
	"github.com/chiron-faas/chiron/internal/memfile"
	"github.com/chiron-faas/chiron/workflow"
)

// walk carries one request through the definition: it is the workflow.Executor
// that knows where each task runs.
type walk struct {
	a *Agent
	r *request
	// children of the stage that the walk is in; nil outside of a stage and in
	// one without processes of the request's own.
	children *children
	// branch says that the walk is inside a Parallel state: its stage has been
	// entered.
	branch bool
	// began is called right before a task of the walk is handed to its process;
	// only its first call does anything. nil where nobody waits for that.
	began func()
}

// Task runs one task where the plan puts it.
func (w *walk) Task(ctx context.Context, s *workflow.State, input json.RawMessage) (json.RawMessage, error) {
	if err := ctx.Err(); err != nil {
		return nil, context.Cause(ctx)
	}
	pl := w.a.layout.places[s.Name]
	if pl == nil {
		return nil, fmt.Errorf("the plan has no place for task %q: plan again", s.Name)
	}
	if pl.process == nil {
		w.begin()
		return w.remoteTask(ctx, pl, input)
	}
	children := w.children
	if pl.process.mode.PerRequest() && !w.branch {
		children = w.a.fork(w.a.life, []*process{pl.process})
		defer children.end()
	}
	r, err := w.a.call(ctx, w, children, pl, nil, input)
	if err != nil {
		return nil, err
	}
	if !w.branch {
		w.r.lastBody, w.r.lastType = r.Body, r.Content.Type()
	}
	return r.Body, nil
}

// call runs a task in its process here; with a row, all its tasks, of which pl is
// the first.
func (a *Agent) call(ctx context.Context, w *walk, children *children, pl *place, row *row, input []byte) (host.Reply, error) {
	start := time.Now()
	deadline, timeout := callDeadline(start, pl.function.timeout, w.r.deadline)
	c := host.Call{Function: pl.function.name, Body: input, RequestID: w.r.id, Deadline: deadline, Memory: w.r.memory.find(input), KeepMemory: true}
	if row != nil {
		c.Row, c.Bound, c.Stop = row.then, w.r.deadline, ctx
	}
	p := pl.process
	p.uses.Add(1)
	var r host.Reply
	var err error
	// The call gets the agent's context, not the request's: a caller that
	// leaves must not cost the process its other calls, and the deadline bounds
	// the call anyway.
	if p.pool != nil {
		r, err = p.pool.call(a.life, w.began, c)
	} else {
		r, err = a.callChild(a.life, children, p, w.began, c)
	}
	w.r.memory.own(r.Memory)
	last := row.failed(pl, len(r.Steps))
	for i, s := range r.Steps { // of a row: another has begun after each
		p.uses.Add(1)
		w.span(row.places[i], start, s.Ended.Add(-s.Run), s.Ended, s.Run, s.CPU)
		start = s.Ended
	}
	w.span(last, start, r.Began, time.Now(), r.Run, r.CPU)
	if err != nil {
		// A forked child that was killed because its stage had failed already
		// did nothing wrong, and neither did a row that was stopped.
		stopped := errors.Is(err, host.ErrStopped)
		if !stopped && (p.pool != nil || ctx.Err() == nil || !isExit(err)) {
			a.logFailure(w.r, last.function, err)
		}
		if stopped {
			return host.Reply{}, err
		}
		if last != pl {
			_, timeout = callDeadline(start, last.function.timeout, w.r.deadline)
		}
		failure := a.taskFailure(last.function, timeout, err)
		if failure.State == "" && row != nil {
			named := *failure
			named.State = last.task.Name
			failure = &named
		}
		return host.Reply{}, failure
	}
	return r, nil
}

// span adds a task's call to the trace, where there is one.
func (w *walk) span(pl *place, start, began, end time.Time, run, cpu time.Duration) {
	if w.r.trace == nil {
		return
	}
	s := Span{Task: pl.task.Name, Function: pl.function.name, Wrap: w.a.name, Process: pl.process.index}
	w.r.trace.add(s.timed(w.r.start, start, began, end, run, cpu))
}

// callDeadline is the earlier of the function's timeout and the request's
// deadline, and the time until it.
func callDeadline(now time.Time, timeout time.Duration, request time.Time) (time.Time, time.Duration) {
	d := now.Add(timeout)
	if !request.IsZero() && request.Before(d) {
		return request, request.Sub(now)
	}
	return d, timeout
}

func (w *walk) begin() {
	if w.began != nil {
		w.began()
	}
}

// Parallel runs the branches of a Parallel state and returns their outputs in
// the order of the branches. The first failure is the answer, at once; what the
// other branches have begun ends by itself.
func (w *walk) Parallel(ctx context.Context, s *workflow.State, input json.RawMessage) ([]json.RawMessage, error) {
	sp := w.a.layout.splits[s]
	if sp == nil {
		return nil, fmt.Errorf("Parallel state %q is not of this bundle's definition", s.Name)
	}
	return w.run(ctx, s, sp.remote, sp.local, sp.forks, input)
}

// branchResult is what became of some branches: one walked here, or all that
// went to one peer.
type branchResult struct {
	branches []int
	outputs  []json.RawMessage
	err      error
}

// run works on the branches of s in the order that the package's documentation
// gives: peers first, then forks, then local tasks.
func (w *walk) run(ctx context.Context, s *workflow.State, remote []remotePart, local []localPart, forks []*process, input json.RawMessage) ([]json.RawMessage, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	results := make(chan branchResult, len(remote)+len(local))
	if len(remote)+len(local) > 1 {
		input = w.a.share(&w.r.memory, input)
	}
	for i := range remote {
		part := &remote[i]
		x, err := w.sendBranches(ctx, part, input)
		if err != nil {
			return nil, err
		}
		w.r.memory.enter()
		w.a.calls.Go(func() {
			defer w.r.memory.leave()
			outputs, err := w.receiveBranches(x, part)
			results <- branchResult{part.branches, outputs, err}
		})
	}
	children := w.children
	if !w.branch {
		children = w.a.fork(w.a.life, forks)
		defer children.end()
	}
	w.begin()
	var turn chan struct{} // closed when the branch before has begun
	for i, part := range local {
		next := make(chan struct{})
		var before chan struct{}
		// Only the tasks of one process start in each other's order.
		if i > 0 && part.process != nil && part.process == local[i-1].process {
			before = turn
		}
		turn = next
		begun := false // touched by the branch's goroutine only
		sub := &walk{a: w.a, r: w.r, children: children, branch: true, began: func() {
			if !begun {
				begun = true
				close(next)
			}
		}}
		w.r.memory.enter()
		w.a.calls.Go(func() {
			defer w.r.memory.leave()
			if before != nil {
				<-before
			}
			out, err := workflow.Run(ctx, s.Branches[part.branch], input, sub)
			sub.begin() // a branch that called nothing must not hold the next
			results <- branchResult{[]int{part.branch}, []json.RawMessage{out}, err}
		})
	}
	outputs := make([]json.RawMessage, len(s.Branches))
	for range len(remote) + len(local) {
		r := <-results
		if r.err != nil {
			return nil, r.err
		}
		for i, b := range r.branches {
			outputs[b] = r.outputs[i]
		}
	}
	return outputs, nil
}

// remoteTask runs one task in the wrap that the plan gives it.
func (w *walk) remoteTask(ctx context.Context, pl *place, input json.RawMessage) (json.RawMessage, error) {
	p := w.a.peers[pl.wrap]
	x, err := w.send(ctx, p, pl.query, input, 0)
	if err != nil {
		return nil, peerFailure(err)
	}
	r, err := w.receive(x)
	if err != nil {
		return nil, err
	}
	if !w.branch {
		w.r.lastBody, w.r.lastType = r.body, r.header.Get("Content-Type")
	}
	return r.body, nil
}

// send sends an internal request: a large input to a wrap on this machine as
// shared memory.
func (w *walk) send(ctx context.Context, p *peer, query string, input []byte, execution int) (*exchange, error) {
	var f *memfile.File
	if p.network == "unix" {
		input = w.a.share(&w.r.memory, input)
		f = w.r.memory.find(input)
	}
	return p.send(ctx, p.message(w.r, query, len(input), execution, f != nil), input, f)
}

func (w *walk) sendBranches(ctx context.Context, part *remotePart, input json.RawMessage) (*exchange, error) {
	p := w.a.peers[part.wrap]
	execution := 0
	if part.usesContext {
		front, err := json.Marshal(workflow.ExecutionFrom(ctx))
		if err != nil {
			return nil, fmt.Errorf("the execution for wrap %q: %w", p.name, err)
		}
		execution = len(front)
		input = append(front, input...)
	}
	x, err := w.send(ctx, p, part.query, input, execution)
	if err != nil {
		return nil, peerFailure(err)
	}
	return x, nil
}

func (w *walk) receiveBranches(x *exchange, part *remotePart) ([]json.RawMessage, error) {
	r, err := w.receive(x)
	if err != nil {
		return nil, err
	}
	outputs, err := splitBody(r.body, r.header.Get(headerLengths), len(part.branches))
	if err != nil {
		return nil, peerFailure(fmt.Errorf("wrap %q answered wrongly: %w", x.peer.name, err))
	}
	return outputs, nil
}

// receive waits for a peer's answer and takes its trace and its failure.
func (w *walk) receive(x *exchange) (*peerReply, error) {
	r, err := x.receive()
	if err != nil {
		return nil, peerFailure(err)
	}
	w.r.memory.own(r.memory)
	if w.r.trace != nil {
		w.graft(r)
	}
	if r.status != 200 {
		return nil, peerRefusal(x.peer.name, r)
	}
	if d, ok := worked(r.header); ok {
		x.peer.overheads.add(r.took, d)
	}
	return r, nil
}

func (w *walk) graft(r *peerReply) {
	var spans []Span
	if err := json.Unmarshal([]byte(r.header.Get(HeaderTrace)), &spans); err != nil {
		return // a trace is a help, its loss no failure
	}
	own, ok := worked(r.header)
	if !ok {
		own = r.took
	}
	w.r.trace.graft(spans, r.sent.Sub(w.r.start), r.took, own)
}

// peerFailure is the failure of a call that never came to a handler's end.
func peerFailure(err error) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return &workflow.Failure{Name: workflow.ErrTaskFailed, Cause: workflow.ClipCause(err.Error())}
}

// peerRefusal is the failure that a peer answered.
func peerRefusal(peer string, r *peerReply) error {
	var f workflow.Failure
	if err := json.Unmarshal(r.body, &f); err != nil || f.Name == "" {
		return peerFailure(fmt.Errorf("wrap %q answered with status %d", peer, r.status))
	}
	switch r.status {
	case 500, 504:
		return &f
	}
	return peerFailure(fmt.Errorf("wrap %q: %s", peer, f.Cause))
}
