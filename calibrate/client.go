package calibrate

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"golang.org/x/sys/unix"
)

// client sends workflow requests to a wrap, one at a time on one connection.
// It writes HTTP itself, so that as little as may be of its own time is
// measured.
type client struct {
	conn   net.Conn
	reader *bufio.Reader
}

// reply is the answer to one request. Instants are nanoseconds of
// CLOCK_MONOTONIC, which all processes of the machine share.
type reply struct {
	sent, received int64
	// stamps are the begin and the end of each function of the last stage, as
	// it saw them, in the order of the branches.
	stamps []stamp
	// runs are the handlers' times of a request that asked for its trace.
	runs []time.Duration
}

type stamp [2]int64

func (r *reply) latency() time.Duration { return time.Duration(r.received - r.sent) }

// lastStart is when the last function of the last stage began, after the
// request was sent.
func (r *reply) lastStart() time.Duration {
	last := r.stamps[0][0]
	for _, s := range r.stamps[1:] {
		last = max(last, s[0])
	}
	return time.Duration(last - r.sent)
}

// tail is the time from the end of the last function to the answer.
func (r *reply) tail() time.Duration {
	last := r.stamps[0][1]
	for _, s := range r.stamps[1:] {
		last = max(last, s[1])
	}
	return time.Duration(r.received - last)
}

// requestPatience bounds one request; none of the workflows takes a tenth.
const requestPatience = 10 * time.Second

// maxReply bounds an answer, bytes.
const maxReply = 1 << 20

func dial(ctx context.Context, socket string) (*client, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", socket)
	if err != nil {
		return nil, err
	}
	return &client{conn: conn, reader: bufio.NewReader(conn)}, nil
}

func (c *client) close() { _ = c.conn.Close() }

const (
	plainRequest  = "POST / HTTP/1.1\r\nHost: wrap\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
	tracedRequest = "POST / HTTP/1.1\r\nHost: wrap\r\nChiron-Trace: 1\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
	readyRequest  = "GET /_/ready HTTP/1.1\r\nHost: wrap\r\n\r\n"
)

// invoke runs the workflow once.
func (c *client) invoke(ctx context.Context, traced bool) (*reply, error) {
	request := plainRequest
	if traced {
		request = tracedRequest
	}
	a, err := c.do(ctx, request)
	if err != nil {
		return nil, err
	}
	if a.status != http.StatusOK {
		return nil, fmt.Errorf("a wrap answered with status %d: %.300s", a.status, a.body)
	}
	r := &reply{sent: a.sent, received: a.received}
	if err := json.Unmarshal(a.body, &r.stamps); err != nil {
		var one stamp // of a workflow that ends with a Task
		if json.Unmarshal(a.body, &one) != nil {
			return nil, fmt.Errorf("a wrap answered what no function returned: %.100q: %w", a.body, err)
		}
		r.stamps = []stamp{one}
	}
	if len(r.stamps) == 0 {
		return nil, fmt.Errorf("a wrap answered without a function's result: %.100q", a.body)
	}
	if !traced {
		return r, nil
	}
	var spans []struct {
		RunUS int64 `json:"run_us"`
	}
	if err := json.Unmarshal([]byte(a.header.Get("Chiron-Trace")), &spans); err != nil {
		return nil, fmt.Errorf("the trace of a request: %w", err)
	}
	if len(spans) == 0 {
		return nil, errors.New("the trace of a request is empty")
	}
	for _, s := range spans {
		r.runs = append(r.runs, time.Duration(s.RunUS)*time.Microsecond)
	}
	return r, nil
}

// ready asks whether the wrap takes requests.
func (c *client) ready(ctx context.Context) bool {
	a, err := c.do(ctx, readyRequest)
	return err == nil && a.status == http.StatusOK
}

// answer is an HTTP response.
type answer struct {
	status         int
	header         http.Header
	body           []byte
	sent, received int64
}

func (c *client) do(ctx context.Context, request string) (*answer, error) {
	deadline := time.Now().Add(requestPatience)
	if d, ok := ctx.Deadline(); ok && d.Before(deadline) {
		deadline = d
	}
	if err := c.conn.SetDeadline(deadline); err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = c.conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	sent := monotonic()
	if _, err := io.WriteString(c.conn, request); err != nil {
		return nil, c.because(ctx, err)
	}
	resp, err := http.ReadResponse(c.reader, nil)
	if err != nil {
		return nil, c.because(ctx, err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxReply))
	if err != nil {
		return nil, c.because(ctx, err)
	}
	return &answer{status: resp.StatusCode, header: resp.Header, body: body, sent: sent, received: monotonic()}, nil
}

func (c *client) because(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return fmt.Errorf("a request to a wrap: %w", err)
}

// monotonic reads CLOCK_MONOTONIC, which is time.perf_counter_ns of CPython on
// Linux (Python/pytime.c), so that the functions' stamps and ours compare.
func monotonic() int64 {
	var t unix.Timespec
	// It fails for an unknown clock only.
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &t)
	return t.Nano()
}
