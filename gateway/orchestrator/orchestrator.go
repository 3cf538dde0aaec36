package orchestrator

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/chiron-faas/chiron/gateway/hop"
	"github.com/chiron-faas/chiron/workflow"
)

// Options of New. All are needed but Log and Limits.
type Options struct {
	// Workflow is the project's name, for the context object.
	Workflow   string
	Definition *workflow.Definition
	// Network and Address of the gateway, as net.Dial takes them.
	Network, Address string
	// Routes are the gateway's names of the tasks.
	Routes map[string]string
	// MaxBody bounds a request's body and a task's answer, bytes; 0:
	// DefaultMaxBody.
	MaxBody int64
	// Log takes what fails; nil discards.
	Log *slog.Logger
}

// DefaultMaxBody of Options: an agent's for what other wraps answer.
const DefaultMaxBody = 256 << 20

// Headers in Go's canonical form, so that maps can be used directly. They mean
// what they mean to an agent (package wrap).
const (
	headerCallID   = "X-Call-Id"
	headerTimeout  = "X-Timeout"
	headerDuration = "X-Duration-Seconds"
	headerTrace    = "Chiron-Trace"
)

// Bounds of one connection.
const (
	headerPatience = 30 * time.Second
	idlePatience   = 3 * time.Minute
	// drainPatience is for requests inside when Serve is to end.
	drainPatience = 10 * time.Second
)

// Orchestrator serves one workflow. It is an http.Handler.
type Orchestrator struct {
	options     Options
	log         *slog.Logger
	client      *hop.Client
	usesContext bool
}

// New checks that every task has a route.
func New(o Options) (*Orchestrator, error) {
	for _, task := range o.Definition.Tasks() {
		if o.Routes[task.Name] == "" {
			return nil, fmt.Errorf("orchestrator: the gateway has no route to task %q: plan again", task.Name)
		}
	}
	if o.MaxBody <= 0 {
		o.MaxBody = DefaultMaxBody
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Orchestrator{
		options: o, log: o.Log, usesContext: o.Definition.UsesContext(),
		client: hop.NewClient(hop.Options{Network: o.Network, Address: o.Address}),
	}, nil
}

// Serve answers on l until ctx ends, and returns when the requests inside have
// ended.
func (o *Orchestrator) Serve(ctx context.Context, l net.Listener) error {
	server := &http.Server{
		Handler: o, ReadHeaderTimeout: headerPatience, IdleTimeout: idlePatience,
		ErrorLog: slog.NewLogLogger(o.log.Handler(), slog.LevelDebug),
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(l) }()
	defer o.client.Close()
	select {
	case err := <-ended:
		return fmt.Errorf("orchestrator: %w", err)
	case <-ctx.Done():
	}
	patience, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainPatience)
	defer cancel()
	err := server.Shutdown(patience)
	if err != nil {
		err = errors.Join(fmt.Errorf("orchestrator: requests were still inside after %v: %w", drainPatience, err), server.Close())
	}
	<-ended
	return err
}

// ServeHTTP answers POST / with the workflow's output.
func (o *Orchestrator) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	r := &request{start: time.Now(), id: req.Header.Get(headerCallID)}
	if req.Header.Get(headerTrace) == "1" {
		r.trace = &trace{}
	}
	if req.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		o.fail(w, r, http.StatusMethodNotAllowed, &workflow.Failure{Name: workflow.ErrRuntime, Cause: "a workflow is invoked with POST"})
		return
	}
	ctx := req.Context()
	if v := req.Header.Get(headerTimeout); v != "" {
		timeout, err := time.ParseDuration(v)
		if err != nil || timeout <= 0 {
			o.fail(w, r, http.StatusBadRequest, &workflow.Failure{Name: workflow.ErrRuntime, Cause: `header X-Timeout is not a positive duration such as "500ms"`})
			return
		}
		r.deadline = r.start.Add(timeout)
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, r.deadline)
		defer cancel()
	}
	input, err := io.ReadAll(http.MaxBytesReader(w, req.Body, o.options.MaxBody))
	if err != nil {
		status := http.StatusBadRequest
		var large *http.MaxBytesError
		if errors.As(err, &large) {
			status = http.StatusRequestEntityTooLarge
		}
		o.fail(w, r, status, &workflow.Failure{Name: workflow.ErrRuntime, Cause: "read the request's body: " + err.Error()})
		return
	}
	if o.usesContext {
		ctx = workflow.WithExecution(ctx, &workflow.Execution{ID: r.id, Workflow: o.options.Workflow, StartTime: r.start, Input: input})
	}
	out, err := workflow.Run(ctx, o.options.Definition, input, &walk{o: o, r: r})
	if err != nil {
		f := workflow.FailureOf(err)
		status := f.HTTPStatus()
		o.log.Warn("request failed", "request_id", r.id, "error", f.Name, "cause", f.Cause, "status", status)
		o.fail(w, r, status, f)
		return
	}
	h := w.Header()
	h["Content-Type"] = []string{"application/json"}
	if r.last != nil && len(out) > 0 && len(out) == len(r.last.body) && &out[0] == &r.last.body[0] {
		h["Content-Type"] = []string{r.last.contentType} // it passed on what the last task said
	}
	h["Content-Length"] = []string{strconv.Itoa(len(out))}
	r.setHeaders(h)
	w.WriteHeader(http.StatusOK)
	_, _ = w.Write(out) // the caller may have left: nothing is left to tell
}

func (o *Orchestrator) fail(w http.ResponseWriter, r *request, status int, f *workflow.Failure) {
	body, _ := json.Marshal(f) // strings always marshal
	h := w.Header()
	h["Content-Type"] = []string{"application/json"}
	h["Content-Length"] = []string{strconv.Itoa(len(body))}
	r.setHeaders(h)
	w.WriteHeader(status)
	_, _ = w.Write(body)
}

// request is one run of the workflow.
type request struct {
	start    time.Time
	id       string
	deadline time.Time // zero: none
	trace    *trace    // nil: not asked for
	last     *answer   // of the last task outside of a branch
}

func (r *request) setHeaders(h http.Header) {
	if r.id != "" {
		h[headerCallID] = []string{r.id}
	}
	h[headerDuration] = []string{strconv.FormatFloat(time.Since(r.start).Seconds(), 'f', 6, 64)}
	if r.trace != nil {
		h[headerTrace] = []string{r.trace.header()}
	}
}
