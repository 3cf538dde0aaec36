package hop

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"sync"
	"syscall"
	"time"
)

// Options of a Client. The zero value of every field but Network and Address is
// usable.
type Options struct {
	// Network and Address as net.Dial takes them: "unix", "/run/wrap-1.sock" or
	// "tcp", "127.0.0.1:8081".
	Network, Address string
	// Dial connects instead; nil: net.Dial. Network and Address are for messages
	// then.
	Dial func(context.Context) (net.Conn, error)
	// MaxIdle connections are kept; 0 means DefaultMaxIdle.
	MaxIdle int
	// RestartWait is how long after its first failed connection a backend is
	// taken to be restarting: until then a request waits and tries again, later
	// it fails at once. 0 means DefaultRestartWait, negative means none.
	RestartWait time.Duration
}

// Defaults of Options.
const (
	DefaultMaxIdle     = 256
	DefaultRestartWait = 5 * time.Second
)

// Pauses between the attempts to reach a backend that is restarting.
const (
	firstPause = 2 * time.Millisecond
	maxPause   = 50 * time.Millisecond
	// dialTimeout of one attempt: all backends are on this machine or near it.
	dialTimeout = 2 * time.Second
)

// Client speaks to one backend. It is safe for concurrent use; each request in
// flight has a connection of its own.
type Client struct {
	options Options

	mu     sync.Mutex
	idle   []*conn // the warmest last; guarded by mu
	closed bool    // guarded by mu
	// downSince is the first failed connection after the last good one; zero
	// while the backend is up. Guarded by mu.
	downSince time.Time
}

// NewClient makes a Client. It connects when the first request needs it.
func NewClient(o Options) *Client {
	if o.MaxIdle <= 0 {
		o.MaxIdle = DefaultMaxIdle
	}
	if o.RestartWait == 0 {
		o.RestartWait = DefaultRestartWait
	}
	if o.Dial == nil {
		d := &net.Dialer{Timeout: dialTimeout}
		o.Dial = func(ctx context.Context) (net.Conn, error) { return d.DialContext(ctx, o.Network, o.Address) }
	}
	return &Client{options: o}
}

// Address is the backend's, for messages.
func (c *Client) Address() string { return c.options.Network + "://" + c.options.Address }

// Close ends the idle connections; those in use end with their request, and no
// new request is taken.
func (c *Client) Close() {
	c.mu.Lock()
	idle := c.idle
	c.idle, c.closed = nil, true
	c.mu.Unlock()
	for _, cn := range idle {
		cn.close()
	}
}

// Do sends the request and reads the head of its answer. The answer must be
// closed. Its errors:
//
//   - context.Canceled or the context's cause: the caller left;
//   - os.ErrDeadlineExceeded: the deadline passed (the zero deadline is none);
//   - ErrNotSent: the backend was not reached, even after waiting for its
//     restart, and has seen nothing of the request;
//   - ErrBroken, ErrProtocol: the request went out and no answer came back.
//
// A kept connection that turns out to be dead is replaced where no byte of the
// request can have been seen.
func (c *Client) Do(ctx context.Context, deadline time.Time, r *Request) (*Response, error) {
	for {
		cn, err := c.conn(ctx, deadline, r.NoWait)
		if err != nil {
			return nil, err
		}
		resp, err := cn.do(ctx, deadline, r)
		if err == nil {
			return resp, nil
		}
		cn.finish(false)
		if cn.used > 0 && errors.Is(err, ErrNotSent) {
			continue // each turn uses up an idle connection, so this ends
		}
		return nil, err
	}
}

// conn returns an idle connection or makes one.
func (c *Client) conn(ctx context.Context, deadline time.Time, noWait bool) (*conn, error) {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return nil, fmt.Errorf("%w: %w", ErrNotSent, ErrClosed)
	}
	for n := len(c.idle); n > 0; n = len(c.idle) {
		cn := c.idle[n-1]
		c.idle[n-1] = nil
		c.idle = c.idle[:n-1]
		if cn.unix || cn.alive() {
			c.mu.Unlock()
			return cn, nil
		}
		cn.close()
	}
	c.mu.Unlock()
	return c.connect(ctx, deadline, noWait)
}

// connect dials until it succeeds, or the backend has been down for longer than
// a restart takes, or is down at all where noWait is set.
func (c *Client) connect(ctx context.Context, deadline time.Time, noWait bool) (*conn, error) {
	dialCtx := ctx
	if !deadline.IsZero() {
		var cancel context.CancelFunc
		dialCtx, cancel = context.WithDeadline(ctx, deadline)
		defer cancel()
	}
	for pause := firstPause; ; pause = min(2*pause, maxPause) {
		nc, err := c.options.Dial(dialCtx)
		if err == nil {
			c.mu.Lock()
			c.downSince = time.Time{}
			c.mu.Unlock()
			return newConn(c, nc), nil
		}
		if e := ended(ctx, dialCtx); e != nil {
			return nil, e
		}
		if !transient(err) {
			return nil, fmt.Errorf("%w: connect to %s: %w", ErrNotSent, c.Address(), err)
		}
		// A full backlog is a busy backend, not a dead one.
		busy := errors.Is(err, syscall.EAGAIN)
		if !busy && (!c.restarting() || noWait) {
			return nil, fmt.Errorf("%w: connect to %s: %w", ErrNotSent, c.Address(), err)
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-dialCtx.Done():
			timer.Stop()
			return nil, ended(ctx, dialCtx)
		}
	}
}

// ended tells the caller's leaving from the deadline's passing; nil for neither.
func ended(ctx, dialCtx context.Context) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if dialCtx.Err() != nil {
		return os.ErrDeadlineExceeded
	}
	return nil
}

// restarting notes a failed connection and says whether to wait for another.
func (c *Client) restarting() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	if c.downSince.IsZero() {
		c.downSince = now
	}
	return !c.closed && now.Sub(c.downSince) < c.options.RestartWait
}

// transient errors go by when the backend is back.
func transient(err error) bool {
	return errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.ENOENT) ||
		errors.Is(err, syscall.EAGAIN) || errors.Is(err, syscall.ECONNRESET)
}

// idempotent methods may be sent again when a kept connection breaks before
// any answer (RFC 9110 section 9.2.2). GET of a function may do anything, but
// its caller has said by the method that it does not matter.
func idempotent(method string) bool {
	return method == http.MethodGet || method == http.MethodHead || method == http.MethodOptions
}
