package load

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"
)

// Conn is one kept connection to a Target, for one caller at a time.
type Conn struct {
	conn     net.Conn
	r        *bufio.Reader
	request  []byte
	traced   []byte // the request that asks for a trace
	body     []byte // of the last answer
	maxBytes int
}

// Answer is what a request was answered; the next on its connection overwrites it.
type Answer struct {
	Body []byte
	// Trace is the header Chiron-Trace, where it was asked for.
	Trace string
}

// RefusedError is an answer that is not 200.
type RefusedError struct {
	Status int
	// Text is the begin of its body.
	Text string
}

func (e *RefusedError) Error() string { return fmt.Sprintf("answered %d %s", e.Status, e.Text) }

// maxBody bounds an answer, bytes.
const maxBody = 64 << 20

// Dial connects to a target.
func Dial(ctx context.Context, t Target) (*Conn, error) {
	var d net.Dialer
	c, err := d.DialContext(ctx, t.Network, t.Address)
	if err != nil {
		return nil, err
	}
	request := func(more string) []byte {
		head := fmt.Appendf(nil, "POST %s HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n%sContent-Length: %d\r\n\r\n", t.Path, more, len(t.Body))
		return append(head, t.Body...)
	}
	return &Conn{
		conn: c, r: bufio.NewReaderSize(c, 16<<10), maxBytes: maxBody,
		request: request(""), traced: request("Chiron-Trace: 1\r\n"),
	}, nil
}

// Post sends the request and reads its answer. What is not answered 200 is a
// *RefusedError; any other error is the end of the connection.
func (c *Conn) Post(ctx context.Context, traced bool) (Answer, error) {
	stop := context.AfterFunc(ctx, c.giveUp)
	a, err := c.post(traced)
	if !stop() && ctx.Err() != nil {
		return Answer{}, context.Cause(ctx)
	}
	return a, err
}

// Close ends the connection.
func (c *Conn) Close() error { return c.conn.Close() }

// giveUp fails whatever is under way.
func (c *Conn) giveUp() { _ = c.conn.SetDeadline(time.Unix(1, 0)) }

func (c *Conn) post(traced bool) (a Answer, err error) {
	request := c.request
	if traced {
		request = c.traced
	}
	if _, err := c.conn.Write(request); err != nil {
		return a, err
	}
	line, err := c.r.ReadSlice('\n')
	if err != nil {
		return a, err
	}
	version, rest, _ := strings.Cut(strings.TrimSpace(string(line)), " ")
	status, err := strconv.Atoi(rest[:min(3, len(rest))])
	if err != nil || version != "HTTP/1.1" {
		return a, fmt.Errorf("answered %.100q, which is no HTTP", line)
	}
	length := -1
	for {
		line, err := c.readLine()
		if err != nil {
			return a, err
		}
		if len(line) <= 2 {
			break
		}
		name, value, _ := strings.Cut(line, ":")
		switch {
		case strings.EqualFold(name, "Content-Length"):
			if length, err = strconv.Atoi(strings.TrimSpace(value)); err != nil {
				return a, fmt.Errorf("an answer's length: %w", err)
			}
		case traced && strings.EqualFold(name, "Chiron-Trace"):
			a.Trace = strings.TrimSpace(value)
		}
	}
	if length < 0 || length > c.maxBytes {
		return a, fmt.Errorf("an answer has no Content-Length, or one over %d bytes", c.maxBytes)
	}
	if cap(c.body) < length {
		c.body = make([]byte, length)
	}
	a.Body = c.body[:length]
	if _, err = io.ReadFull(c.r, a.Body); err != nil {
		return a, err
	}
	if status != 200 {
		return a, &RefusedError{status, fmt.Sprintf("%.300s", a.Body)}
	}
	return a, nil
}

// readLine reads a header's line, which may be longer than the buffer: a trace.
func (c *Conn) readLine() (string, error) {
	line, err := c.r.ReadSlice('\n')
	if err == nil {
		return string(line), nil
	}
	long := []byte{}
	for errors.Is(err, bufio.ErrBufferFull) {
		long = append(long, line...)
		if len(long) > c.maxBytes {
			return "", errors.New("an answer's header is too long")
		}
		line, err = c.r.ReadSlice('\n')
	}
	return string(append(long, line...)), err
}
