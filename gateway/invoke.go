package gateway

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/chiron-faas/chiron/gateway/fleet"
	"github.com/chiron-faas/chiron/gateway/hop"
	"github.com/chiron-faas/chiron/workflow"
)

// Headers in Go's canonical form, so that maps can be used directly.
const (
	headerCallID    = "X-Call-Id"
	headerStart     = "X-Start-Time"
	headerTimeout   = "X-Timeout"
	headerForwarded = "X-Forwarded-For"
	headerHost      = "X-Forwarded-Host"
)

// Statuses that nobody sees but metrics: nginx' word for a caller that left, and
// an answer whose wrap ended before it was whole.
const (
	statusCallerLeft = 499
	statusCutShort   = 502
)

// maxKeptBody is the largest body buffer kept for the next request, bytes.
const maxKeptBody = 1 << 20

// invoke answers /function/NAME[.NAMESPACE][/PATH].
func (g *Gateway) invoke(w http.ResponseWriter, req *http.Request, rest string) {
	start := time.Now()
	name, path, _ := strings.Cut(rest, "/")
	rt := g.begin(name)
	if rt == nil {
		g.refuse(w, http.StatusNotFound, fmt.Sprintf("there is no workflow or function %q here: /system/functions lists them", name))
		return
	}
	defer rt.leave()
	rt.invoked.Add(1)
	rt.metrics.started.Inc()
	id := req.Header.Get(headerCallID)
	if !isCallID(id) {
		id = newCallID()
	}
	h := w.Header()
	h[headerCallID] = []string{id}
	h[headerStart] = []string{strconv.FormatInt(start.UnixNano(), 10)}
	status := g.forward(w, req, rt, path, id, start)
	rt.metrics.observe(status, time.Since(start))
	if status == statusCutShort {
		// The caller must not take a part of an answer for the whole.
		panic(http.ErrAbortHandler)
	}
}

// forward works on one invocation and returns the status that it was answered.
func (g *Gateway) forward(w http.ResponseWriter, req *http.Request, rt *route, path, id string, start time.Time) int {
	if g.draining.Load() && !rt.isPart(path) {
		w.Header().Set("Connection", "close")
		return g.refuse(w, http.StatusServiceUnavailable, "the gateway is going down: try again in a moment")
	}
	limits := &g.options.Limits
	timeout := limits.Timeout
	if asked, err := time.ParseDuration(req.Header.Get(headerTimeout)); err == nil && asked > 0 {
		timeout = min(timeout, asked) // a caller may shorten it
	}
	ctx, cancel := context.WithDeadline(req.Context(), start.Add(timeout))
	defer cancel()
	buffer, body, err := g.readBody(w, req)
	if err != nil {
		return g.refuseBody(w, err)
	}
	defer g.keepBuffer(buffer)
	if status := g.enter(ctx, w, rt, timeout); status != 0 {
		return status
	}
	defer func() { <-rt.places }()
	return g.exchange(ctx, w, req, rt, upstream{path: path, id: id, start: start, timeout: timeout, body: body})
}

// enter takes a place in line and then one with the wrap; the answer's status
// where there is none.
func (g *Gateway) enter(ctx context.Context, w http.ResponseWriter, rt *route, timeout time.Duration) int {
	select {
	case rt.places <- struct{}{}:
		return 0
	default:
	}
	if rt.waiting.Add(1) > int64(g.options.Limits.Queue) {
		rt.waiting.Add(-1)
		w.Header().Set("Retry-After", "1")
		return g.refuse(w, http.StatusTooManyRequests, fmt.Sprintf("as many requests of %q are waiting as may: try again in a moment", rt.Name))
	}
	defer rt.waiting.Add(-1)
	select {
	case rt.places <- struct{}{}:
		return 0
	case <-ctx.Done():
		return g.refuseEnded(ctx, w, rt, timeout)
	}
}

// upstream is what the wrap is told of an invocation.
type upstream struct {
	path, id string
	start    time.Time
	timeout  time.Duration
	body     []byte
}

// exchange sends the invocation to the wrap and passes its answer on.
func (g *Gateway) exchange(ctx context.Context, w http.ResponseWriter, req *http.Request, rt *route, up upstream) int {
	resp, leave, err := g.send(ctx, rt, up, rt.request(req, up))
	defer leave()
	if err != nil {
		return g.refuseUpstream(ctx, w, rt, up, err)
	}
	defer resp.Close()
	h := w.Header()
	for name, values := range resp.Header {
		if name != headerCallID {
			h[name] = values
		}
	}
	if resp.Length >= 0 {
		h["Content-Length"] = []string{strconv.FormatInt(resp.Length, 10)}
	}
	control := http.NewResponseController(w)
	w.WriteHeader(resp.Status)
	for {
		piece, err := resp.Next()
		if err == nil {
			_ = control.SetWriteDeadline(time.Now().Add(g.answerPatience)) // not supported: not a connection
			_, err = w.Write(piece)
		}
		switch {
		case err == io.EOF:
			return resp.Status
		case err != nil:
			g.log.Debug("an answer was not passed on whole", "route", rt.Name, "request_id", up.id, "error", err.Error())
			return statusCutShort
		}
	}
}

// send sends the invocation to the wrap, or to that of the instance that has the
// fewest requests. leave must be called in any case, when the answer was read.
func (g *Gateway) send(ctx context.Context, rt *route, up upstream, r *hop.Request) (resp *hop.Response, leave func(), err error) {
	deadline := up.start.Add(up.timeout)
	if rt.client != nil {
		resp, err := rt.client.Do(ctx, deadline, r)
		return resp, func() {}, err
	}
	for {
		place, err := rt.Fleet.Acquire(ctx, rt.Endpoint.Wrap)
		if err != nil {
			return nil, func() {}, err
		}
		// Where all have failed, the restart of one is waited for.
		r.NoWait = !place.Alone && !place.Suspect
		resp, err := place.Client.Do(ctx, deadline, r)
		switch {
		case err == nil || !isBroken(err):
			return resp, place.Release, err
		case !r.NoWait || !errors.Is(err, hop.ErrNotSent):
			return resp, place.Suspend, err
		}
		place.Suspend()
	}
}

// isBroken says that it was the wrap that failed, and not the caller who left or
// whose time was over.
func isBroken(err error) bool {
	return errors.Is(err, hop.ErrNotSent) || errors.Is(err, hop.ErrBroken) || errors.Is(err, hop.ErrProtocol)
}

// request is the wrap's form of the caller's request.
func (rt *route) request(req *http.Request, up upstream) *hop.Request {
	target := rt.Endpoint.Path
	switch {
	case rt.Kind == Whole:
		target = "/" + (&url.URL{Path: up.path}).EscapedPath()
	case rt.Kind == Function && up.path != "":
		target += "/" + (&url.URL{Path: up.path}).EscapedPath()
	}
	if req.URL.RawQuery != "" && rt.Kind != Task { // a task's own query says which it is
		target += "?" + req.URL.RawQuery
	}
	from, _, err := net.SplitHostPort(req.RemoteAddr)
	if err != nil {
		from = req.RemoteAddr
	}
	if before := req.Header.Values(headerForwarded); len(before) > 0 {
		from = strings.Join(before, ", ") + ", " + from
	}
	return &hop.Request{
		Method: req.Method, Target: target, Host: "wrap", Header: req.Header, Body: up.body,
		Extra: []hop.Field{
			{Name: headerCallID, Value: up.id},
			{Name: headerStart, Value: strconv.FormatInt(up.start.UnixNano(), 10)},
			{Name: headerTimeout, Value: max(up.timeout-time.Since(up.start), time.Millisecond).String()},
			{Name: headerHost, Value: req.Host},
			{Name: headerForwarded, Value: from},
		},
	}
}

// refuseUpstream answers for a wrap that did not.
func (g *Gateway) refuseUpstream(ctx context.Context, w http.ResponseWriter, rt *route, up upstream, err error) int {
	if ctx.Err() != nil || errors.Is(err, os.ErrDeadlineExceeded) {
		return g.refuseEnded(ctx, w, rt, up.timeout)
	}
	var start *fleet.StartError
	if errors.As(err, &start) {
		w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(start.Wait.Seconds()))))
		return g.refuse(w, http.StatusServiceUnavailable, start.Error())
	}
	g.log.Warn("a wrap did not answer", "route", rt.Name, "wrap", rt.Endpoint.Wrap, "request_id", up.id, "error", err.Error())
	if errors.Is(err, hop.ErrNotSent) || errors.Is(err, fleet.ErrClosed) {
		w.Header().Set("Retry-After", "1")
		return g.refuse(w, http.StatusServiceUnavailable, fmt.Sprintf("wrap %q is not there: it is being restarted, or the deployment is going down", rt.Endpoint.Wrap))
	}
	return g.fail(w, http.StatusInternalServerError, workflow.ErrTaskFailed, fmt.Sprintf("wrap %q ended before it answered", rt.Endpoint.Wrap))
}

// refuseEnded answers a request whose time is over, or whose caller has left.
func (g *Gateway) refuseEnded(ctx context.Context, w http.ResponseWriter, rt *route, timeout time.Duration) int {
	if !errors.Is(ctx.Err(), context.Canceled) {
		return g.fail(w, http.StatusGatewayTimeout, workflow.ErrTimeout, fmt.Sprintf("%q did not answer within %v", rt.Name, timeout))
	}
	return statusCallerLeft
}

// refuse answers a request that was not worked on.
func (g *Gateway) refuse(w http.ResponseWriter, status int, cause string) int {
	return g.fail(w, status, workflow.ErrRuntime, cause)
}

func (g *Gateway) fail(w http.ResponseWriter, status int, name, cause string) int {
	body, err := json.Marshal(workflow.Failure{Name: name, Cause: cause})
	if err != nil {
		body = []byte(`{"error":"States.Runtime"}`) // two strings can always be marshalled
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body) // the caller may have left
	return status
}

// isCallID accepts what may stand in logs and headers as it is.
func isCallID(s string) bool {
	for _, c := range []byte(s) {
		if c <= ' ' || c > '~' {
			return false
		}
	}
	return s != "" && len(s) <= 128
}

// newCallID is a random UUID (RFC 9562, version 4).
func newCallID() string {
	var raw [16]byte
	for i := range 2 {
		v := rand.Uint64()
		for k := range 8 {
			raw[8*i+k] = byte(v >> (8 * k))
		}
	}
	raw[6], raw[8] = raw[6]&0x0f|0x40, raw[8]&0x3f|0x80
	var text [36]byte
	hex.Encode(text[0:8], raw[0:4])
	hex.Encode(text[9:13], raw[4:6])
	hex.Encode(text[14:18], raw[6:8])
	hex.Encode(text[19:23], raw[8:10])
	hex.Encode(text[24:36], raw[10:16])
	for _, at := range []int{8, 13, 18, 23} {
		text[at] = '-'
	}
	return string(text[:])
}
