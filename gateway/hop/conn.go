package hop

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"time"

	"github.com/chiron-faas/chiron/internal/keptconn"
)

const (
	// readBuffer of a connection, bytes: a usual answer fits, and MaxIdle of
	// them are little memory.
	readBuffer = 8 << 10
	// maxKeptHead: a connection keeps its write buffer up to this, bytes.
	maxKeptHead = 64 << 10
)

// conn is one connection. One request at a time uses it.
type conn struct {
	client *Client
	net    net.Conn
	unix   bool
	r      *bufio.Reader
	w      []byte // write buffer, reused
	used   int    // answers read whole
	// deadlined says that a deadline is set on net.
	deadlined bool
	resp      Response
	// stop ends the watch of the caller's context; it returns false where the
	// context ended first.
	stop func() bool
	ctx  context.Context // of the request in flight
}

func newConn(c *Client, nc net.Conn) *conn {
	_, unix := nc.(*net.UnixConn)
	return &conn{client: c, net: nc, unix: unix, r: bufio.NewReaderSize(nc, readBuffer), w: make([]byte, 0, 2<<10)}
}

// longAgo is a deadline that ends what waits on a connection.
var longAgo = time.Unix(1, 0)

func (cn *conn) do(ctx context.Context, deadline time.Time, r *Request) (*Response, error) {
	head, err := appendHead(cn.w[:0], r)
	if cap(head) <= maxKeptHead {
		cn.w = head[:0]
	}
	if err != nil {
		return nil, err
	}
	if !deadline.IsZero() || cn.deadlined {
		if err := cn.net.SetDeadline(deadline); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrNotSent, err)
		}
		cn.deadlined = !deadline.IsZero()
	}
	cn.ctx = ctx
	if ctx.Done() != nil {
		cn.stop = context.AfterFunc(ctx, func() { _ = cn.net.SetDeadline(longAgo) })
	}
	if err := cn.send(head, r); err != nil {
		return nil, err
	}
	p := &cn.resp
	*p = Response{r: cn.r, release: cn.finish, fault: cn.fault}
	if err := p.readHead(r.Method); err != nil {
		if errors.Is(err, ErrProtocol) {
			return nil, err
		}
		// Nothing of an answer on a kept connection: a tcp backend may have
		// closed it while the request was on its way.
		if err == io.EOF && cn.used > 0 && idempotent(r.Method) {
			return nil, fmt.Errorf("%w: %w", ErrNotSent, err)
		}
		return nil, cn.fault(err)
	}
	return p, nil
}

// send writes the request.
func (cn *conn) send(head []byte, r *Request) error {
	whole := append(head, r.Body...)
	if cap(whole) <= maxKeptHead {
		cn.w = whole[:0]
	}
	return cn.write(whole)
}

// write sends b. When nothing of b went out, the backend has seen nothing: a Unix
// socket whose other end is closed takes no byte at all.
func (cn *conn) write(b []byte) error {
	n, err := cn.net.Write(b)
	if err == nil {
		return nil
	}
	if n == 0 && (errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET)) {
		return fmt.Errorf("%w: %w", ErrNotSent, err)
	}
	return cn.fault(err)
}

// fault says what an error of the connection means.
func (cn *conn) fault(err error) error {
	if cn.ctx != nil && cn.ctx.Err() != nil {
		return context.Cause(cn.ctx)
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return os.ErrDeadlineExceeded
	}
	return fmt.Errorf("%w: %w", ErrBroken, err)
}

// finish ends the request's use of the connection and keeps it if it may.
func (cn *conn) finish(reusable bool) {
	if cn.stop != nil {
		if !cn.stop() {
			// The watch may be setting a deadline right now.
			reusable = false
		}
		cn.stop = nil
	}
	cn.ctx = nil
	c := cn.client
	c.mu.Lock()
	if reusable && !c.closed && len(c.idle) < c.options.MaxIdle {
		cn.used++
		c.idle = append(c.idle, cn)
		c.mu.Unlock()
		return
	}
	c.mu.Unlock()
	cn.close()
}

func (cn *conn) close() { _ = cn.net.Close() } // nothing is pending on it

// alive looks, without waiting, whether a kept TCP connection was closed or has
// bytes that nobody asked for.
func (cn *conn) alive() bool {
	sc, ok := cn.net.(syscall.Conn)
	return !ok || keptconn.Alive(sc)
}
