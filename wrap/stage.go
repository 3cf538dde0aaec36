package wrap

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/chiron-faas/chiron/host"
	"github.com/chiron-faas/chiron/internal/memfile"
	"github.com/chiron-faas/chiron/workflow"
)

// The internal request of wrap 1 to another wrap:
//
//	POST /_/stage?plan=ID&state=NAME                 one task; the body is its input
//	POST /_/stage?plan=ID&state=NAME&branches=0,2    branches of a Parallel state;
//	                                                 the body is the input of each
//
// The input goes over once and as it is, nothing is wrapped in JSON. The answer
// to the first is the task's result; to the second the branches' outputs one
// after the other, their lengths in the header Chiron-Lengths ("12,340"). A
// failure is answered as everywhere. Where a branch reads the context object,
// the workflow.Execution stands before the input, its length in the header
// Chiron-Execution. X-Timeout carries what is left of the
// request's time; X-Call-Id and Chiron-Trace mean what they mean at the front.

// stageCall is an internal request, read and checked against the plan.
type stageCall struct {
	place    *place // of a single task
	state    *workflow.State
	branches []int
	local    []localPart
	forks    []*process
}

// errWrongPlan is the answer to a wrap of another plan.
type errWrongPlan struct{ theirs, ours string }

func (e *errWrongPlan) Error() string {
	return fmt.Sprintf("this wrap runs plan %s and the request is of plan %s: two deployments are mixed, take both down and deploy again", e.ours, e.theirs)
}

func (a *Agent) readStageCall(query string) (*stageCall, error) {
	q, err := url.ParseQuery(query)
	if err != nil {
		return nil, fmt.Errorf("query %q: %w", query, err)
	}
	if id := q.Get("plan"); id != a.bundle.manifest.PlanID {
		return nil, &errWrongPlan{theirs: strconv.Quote(id), ours: strconv.Quote(a.bundle.manifest.PlanID)}
	}
	name := q.Get("state")
	if !q.Has("branches") {
		pl := a.layout.places[name]
		if pl == nil || pl.process == nil {
			return nil, fmt.Errorf("task %q is not placed in wrap %q", name, a.name)
		}
		return &stageCall{place: pl}, nil
	}
	state, ok := a.bundle.definition.State(name)
	if !ok || state.Type != workflow.Parallel {
		return nil, fmt.Errorf("%q is no Parallel state", name)
	}
	c := &stageCall{state: state}
	sp := a.layout.splits[state]
	seen := make(map[*process]bool)
	for field := range strings.SplitSeq(q.Get("branches"), ",") {
		b, err := strconv.Atoi(field)
		if err != nil || b < 0 || b >= len(state.Branches) || slices.Contains(c.branches, b) {
			return nil, fmt.Errorf("Parallel state %q: branch %q is none of its %d, or named twice", name, field, len(state.Branches))
		}
		if !sp.whole[b] {
			return nil, fmt.Errorf("Parallel state %q: branch %d has a task that is not placed in wrap %q", name, b, a.name)
		}
		c.branches = append(c.branches, b)
		for _, p := range a.layout.forks[state.Branches[b]] {
			seen[p] = true
		}
	}
	for _, part := range sp.local {
		if slices.Contains(c.branches, part.branch) {
			c.local = append(c.local, part)
		}
	}
	c.forks = inOrder(seen)
	return c, nil
}

// serveStage answers an internal request.
func (a *Agent) serveStage(w http.ResponseWriter, req *http.Request) {
	r, err := newRequest(req.Header, 0)
	defer r.memory.leave()
	if err != nil {
		a.refuse(w, r, http.StatusBadRequest, err)
		return
	}
	c, err := a.readStageCall(req.URL.RawQuery)
	if err != nil {
		status := http.StatusBadRequest
		if _, ok := err.(*errWrongPlan); ok {
			status = http.StatusConflict
		}
		a.refuse(w, r, status, err)
		return
	}
	body, status, err := a.readStageBody(w, req, r)
	if err != nil {
		a.refuse(w, r, status, err)
		return
	}
	execution, input, err := a.cutExecution(req.Header, body.bytes)
	if err != nil {
		a.refuse(w, r, http.StatusBadRequest, err)
		return
	}
	ctx, cancel := r.context(workflow.WithExecution(req.Context(), execution))
	defer cancel()
	if c.place != nil {
		err = a.answerTask(ctx, w, req, r, c.place, input)
	} else {
		err = a.answerBranches(ctx, w, req, r, c, input)
	}
	if err != nil {
		// What is still running may use the input: it is left to the collector.
		a.answerFailure(w, r, err)
		return
	}
	a.keepBuffer(body)
}

// readStageBody reads the body of an internal request, or takes the shared
// memory that it is in.
func (a *Agent) readStageBody(w http.ResponseWriter, req *http.Request, r *request) (*bodyBuffer, int, error) {
	field := req.Header.Get(headerShared)
	if field == "" {
		return a.readBody(w, req, r)
	}
	size, err := strconv.Atoi(field)
	if err != nil {
		return nil, http.StatusBadRequest, fmt.Errorf("%s: %q is no length", headerShared, field)
	}
	if int64(size) > a.options.MaxBody {
		return nil, http.StatusRequestEntityTooLarge, a.tooLarge()
	}
	conn := passConnOf(req)
	if conn == nil {
		return nil, http.StatusBadRequest, fmt.Errorf("%s came over a connection that passes no memory", headerShared)
	}
	f, err := conn.take(size, int(a.options.MaxBody))
	if err != nil {
		return nil, http.StatusBadRequest, err
	}
	r.memory.own(f)
	body, err := f.Bytes(size)
	if err != nil {
		return nil, http.StatusServiceUnavailable, err
	}
	return &bodyBuffer{bytes: body, shared: true}, 0, nil
}

// passShared has a body in shared memory go beside the answer to a wrap on this
// machine; false: it has to be written.
func passShared(w http.ResponseWriter, req *http.Request, f *memfile.File, size int) bool {
	conn := passConnOf(req)
	if f == nil || conn == nil || req.Header.Get(headerTakesShared) == "" {
		return false
	}
	w.Header()[headerShared] = []string{strconv.Itoa(size)}
	conn.pass(f)
	return true
}

// joined returns shared memory with the outputs of branches one after the
// other, held with the request; nil: they are small, or there is none.
func (a *Agent) joined(r *request, branches []int, outputs []json.RawMessage, total int) *memfile.File {
	if total <= host.DefaultShareOver {
		return nil
	}
	if len(branches) == 1 {
		if f := r.memory.find(outputs[branches[0]]); f != nil {
			return f
		}
	}
	f, err := a.memory.Get(total)
	if err != nil {
		return nil
	}
	r.memory.own(f)
	at := 0
	for _, b := range branches {
		if err := f.Write(outputs[b], at); err != nil {
			return nil
		}
		at += len(outputs[b])
	}
	return f
}

// cutExecution takes the run that the branches' context object shows from the
// front of the body, where the definition reads it.
func (a *Agent) cutExecution(h http.Header, body []byte) (*workflow.Execution, []byte, error) {
	field := h.Get(headerExecution)
	if field == "" {
		return a.anonymous, body, nil
	}
	size, err := strconv.Atoi(field)
	if err != nil || size < 0 || size > len(body) {
		return nil, nil, fmt.Errorf("%s: %q is no length within the body's %d bytes", headerExecution, field, len(body))
	}
	var e workflow.Execution
	if err := json.Unmarshal(body[:size], &e); err != nil {
		return nil, nil, fmt.Errorf("%s: %w", headerExecution, err)
	}
	return &e, body[size:], nil
}

// answerTask runs a single task for wrap 1.
func (a *Agent) answerTask(ctx context.Context, w http.ResponseWriter, req *http.Request, r *request, pl *place, input []byte) error {
	var kids *children
	if pl.process.mode.PerRequest() {
		kids = a.fork(a.life, []*process{pl.process})
		defer kids.end()
	}
	rep, err := a.call(ctx, &walk{a: a, r: r}, kids, pl, nil, input)
	if err != nil {
		return err
	}
	body := rep.Body
	if passShared(w, req, rep.Memory, len(body)) {
		body = nil
	}
	a.answer(w, r, http.StatusOK, rep.Content.Type(), body)
	return nil
}

// answerBranches runs branches of a Parallel state for wrap 1.
func (a *Agent) answerBranches(ctx context.Context, w http.ResponseWriter, req *http.Request, r *request, c *stageCall, input []byte) error {
	outputs, err := (&walk{a: a, r: r}).run(ctx, c.state, nil, c.local, c.forks, input)
	if err != nil {
		return err
	}
	var lengths []byte
	total := 0
	for i, b := range c.branches {
		if i > 0 {
			lengths = append(lengths, ',')
		}
		lengths = strconv.AppendInt(lengths, int64(len(outputs[b])), 10)
		total += len(outputs[b])
	}
	h := w.Header()
	h[headerLengths] = []string{string(lengths)}
	if f := a.joined(r, c.branches, outputs, total); passShared(w, req, f, total) {
		a.answer(w, r, http.StatusOK, octetType[0], nil)
		return nil
	}
	h["Content-Length"] = []string{strconv.Itoa(total)}
	h["Content-Type"] = octetType
	r.setHeaders(h)
	for _, b := range c.branches {
		if err := a.writeBody(w, outputs[b]); err != nil {
			return nil // wrap 1 is gone: nobody is left to tell
		}
	}
	return nil
}

// splitBody cuts a stage response's body into n outputs.
func splitBody(body []byte, lengths string, n int) ([]json.RawMessage, error) {
	fields := strings.Split(lengths, ",")
	if len(fields) != n {
		return nil, fmt.Errorf("it has %d outputs, %d were asked for", len(fields), n)
	}
	outputs := make([]json.RawMessage, n)
	for i, f := range fields {
		size, err := strconv.Atoi(f)
		if err != nil || size < 0 || size > len(body) {
			return nil, fmt.Errorf("output %d has length %q of %d bytes that are left", i, f, len(body))
		}
		outputs[i], body = json.RawMessage(body[:size:size]), body[size:]
	}
	if len(body) > 0 {
		return nil, fmt.Errorf("%d bytes follow the last output", len(body))
	}
	return outputs, nil
}
