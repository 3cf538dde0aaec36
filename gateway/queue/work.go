package queue

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

const (
	// callbackTries is how often an answer is sent to one who does not take it, and
	// callbackPause the time before the second; it doubles.
	callbackTries = 4
	callbackPause = 500 * time.Millisecond
	// maxAnswer is the largest answer that is kept for a callback, bytes.
	maxAnswer = 16 << 20
)

// work makes one call and takes it off the queue, or leaves it for another time.
func (q *Queue) work(ctx context.Context, m jetstream.Msg) {
	var c call
	if err := json.Unmarshal(m.Data(), &c); err != nil || c.Function == "" {
		q.log.Error("what is in the async queue is no call, and is dropped", "error", fmt.Sprint(err))
		q.settled(m.Term(), c)
		return
	}
	// Whoever works says so, or it would be given to another.
	held := make(chan struct{})
	defer close(held)
	go q.hold(m, held)
	// What has begun is finished, also when the gateway goes down: it waits.
	patient, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(q.options.Drain, cancel) })()
	begun := time.Now()
	a := q.call(patient, c)
	if patient.Err() != nil {
		return // it was cut short, and is given out again
	}
	if a.notBegun() {
		tried := 1
		if meta, err := m.Metadata(); err == nil {
			tried = int(meta.NumDelivered)
		}
		if tried < q.options.Tries {
			pause := min(q.options.Pause<<min(tried-1, 10), longestPause)
			q.log.Debug("an asynchronous call had no place", "function", c.Function, "request_id", c.ID, "status", a.status, "tried", tried, "again_in", pause.String())
			q.settled(m.NakWithDelay(pause), c)
			return
		}
		q.log.Warn("an asynchronous call was given up", "function", c.Function, "request_id", c.ID, "status", a.status, "tried", tried)
	}
	if c.CallbackURL != "" {
		if err := q.callBack(patient, c, a, time.Since(begun)); err != nil {
			if patient.Err() != nil {
				return // the gateway goes down: it is given out again
			}
			q.log.Warn("the answer of an asynchronous call was not taken", "function", c.Function, "request_id", c.ID, "error", err.Error())
		}
	}
	q.settled(m.Ack(), c)
}

func (q *Queue) settled(err error, c call) {
	if err != nil {
		q.log.Warn("an asynchronous call may be made again", "function", c.Function, "request_id", c.ID, "error", err.Error())
	}
}

// hold tells the server that the call is being made, until it has been.
func (q *Queue) hold(m jetstream.Msg, done <-chan struct{}) {
	tick := time.NewTicker(q.options.AckWait / 3)
	defer tick.Stop()
	for {
		select {
		case <-done:
			return
		case <-tick.C:
			_ = m.InProgress() // what is lost here is given out again, at least once
		}
	}
}

// answer is what a function answered. It is an http.ResponseWriter.
type answer struct {
	status int
	header http.Header
	body   bytes.Buffer
	cut    bool // more came than is kept
}

// notBegun says that no function has seen the call: it had no place, or was not
// there.
func (a *answer) notBegun() bool {
	return a.status == http.StatusTooManyRequests || a.status == http.StatusServiceUnavailable
}

// Header implements http.ResponseWriter.
func (a *answer) Header() http.Header { return a.header }

// WriteHeader implements http.ResponseWriter.
func (a *answer) WriteHeader(status int) {
	if a.status == 0 {
		a.status = status
	}
}

// Write implements http.ResponseWriter.
func (a *answer) Write(p []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	if a.body.Len()+len(p) > maxAnswer {
		a.cut = true
		return len(p), nil
	}
	return a.body.Write(p)
}

// call asks the gateway, as a caller would.
func (q *Queue) call(ctx context.Context, c call) (a *answer) {
	a = &answer{header: make(http.Header)}
	target := "/function/" + c.Function
	if c.Path != "" {
		target += "/" + c.Path
	}
	if c.Query != "" {
		target += "?" + c.Query
	}
	u, err := url.ParseRequestURI(target)
	if err == nil {
		var r *http.Request
		if r, err = http.NewRequestWithContext(ctx, c.Method, u.String(), bytes.NewReader(c.Body)); err == nil {
			r.URL, r.Host, r.RemoteAddr = u, c.Host, "127.0.0.1:0"
			r.Header = c.Header.Clone()
			if r.Header == nil {
				r.Header = make(http.Header)
			}
			r.Header.Set(headerCallID, c.ID)
			defer func() {
				if recover() == http.ErrAbortHandler { // the answer ended early
					a = &answer{status: http.StatusBadGateway, header: make(http.Header)}
				}
			}()
			q.options.Handler.ServeHTTP(a, r)
		}
	}
	if err != nil {
		q.log.Error("an asynchronous call is no request", "function", c.Function, "request_id", c.ID, "error", err.Error())
		a.status = http.StatusBadRequest
	}
	if a.status == 0 {
		a.status = http.StatusOK
	}
	if a.cut {
		return &answer{status: http.StatusBadGateway, header: make(http.Header)}
	}
	return a
}

// callBack sends an answer to where the caller wants it.
func (q *Queue) callBack(ctx context.Context, c call, a *answer, took time.Duration) (err error) {
	for try := range callbackTries {
		if try > 0 {
			select {
			case <-ctx.Done():
				return context.Cause(ctx)
			case <-time.After(callbackPause << (try - 1)):
			}
		}
		if err = q.callBackOnce(ctx, c, a, took); err == nil {
			return nil
		}
	}
	return err
}

func (q *Queue) callBackOnce(ctx context.Context, c call, a *answer, took time.Duration) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.CallbackURL, bytes.NewReader(a.body.Bytes()))
	if err != nil {
		return err
	}
	for name, values := range a.header {
		switch name {
		case "Connection", "Content-Length", "Transfer-Encoding", "Keep-Alive", "Upgrade":
		default:
			r.Header[name] = values
		}
	}
	r.Header.Set(headerCallID, c.ID)
	r.Header.Set("X-Function-Name", c.Function)
	r.Header.Set("X-Function-Status", strconv.Itoa(a.status))
	if r.Header.Get("X-Duration-Seconds") == "" {
		r.Header.Set("X-Duration-Seconds", strconv.FormatFloat(took.Seconds(), 'f', 6, 64))
	}
	resp, err := q.options.Client.Do(r)
	if err != nil {
		return err
	}
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 1<<16))
	_ = resp.Body.Close()
	if resp.StatusCode/100 == 5 || resp.StatusCode == http.StatusTooManyRequests {
		return fmt.Errorf("the callback was answered %d", resp.StatusCode)
	}
	return nil
}
