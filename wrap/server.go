package wrap

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/chiron-faas/chiron/workflow"
)

// Bounds of one HTTP connection.
const (
	headerPatience = 30 * time.Second // of a request's headers
	bodyPatience   = time.Minute      // of a request's body
	idlePatience   = 3 * time.Minute
	// maxHeader bytes of a request's headers.
	maxHeader = 64 << 10
	// maxKeptBuffer is the largest body buffer kept for the next request.
	maxKeptBuffer = 1 << 20
)

var errBadTimeout = errors.New(`header X-Timeout is not a positive duration such as "500ms"`)

func (a *Agent) newServer() *http.Server {
	return &http.Server{
		Handler: a,
		// No ReadTimeout: it would also end the context of a request that is
		// worked on for longer.
		ReadHeaderTimeout: headerPatience,
		IdleTimeout:       idlePatience,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          slog.NewLogLogger(a.log.Handler(), slog.LevelDebug),
	}
}

// ServeHTTP routes a request. The paths are few and one of them is nearly all
// of the traffic, so it is a switch and no mux.
func (a *Agent) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	switch path := req.URL.Path; {
	case path == "/":
		a.admit(w, req, a.serveWorkflow)
	case strings.HasPrefix(path, "/function/"):
		a.admit(w, req, a.serveFunction)
	case path == "/_/stage":
		// Not admitted: wrap 1 has admitted the request that this is part of.
		a.internal(w, req)
	case path == "/_/health":
		a.serveHealth(w, req)
	case path == "/_/ready":
		a.serveReady(w, req)
	case path == "/_/stats":
		a.serveStats(w, req)
	default:
		http.NotFound(w, req)
	}
}

// admit lets a request in when it is its turn.
func (a *Agent) admit(w http.ResponseWriter, req *http.Request, serve func(http.ResponseWriter, *http.Request, *request)) {
	r, err := newRequest(req.Header, a.options.Timeout)
	if err != nil {
		a.refuse(w, r, http.StatusBadRequest, err)
		return
	}
	if !a.door.enter() {
		a.refuse(w, r, http.StatusServiceUnavailable, errDraining)
		return
	}
	defer a.door.leave()
	if req.ContentLength > a.options.MaxBody {
		a.refuse(w, r, http.StatusRequestEntityTooLarge, a.tooLarge())
		return
	}
	ctx, cancel := r.context(req.Context())
	defer cancel()
	switch err := a.admission.enter(ctx); {
	case errors.Is(err, errQueueFull):
		w.Header().Set("Retry-After", "1")
		a.refuse(w, r, http.StatusTooManyRequests, err)
		return
	case err != nil:
		a.answerFailure(w, r, err)
		return
	}
	defer a.admission.leave()
	serve(w, req, r)
}

func (a *Agent) internal(w http.ResponseWriter, req *http.Request) {
	if req.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		return
	}
	if !a.door.enter() {
		a.refuse(w, &request{start: time.Now(), id: callID(req.Header)}, http.StatusServiceUnavailable, errDraining)
		return
	}
	defer a.door.leave()
	a.serveStage(w, req)
}

// serveWorkflow answers POST /: the whole workflow, in wrap 1 only.
func (a *Agent) serveWorkflow(w http.ResponseWriter, req *http.Request, r *request) {
	if a.bundle.wrap != 0 {
		a.refuse(w, r, http.StatusNotFound, fmt.Errorf("the workflow is served by wrap %q, this is %q", a.bundle.plan.Wraps[0].Name, a.name))
		return
	}
	if req.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		a.refuse(w, r, http.StatusMethodNotAllowed, errors.New("a workflow is invoked with POST"))
		return
	}
	buffer, input, status, err := a.readBody(w, req)
	if err != nil {
		a.refuse(w, r, status, err)
		return
	}
	execution := a.anonymous
	if a.usesContext {
		execution = &workflow.Execution{ID: r.id, Workflow: a.bundle.plan.Workflow, StartTime: r.start, Input: input}
	}
	ctx, cancel := r.context(workflow.WithExecution(req.Context(), execution))
	defer cancel()
	wk := walk{a: a, r: r}
	out, err := workflow.Run(ctx, a.bundle.definition, input, &wk)
	if err != nil {
		// What is still running may use the input: it is left to the collector.
		a.answerFailure(w, r, err)
		return
	}
	contentType := ""
	if len(out) > 0 && len(out) == len(r.lastBody) && &out[0] == &r.lastBody[0] {
		contentType = r.lastType
	} else if len(out) > 0 {
		contentType = jsonType[0]
	}
	a.answer(w, r, http.StatusOK, contentType, out)
	a.keepBuffer(buffer)
}

// context bounds parent by the request's deadline.
func (r *request) context(parent context.Context) (context.Context, context.CancelFunc) {
	if r.deadline.IsZero() {
		return parent, func() {}
	}
	return context.WithDeadline(parent, r.deadline)
}

// bodyBuffer is a request body's memory, reused.
type bodyBuffer struct{ bytes []byte }

// readBody reads the whole body. The buffer may be given back with keepBuffer
// once nothing refers to the body any more.
func (a *Agent) readBody(w http.ResponseWriter, req *http.Request) (*bodyBuffer, []byte, int, error) {
	if req.ContentLength > a.options.MaxBody {
		return nil, nil, http.StatusRequestEntityTooLarge, a.tooLarge()
	}
	b, _ := a.buffers.Get().(*bodyBuffer)
	if b == nil {
		b = &bodyBuffer{}
	}
	if req.ContentLength == 0 {
		b.bytes = b.bytes[:0]
		return b, nil, 0, nil
	}
	// A caller that stalls must not hold its place for ever.
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(time.Now().Add(bodyPatience)) // not supported: not a connection
	defer func() { _ = control.SetReadDeadline(time.Time{}) }()
	var err error
	if n := int(req.ContentLength); n > 0 {
		if cap(b.bytes) < n {
			b.bytes = make([]byte, n)
		}
		b.bytes = b.bytes[:n]
		_, err = io.ReadFull(req.Body, b.bytes)
	} else {
		b.bytes, err = appendAll(b.bytes[:0], http.MaxBytesReader(w, req.Body, a.options.MaxBody))
	}
	if err != nil {
		var large *http.MaxBytesError
		if errors.As(err, &large) {
			return nil, nil, http.StatusRequestEntityTooLarge, a.tooLarge()
		}
		return nil, nil, http.StatusBadRequest, fmt.Errorf("read the request's body: %w", err)
	}
	return b, b.bytes[:len(b.bytes):len(b.bytes)], 0, nil
}

func appendAll(b []byte, r io.Reader) ([]byte, error) {
	for {
		if len(b) == cap(b) {
			b = append(b, 0)[:len(b)]
		}
		n, err := r.Read(b[len(b):cap(b)])
		b = b[:len(b)+n]
		if err == io.EOF {
			return b, nil
		}
		if err != nil {
			return b, err
		}
	}
}

func (a *Agent) keepBuffer(b *bodyBuffer) {
	if cap(b.bytes) <= maxKeptBuffer {
		a.buffers.Put(b)
	}
}

func (a *Agent) tooLarge() error {
	return fmt.Errorf("the request's body is over the limit of %d bytes", a.options.MaxBody)
}

// setHeaders sets what every response of a request carries.
func (r *request) setHeaders(h http.Header) {
	h[headerCallID] = []string{r.id}
	h[headerDuration] = []string{strconv.FormatFloat(time.Since(r.start).Seconds(), 'f', 6, 64)}
	if r.trace != nil {
		h[HeaderTrace] = []string{r.trace.header()}
	}
}

// answer writes a result.
func (a *Agent) answer(w http.ResponseWriter, r *request, status int, contentType string, body []byte) {
	h := w.Header()
	switch contentType {
	case "":
		h["Content-Type"] = textType
	case jsonType[0]:
		h["Content-Type"] = jsonType
	default:
		h["Content-Type"] = []string{contentType}
	}
	h["Content-Length"] = []string{strconv.Itoa(len(body))}
	r.setHeaders(h)
	w.WriteHeader(status)
	_, _ = w.Write(body) // the caller may have left: nothing is left to tell
}

// answerFailure writes what became of a request that was worked on.
func (a *Agent) answerFailure(w http.ResponseWriter, r *request, err error) {
	f, status := requestFailure(err)
	a.log.Warn("request failed", "request_id", r.id, "error", f.Name, "cause", f.Cause, "status", status)
	r.setHeaders(w.Header())
	writeFailure(w, status, f)
}

// refuse writes why a request was not worked on.
func (a *Agent) refuse(w http.ResponseWriter, r *request, status int, err error) {
	r.setHeaders(w.Header())
	if status == http.StatusServiceUnavailable || status == http.StatusRequestEntityTooLarge {
		w.Header().Set("Connection", "close")
	}
	writeFailure(w, status, &workflow.Failure{Name: workflow.ErrRuntime, Cause: clip(err.Error())})
}
