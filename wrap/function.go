package wrap

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/chiron-faas/chiron/host"
	"github.com/chiron-faas/chiron/plan"
)

// serveFunction answers /function/NAME[/PATH]: one function, outside of the
// workflow, with the request as it came and the answer as the function gave it.
func (a *Agent) serveFunction(w http.ResponseWriter, req *http.Request, r *request) {
	name, path, found := strings.Cut(strings.TrimPrefix(req.URL.Path, "/function/"), "/")
	if found {
		path = "/" + path
	} else {
		path = "/"
	}
	f := a.layout.functions[name]
	if f == nil || f.process == nil {
		a.refuse(w, r, http.StatusNotFound, fmt.Errorf("wrap %q has no function %q", a.name, name))
		return
	}
	buffer, status, err := a.readBody(w, req, r)
	if err != nil {
		a.refuse(w, r, status, err)
		return
	}
	body := buffer.bytes
	start := time.Now()
	deadline, timeout := callDeadline(start, f.timeout, r.deadline)
	c := host.Call{Function: f.name, Body: body, RequestID: r.id, Deadline: deadline, Meta: a.meta(f.name, path, req), Memory: r.memory.find(body), KeepMemory: true}
	p := f.process
	p.uses.Add(1)
	var rep host.Reply
	if p.mode == plan.Pool {
		rep, err = p.pool.call(a.life, nil, c)
	} else {
		kids := a.fork(a.life, []*process{p})
		defer kids.end()
		rep, err = a.callChild(a.life, kids, p, nil, c)
	}
	r.memory.own(rep.Memory)
	if r.trace != nil {
		s := Span{Function: f.name, Wrap: a.name, Process: p.index}
		r.trace.add(s.timed(r.start, start, rep.Began, time.Now(), rep.Run, rep.CPU))
	}
	if err != nil {
		a.logFailure(r, f, err)
		a.answerFailure(w, r, a.taskFailure(f, timeout, err))
		return
	}
	a.answerFunction(w, r, rep)
	a.keepBuffer(buffer)
}

// meta is what an event handler sees of the request; the other kinds see only
// the body, and are spared the copy.
func (a *Agent) meta(function, path string, req *http.Request) *host.Meta {
	if z, ok := a.zygotes.peek(); ok && z.Kind(function) != host.KindEvent {
		return nil
	}
	m := &host.Meta{Method: req.Method, Path: path, Headers: make(map[string]string, len(req.Header)+1)}
	for name, values := range req.Header {
		m.Headers[name] = strings.Join(values, ", ") // RFC 9110, 5.3
	}
	m.Headers["Host"] = req.Host // net/http takes it out
	if req.URL.RawQuery != "" {
		m.Query = req.URL.Query()
	}
	return m
}

// answerFunction writes a function's reply, its own status and headers included.
func (a *Agent) answerFunction(w http.ResponseWriter, r *request, rep host.Reply) {
	h := w.Header()
	contentType := rep.Content.Type()
	for _, field := range rep.Headers {
		k, v := http.CanonicalHeaderKey(field[0]), field[1]
		switch k {
		case "Content-Type":
			contentType = v
		case "Content-Length", "Transfer-Encoding", "Connection", "Date":
			// The server's own: a wrong one would break the connection.
		default:
			h[k] = append(h[k], v)
		}
	}
	status := rep.Status
	if status == 0 {
		status = http.StatusOK
	}
	if status < 200 || status > 999 {
		a.answerFailure(w, r, a.taskFailure(&function{name: "reply"}, 0, errors.New("its statusCode is "+strconv.Itoa(status)+", which is no HTTP status")))
		return
	}
	a.answer(w, r, status, contentType, rep.Body)
}
