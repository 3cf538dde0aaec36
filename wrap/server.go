package wrap

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/chiron-faas/chiron/host"
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
	// smallBody bounds a body that is read before its request's turn, bytes.
	smallBody = host.DefaultShareOver
)

var errBadTimeout = errors.New(`header X-Timeout is not a positive duration such as "500ms"`)

func (a *Agent) newServer() *http.Server {
	// Callers choose; other wraps on other machines speak HTTP/2.
	var spoken http.Protocols
	spoken.SetHTTP1(true)
	spoken.SetUnencryptedHTTP2(true)
	return &http.Server{
		Handler:   a,
		Protocols: &spoken,
		HTTP2:     streams(),
		// No ReadTimeout: it would also end the context of a request that is
		// worked on for longer.
		ReadHeaderTimeout: headerPatience,
		IdleTimeout:       idlePatience,
		MaxHeaderBytes:    maxHeader,
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			if p, ok := c.(*passConn); ok {
				return context.WithValue(ctx, passKey{}, p)
			}
			return ctx
		},
		ErrorLog: slog.NewLogLogger(a.log.Handler(), slog.LevelDebug),
	}
}

// ServeHTTP routes a request. The paths are few and one of them is nearly all
// of the traffic, so it is a switch and no mux.
func (a *Agent) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if a.leaving.Load() {
		w.Header()["Connection"] = closeType // in HTTP/2 it is sent as GOAWAY
	}
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
	defer r.memory.leave()
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
	if n := req.ContentLength; n > 0 && n <= smallBody {
		// Before its turn: a caller that dribbles holds nobody up. Large bodies
		// are read when it is their turn, which bounds the memory that they take.
		b, status, err := a.readBody(w, req, r)
		if err != nil {
			a.refuse(w, r, status, err)
			return
		}
		r.body = b
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
	body, status, err := a.readBody(w, req, r)
	if err != nil {
		a.refuse(w, r, status, err)
		return
	}
	input := body.bytes
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
	a.keepBuffer(body)
}

// context bounds parent by the request's deadline.
func (r *request) context(parent context.Context) (context.Context, context.CancelFunc) {
	if r.deadline.IsZero() {
		return parent, func() {}
	}
	return context.WithDeadline(parent, r.deadline)
}

// bodyBuffer is a request's body. Its memory, where it is the heap's, is reused.
type bodyBuffer struct {
	bytes  []byte
	shared bool
}

// readBody reads the whole body, a large one into shared memory, unless it has
// been read. It may be given back with keepBuffer once nothing refers to its
// bytes any more.
func (a *Agent) readBody(w http.ResponseWriter, req *http.Request, r *request) (*bodyBuffer, int, error) {
	if r.body != nil {
		return r.body, 0, nil
	}
	if req.ContentLength > a.options.MaxBody {
		return nil, http.StatusRequestEntityTooLarge, a.tooLarge()
	}
	if req.ContentLength == 0 {
		return &bodyBuffer{shared: true}, 0, nil
	}
	// A caller that stalls must not hold its place for ever.
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(time.Now().Add(a.options.bodyPatience)) // not supported: not a connection
	b, err := a.receiveBody(w, req, r)
	var large *http.MaxBytesError
	switch {
	case err == nil:
		_ = control.SetReadDeadline(time.Time{})
		return b, 0, nil
	// Otherwise the deadline stays: the server reads what is left of a body
	// before it lets a connection go.
	case errors.As(err, &large):
		return nil, http.StatusRequestEntityTooLarge, a.tooLarge()
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, http.StatusRequestTimeout, fmt.Errorf("the request's body did not come within %s", a.options.bodyPatience)
	}
	return nil, http.StatusBadRequest, fmt.Errorf("read the request's body: %w", err)
}

func (a *Agent) receiveBody(w http.ResponseWriter, req *http.Request, r *request) (*bodyBuffer, error) {
	n := int(req.ContentLength)
	if n > host.DefaultShareOver {
		body, err := a.readShared(&r.memory, req.Body, n)
		return &bodyBuffer{bytes: body, shared: true}, err
	}
	b, _ := a.buffers.Get().(*bodyBuffer)
	if b == nil {
		b = &bodyBuffer{}
	}
	var err error
	if n > 0 {
		if cap(b.bytes) < n {
			b.bytes = make([]byte, n)
		}
		b.bytes = b.bytes[:n]
		_, err = io.ReadFull(req.Body, b.bytes)
	} else {
		b.bytes, err = appendAll(b.bytes[:0], http.MaxBytesReader(w, req.Body, a.options.MaxBody))
	}
	b.bytes = b.bytes[:len(b.bytes):len(b.bytes)]
	return b, err
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
	if !b.shared && cap(b.bytes) <= maxKeptBuffer {
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
	_ = a.writeBody(w, body) // the caller may have left: nothing is left to tell
}

// answerFailure writes what became of a request that was worked on.
func (a *Agent) answerFailure(w http.ResponseWriter, r *request, err error) {
	f := workflow.FailureOf(err)
	status := f.HTTPStatus()
	a.log.Warn("request failed", "request_id", r.id, "error", f.Name, "cause", f.Cause, "status", status)
	r.setHeaders(w.Header())
	writeFailure(w, status, f)
}

// refuse writes why a request was not worked on.
func (a *Agent) refuse(w http.ResponseWriter, r *request, status int, err error) {
	r.setHeaders(w.Header())
	if status == http.StatusServiceUnavailable || status == http.StatusRequestEntityTooLarge || status == http.StatusRequestTimeout {
		w.Header().Set("Connection", "close")
	}
	writeFailure(w, status, &workflow.Failure{Name: workflow.ErrRuntime, Cause: workflow.ClipCause(err.Error())})
}
