package pipeline

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"syscall"
	"time"

	"github.com/chiron-faas/chiron/workflow"
	"github.com/chiron-faas/chiron/wrap"
)

// InvokeOptions of Invoke.
type InvokeOptions struct {
	// Gateway is the URL of what serves, without a path: "http://127.0.0.1:8080".
	Gateway string
	// Name of the workflow or function.
	Name string
	// Path that it has there; empty: /function/NAME.
	Path string
	Body []byte
	// ContentType of Body; empty: JSON where it is JSON, else text.
	ContentType string
	// Timeout of the whole call; 0: none.
	Timeout time.Duration
	// Trace asks for when each task ran.
	Trace bool
}

// Answer is what was answered, be it success or failure.
type Answer struct {
	Name      string
	Status    int
	Body      []byte
	Took      time.Duration
	RequestID string
	// Trace is the JSON array of spans (wrap.Span), where asked for.
	Trace string
}

// Failure is nil for an answer of success, else one line on what it says.
func (a *Answer) Failure() error {
	if a.Status/100 == 2 {
		return nil
	}
	var failed workflow.Failure
	if json.Unmarshal(a.Body, &failed) == nil && failed.Name != "" {
		return fmt.Errorf("%s failed (HTTP %d): %w", a.Name, a.Status, &failed)
	}
	return fmt.Errorf("%s was answered %d %s: %s", a.Name, a.Status, http.StatusText(a.Status), firstText(a.Body))
}

// Invoke calls a workflow or a function through its gateway. Its error says that
// there was no answer; see Answer.Failure for what an answer says.
func Invoke(ctx context.Context, o InvokeOptions) (_ *Answer, err error) {
	if o.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, o.Timeout)
		defer cancel()
	}
	if o.ContentType == "" {
		o.ContentType = "text/plain; charset=utf-8"
		if json.Valid(o.Body) {
			o.ContentType = "application/json"
		}
	}
	if o.Path == "" {
		o.Path = "/function/" + url.PathEscape(o.Name)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, o.Gateway+o.Path, bytes.NewReader(o.Body))
	if err != nil {
		return nil, fmt.Errorf("invoke %s: %w", o.Name, err)
	}
	req.Header.Set("Content-Type", o.ContentType)
	if o.Trace {
		req.Header.Set(wrap.HeaderTrace, "1")
	}
	begun := time.Now()
	res, err := http.DefaultClient.Do(req)
	if errors.Is(err, syscall.ECONNREFUSED) {
		return nil, fmt.Errorf("invoke %s: nothing serves at %s: start it with chiron up, or name its address with --gateway", o.Name, o.Gateway)
	}
	if err != nil {
		return nil, fmt.Errorf("invoke %s: %w", o.Name, err)
	}
	defer func() { err = errors.Join(err, res.Body.Close()) }()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer+1))
	if err != nil {
		return nil, fmt.Errorf("invoke %s: read the answer: %w", o.Name, err)
	}
	if len(body) > maxAnswer {
		return nil, fmt.Errorf("invoke %s: the answer is over %d bytes", o.Name, maxAnswer)
	}
	return &Answer{
		Name: o.Name, Status: res.StatusCode, Body: body, Took: time.Since(begun),
		RequestID: res.Header.Get("X-Call-Id"), Trace: res.Header.Get(wrap.HeaderTrace),
	}, nil
}
