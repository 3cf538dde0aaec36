package orchestrator

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"time"

	"github.com/chiron-faas/chiron/gateway/hop"
	"github.com/chiron-faas/chiron/workflow"
)

// walk carries a request through the definition: it is a workflow.Executor.
type walk struct {
	o      *Orchestrator
	r      *request
	branch bool // inside a Parallel state
}

// answer is what a task said.
type answer struct {
	body        []byte
	contentType string
}

// Task calls a task through the gateway.
func (w *walk) Task(ctx context.Context, s *workflow.State, input json.RawMessage) (json.RawMessage, error) {
	a, err := w.o.call(ctx, w.r, s.Name, input)
	if err != nil {
		return nil, err
	}
	if !w.branch {
		w.r.last = a
	}
	return a.body, nil
}

// Parallel walks all branches at the same time.
func (w *walk) Parallel(ctx context.Context, s *workflow.State, input json.RawMessage) ([]json.RawMessage, error) {
	return workflow.RunBranches(ctx, s, input, &walk{o: w.o, r: w.r, branch: true})
}

// call makes the request of one task.
func (o *Orchestrator) call(ctx context.Context, r *request, task string, input []byte) (*answer, error) {
	extra := make([]hop.Field, 0, 4)
	extra = append(extra, hop.Field{Name: "Content-Type", Value: "application/json"})
	if r.id != "" {
		extra = append(extra, hop.Field{Name: headerCallID, Value: r.id})
	}
	if !r.deadline.IsZero() {
		// What is left and not when: two machines' clocks differ.
		extra = append(extra, hop.Field{Name: headerTimeout, Value: max(time.Until(r.deadline), time.Microsecond).String()})
	}
	if r.trace != nil {
		extra = append(extra, hop.Field{Name: headerTrace, Value: "1"})
	}
	sent := time.Now()
	resp, err := o.client.Do(ctx, r.deadline, &hop.Request{
		Method: http.MethodPost, Target: "/function/" + o.options.Routes[task], Host: "gateway", Extra: extra, Body: input,
	})
	if err != nil {
		return nil, unreached(ctx, err)
	}
	defer resp.Close()
	body, err := o.read(resp)
	if err != nil {
		return nil, unreached(ctx, err)
	}
	if r.trace != nil {
		r.trace.graft(resp.Header, sent.Sub(r.start), time.Since(sent))
	}
	if resp.Status != http.StatusOK {
		return nil, refusal(resp.Status, body)
	}
	return &answer{body: body, contentType: resp.Header.Get("Content-Type")}, nil
}

// read reads an answer's whole body.
func (o *Orchestrator) read(resp *hop.Response) ([]byte, error) {
	if resp.Length > o.options.MaxBody {
		return nil, fmt.Errorf("the answer has %d bytes, the limit is %d", resp.Length, o.options.MaxBody)
	}
	body := make([]byte, 0, max(resp.Length, 0))
	for {
		piece, err := resp.Next()
		if errors.Is(err, io.EOF) {
			return body, nil
		}
		if err != nil {
			return nil, err
		}
		if int64(len(body)+len(piece)) > o.options.MaxBody {
			return nil, fmt.Errorf("the answer is over the limit of %d bytes", o.options.MaxBody)
		}
		body = append(body, piece...)
	}
}

// unreached is the failure of a call that never came to an answer.
func unreached(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.Is(err, os.ErrDeadlineExceeded): // the connection's, which may come first
		return err
	}
	return &workflow.Failure{Name: workflow.ErrTaskFailed, Cause: "the gateway did not pass the call on: " + err.Error()}
}

// refusal is the failure that the gateway, or the wrap behind it, answered.
func refusal(status int, body []byte) error {
	var f workflow.Failure
	if err := json.Unmarshal(body, &f); err != nil || f.Name == "" {
		return &workflow.Failure{Name: workflow.ErrTaskFailed, Cause: "the call was answered with status " + strconv.Itoa(status)}
	}
	if status == http.StatusInternalServerError || status == http.StatusGatewayTimeout {
		return &f
	}
	return &workflow.Failure{Name: workflow.ErrTaskFailed, Cause: f.Cause}
}
