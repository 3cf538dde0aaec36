package wrap

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/chiron-faas/chiron/internal/keptconn"
	"github.com/chiron-faas/chiron/internal/memfile"
)

const (
	// peerWait bounds how long a request waits for a peer that nobody can reach:
	// long enough for its supervisor to start it again.
	peerWait  = 2 * time.Second
	peerPause = 20 * time.Millisecond
	// maxIdle is the most unused connections kept to one peer.
	maxIdle = 64
	// maxPeerReply is the largest response taken from a peer, bytes.
	maxPeerReply = 256 << 20
	// maxPeerShared is the same for one in shared memory, of which this process
	// takes only what it looks at.
	maxPeerShared = 1 << 30
)

// peer is another wrap of the plan. The agent writes the request itself instead
// of using http.Client: sending is then one write on the caller's goroutine,
// which is the paper's T_INV, and the answer is read where it is waited for.
type peer struct {
	name    string
	network string // "" where nobody told the address
	address string

	mu   sync.Mutex
	idle []*peerConn // guarded by mu; the last is the freshest
}

type peerConn struct {
	net.Conn
	reader *bufio.Reader
}

// exchange is a request sent to a peer, whose answer is yet to be read.
type exchange struct {
	peer *peer
	conn *peerConn
	ctx  context.Context
	head []byte
	body []byte
	// memory that the body is in, which goes instead of it; held by the request.
	memory *memfile.File
	sent   time.Time
	stop   func() bool
}

// send writes a request and returns without waiting for the answer. It fails
// only where the peer has not begun to work on it; that is tried again for
// peerWait, for a peer that is being restarted.
func (p *peer) send(ctx context.Context, head, body []byte, memory *memfile.File) (*exchange, error) {
	if p.network == "" {
		return nil, fmt.Errorf("wrap %q has no address: start this wrap with --peer %s=ADDRESS", p.name, p.name)
	}
	patience := time.Now().Add(peerWait)
	for {
		x, err := p.trySend(ctx, head, body, memory)
		if err == nil {
			return x, nil
		}
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if time.Now().After(patience) || !pause(ctx, peerPause) {
			return nil, fmt.Errorf("wrap %q cannot be reached: %w", p.name, err)
		}
	}
}

func (p *peer) trySend(ctx context.Context, head, body []byte, memory *memfile.File) (*exchange, error) {
	conn, err := p.conn(ctx)
	if err != nil {
		return nil, err
	}
	// A peer that stops reading must not hold the request beyond its end.
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	sent := time.Now()
	if memory != nil {
		conn.Conn.(*passConn).pass(memory) // only a Unix socket is given any
		_, err = conn.Write(head)
	} else {
		buffers := net.Buffers{head, body}
		_, err = buffers.WriteTo(conn.Conn)
	}
	if err != nil {
		stop()
		_ = conn.Close()
		// The peer reads the whole body before it works, and it has not got it.
		return nil, err
	}
	return &exchange{peer: p, conn: conn, ctx: ctx, head: head, body: body, memory: memory, sent: sent, stop: stop}, nil
}

// conn takes a kept connection that still lives, or dials.
func (p *peer) conn(ctx context.Context) (*peerConn, error) {
	for {
		p.mu.Lock()
		n := len(p.idle)
		if n == 0 {
			p.mu.Unlock()
			break
		}
		c := p.idle[n-1]
		p.idle[n-1] = nil
		p.idle = p.idle[:n-1]
		p.mu.Unlock()
		if c.alive() {
			return c, nil
		}
		_ = c.Close()
	}
	var d net.Dialer
	c, err := d.DialContext(ctx, p.network, p.address)
	if err != nil {
		return nil, err
	}
	if u, ok := c.(*net.UnixConn); ok {
		if c, err = newPassConn(u); err != nil {
			return nil, errors.Join(err, u.Close())
		}
	}
	return &peerConn{Conn: c, reader: bufio.NewReaderSize(c, 16<<10)}, nil
}

// alive looks for the end of a kept connection without reading from it: a peer
// that died or closed it has left an end of file there.
func (c *peerConn) alive() bool {
	if c.reader.Buffered() > 0 {
		return false
	}
	sc, ok := c.Conn.(syscall.Conn)
	return ok && keptconn.Alive(sc)
}

func (p *peer) keep(c *peerConn) {
	p.mu.Lock()
	if len(p.idle) < maxIdle {
		p.idle = append(p.idle, c)
		c = nil
	}
	p.mu.Unlock()
	if c != nil {
		_ = c.Close()
	}
}

func (p *peer) close() {
	p.mu.Lock()
	idle := p.idle
	p.idle = nil
	p.mu.Unlock()
	for _, c := range idle {
		_ = c.Close()
	}
}

// peerReply is a peer's answer, its body read.
type peerReply struct {
	status int
	header http.Header
	body   []byte
	memory *memfile.File // that the body is in; the receiver's to hold
	sent   time.Time
	took   time.Duration
}

// receive waits for the answer. Where the peer is known not to have begun (it
// died with the request unread, or was draining), the request is sent again.
func (x *exchange) receive() (*peerReply, error) {
	r, err := x.read()
	switch {
	case err != nil && x.ctx.Err() != nil:
		return nil, context.Cause(x.ctx)
	case err == nil && r.status != http.StatusServiceUnavailable:
		return r, nil
	case err != nil && !(x.peer.network == "unix" && errors.Is(err, syscall.ECONNRESET)):
		return nil, fmt.Errorf("wrap %q died or closed the connection before it answered: %w", x.peer.name, err)
	}
	// A Unix socket is reset only if its end closed with bytes unread
	// (net/unix/af_unix.c, unix_release_sock), and the agent reads all of a
	// request before it works on it.
	x, err = x.peer.send(x.ctx, x.head, x.body, x.memory)
	if err != nil {
		return nil, err
	}
	if r, err = x.read(); err != nil {
		return nil, fmt.Errorf("wrap %q died or closed the connection before it answered: %w", x.peer.name, err)
	}
	return r, nil
}

func (x *exchange) read() (*peerReply, error) {
	r, reusable, err := x.readResponse()
	// stop is false where the connection's deadline was, or is being, set.
	if x.stop() && err == nil && reusable {
		x.peer.keep(x.conn)
	} else {
		_ = x.conn.Close()
	}
	return r, err
}

func (x *exchange) readResponse() (r *peerReply, reusable bool, err error) {
	resp, err := http.ReadResponse(x.conn.reader, nil)
	if err != nil {
		return nil, false, err
	}
	defer func() { _ = resp.Body.Close() }()
	r = &peerReply{status: resp.StatusCode, header: resp.Header, sent: x.sent}
	switch n := resp.ContentLength; {
	case resp.Header.Get(headerShared) != "":
		err = x.takeShared(r)
	case n > maxPeerReply:
		return nil, false, fmt.Errorf("its answer has %d bytes, the limit is %d", n, maxPeerReply)
	case n >= 0:
		r.body = make([]byte, n)
		_, err = io.ReadFull(resp.Body, r.body)
	default:
		if r.body, err = io.ReadAll(io.LimitReader(resp.Body, maxPeerReply+1)); err == nil && len(r.body) > maxPeerReply {
			err = fmt.Errorf("its answer is over the limit of %d bytes", maxPeerReply)
		}
	}
	r.took = time.Since(x.sent)
	return r, !resp.Close && err == nil, err
}

// takeShared takes the shared memory that an answer's body is in.
func (x *exchange) takeShared(r *peerReply) error {
	field := r.header.Get(headerShared)
	size, err := strconv.Atoi(field)
	if err != nil {
		return fmt.Errorf("%s: %q is no length", headerShared, field)
	}
	conn, ok := x.conn.Conn.(*passConn)
	if !ok {
		return fmt.Errorf("%s came over a connection that passes no memory", headerShared)
	}
	if r.memory, err = conn.take(size, maxPeerShared); err != nil {
		return err
	}
	if r.body, err = r.memory.Bytes(size); err != nil {
		r.memory.Release()
		r.memory = nil
	}
	return err
}

// head is the start line and headers of an internal request whose body has
// length bytes, the first execution of which are a workflow.Execution.
func (p *peer) head(r *request, query string, length, execution int, shared bool) []byte {
	h := make([]byte, 0, 256+len(query))
	h = append(h, "POST /_/stage?"...)
	h = append(h, query...)
	h = append(h, " HTTP/1.1\r\nHost: "...)
	h = append(h, p.name...)
	if shared {
		h = append(h, "\r\nContent-Length: 0\r\n"+headerShared+": "...)
	} else {
		h = append(h, "\r\nContent-Length: "...)
	}
	h = strconv.AppendInt(h, int64(length), 10)
	if p.network == "unix" {
		h = append(h, "\r\n"+headerTakesShared+": 1"...)
	}
	h = append(h, "\r\n"+headerCallID+": "...)
	h = append(h, r.id...)
	if !r.deadline.IsZero() {
		// What is left and not when: two machines' clocks differ.
		h = append(h, "\r\n"+headerTimeout+": "...)
		h = append(h, max(time.Until(r.deadline), time.Microsecond).String()...)
	}
	if execution > 0 {
		h = append(h, "\r\n"+headerExecution+": "...)
		h = strconv.AppendInt(h, int64(execution), 10)
	}
	if r.trace != nil {
		h = append(h, "\r\n"+HeaderTrace+": 1"...)
	}
	return append(h, "\r\n\r\n"...)
}
