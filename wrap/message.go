package wrap

import (
	"bytes"
	"context"
	"net/http"
	"strconv"
	"time"
)

// message is an internal request, without its body: see stage.go.
type message struct {
	query string
	id    string
	// length of the body, the first execution bytes of which are a
	// workflow.Execution.
	length, execution int
	// deadline of the whole request; zero: none.
	deadline time.Time
	trace    bool
	// shared: the body goes beside the message; takesShared: so may the answer's.
	shared, takesShared bool
}

func (p *peer) message(r *request, query string, length, execution int, shared bool) message {
	return message{
		query: query, id: r.id, length: length, execution: execution, deadline: r.deadline, trace: r.trace != nil,
		shared: shared, takesShared: p.network == "unix",
	}
}

// timeout is what is left of the request's time, and not when that ends: two
// machines' clocks differ.
func (m *message) timeout() string {
	return max(time.Until(m.deadline), time.Microsecond).String()
}

// head is the message in HTTP/1.1, up to its body; prefix is the path that comes
// before the wrap's own.
func (m *message) head(host, prefix string) []byte {
	h := make([]byte, 0, 256+len(m.query))
	h = append(h, "POST "...)
	h = append(h, prefix...)
	h = append(h, "/_/stage?"...)
	h = append(h, m.query...)
	h = append(h, " HTTP/1.1\r\nHost: "...)
	h = append(h, host...)
	if m.shared {
		h = append(h, "\r\nContent-Length: 0\r\n"+headerShared+": "...)
	} else {
		h = append(h, "\r\nContent-Length: "...)
	}
	h = strconv.AppendInt(h, int64(m.length), 10)
	if m.takesShared {
		h = append(h, "\r\n"+headerTakesShared+": 1"...)
	}
	h = append(h, "\r\n"+headerCallID+": "...)
	h = append(h, m.id...)
	if !m.deadline.IsZero() {
		h = append(h, "\r\n"+headerTimeout+": "...)
		h = append(h, m.timeout()...)
	}
	if m.execution > 0 {
		h = append(h, "\r\n"+headerExecution+": "...)
		h = strconv.AppendInt(h, int64(m.execution), 10)
	}
	if m.trace {
		h = append(h, "\r\n"+HeaderTrace+": 1"...)
	}
	return append(h, "\r\n\r\n"...)
}

// request is the message for an http.RoundTripper.
func (m *message) request(ctx context.Context, host string, body []byte) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+host+"/_/stage?"+m.query, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header = http.Header{headerCallID: {m.id}}
	if !m.deadline.IsZero() {
		req.Header[headerTimeout] = []string{m.timeout()}
	}
	if m.execution > 0 {
		req.Header[headerExecution] = []string{strconv.Itoa(m.execution)}
	}
	if m.trace {
		req.Header[HeaderTrace] = []string{"1"}
	}
	return req, nil
}
