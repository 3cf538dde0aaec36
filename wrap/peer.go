package wrap

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
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
	// maxKept is how long a connection to another machine is kept unused. It is
	// less than what gateways and balancers wait (60 s and more), so that one is
	// not written to in the moment in which the other end closes it.
	maxKept = 15 * time.Second
)

// peer is another wrap of the plan. On one machine the agent writes the request
// itself instead of using http.Client: sending is then one write on the caller's
// goroutine, which is the paper's T_INV, and the answer is read where it is waited
// for.
type peer struct {
	name    string
	network string // "" where nobody told the address
	address string
	// host and prefix are those of the URL where the wrap is behind a gateway:
	// what the Host header says, and the path that comes before the wrap's own.
	host, prefix string

	// transport of a peer on another machine, which is spoken to in HTTP/2 (stream.go);
	// nil: HTTP/1.1, on connections of our own.
	transport *http.Transport
	streams   sync.WaitGroup

	overheads overheads

	mu   sync.Mutex
	idle []*peerConn // guarded by mu; the last is the freshest
}

// locate reads the peer's address: that of the wrap itself, or the URL of its
// place behind a gateway. http1 says that it is not to be spoken to in HTTP/2, which
// is what gateways pass on.
func (p *peer) locate(address string) (http1 bool, err error) {
	if !strings.HasPrefix(address, "http://") {
		p.network, p.address, http1, err = parsePeerAddress(address)
		return http1, err
	}
	u, err := url.Parse(address)
	if err != nil || u.Hostname() == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return false, fmt.Errorf("address %q is no URL of a wrap: write http://HOST:PORT/PATH", address)
	}
	port := u.Port()
	if port == "" {
		port = "80"
	}
	p.network, p.address, p.host = "tcp", net.JoinHostPort(u.Hostname(), port), u.Host
	p.prefix = strings.TrimRight(u.EscapedPath(), "/")
	return true, nil
}

type peerConn struct {
	net.Conn
	reader *bufio.Reader
	// used is when it was kept last.
	used time.Time
}

// exchange is a request sent to a peer, whose answer is yet to be read.
type exchange struct {
	peer *peer
	conn *peerConn
	ctx  context.Context
	message
	body []byte
	// memory that the body is in, which goes instead of it; held by the request.
	memory *memfile.File
	sent   time.Time
	stop   func() bool
	answer chan streamAnswer // of HTTP/2, which has no conn
}

// send writes a request and returns without waiting for the answer. It fails
// only where the peer has not begun to work on it; that is tried again for
// peerWait, for a peer that is being restarted.
func (p *peer) send(ctx context.Context, m message, body []byte, memory *memfile.File) (*exchange, error) {
	if p.network == "" {
		return nil, fmt.Errorf("wrap %q has no address: start this wrap with --peer %s=ADDRESS", p.name, p.name)
	}
	if p.transport != nil {
		return p.stream(ctx, m, body), nil
	}
	patience := time.Now().Add(peerWait)
	for {
		x, err := p.trySend(ctx, m, body, memory)
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

func (p *peer) trySend(ctx context.Context, m message, body []byte, memory *memfile.File) (*exchange, error) {
	conn, err := p.conn(ctx)
	if err != nil {
		return nil, err
	}
	// A peer that stops reading must not hold the request beyond its end.
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	sent := time.Now()
	head := m.head(cmp.Or(p.host, p.name), p.prefix)
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
	return &exchange{peer: p, conn: conn, ctx: ctx, message: m, body: body, memory: memory, sent: sent, stop: stop}, nil
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
		if (p.network == "unix" || time.Since(c.used) < maxKept) && c.alive() {
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
	if p.network != "unix" { // a local one costs no look at the clock
		c.used = time.Now()
	}
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
	p.streams.Wait() // requests have ended, and theirs with them
	if p.transport != nil {
		p.transport.CloseIdleConnections()
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
	switch {
	case x.answer != nil:
		return x.receiveStream()
	case x.peer.host != "":
		return x.receiveThrough()
	}
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
	x, err = x.peer.send(x.ctx, x.message, x.body, x.memory)
	if err != nil {
		return nil, err
	}
	if r, err = x.read(); err != nil {
		return nil, fmt.Errorf("wrap %q died or closed the connection before it answered: %w", x.peer.name, err)
	}
	return r, nil
}

// receiveThrough waits for the answer of a peer that a URL leads to. 503 says that
// no wrap has begun (the gateway has none, or the wrap was draining), 429 that the
// request has not left the gateway's queue: both are sent again for peerWait. Of
// every other failure (500 "can't reach", 502, 504, a connection that broke)
// nobody can say whether the wrap has begun, so it is the request's.
func (x *exchange) receiveThrough() (*peerReply, error) {
	for patience := time.Now().Add(peerWait); ; {
		r, err := x.read()
		switch {
		case err != nil && x.ctx.Err() != nil:
			return nil, context.Cause(x.ctx)
		case err != nil:
			return nil, fmt.Errorf("wrap %q: the gateway died or closed the connection before it answered: %w", x.peer.name, err)
		case r.status != http.StatusServiceUnavailable && r.status != http.StatusTooManyRequests:
			return r, nil
		case time.Now().After(patience) || !pause(x.ctx, peerPause):
			return r, nil
		}
		if x, err = x.peer.send(x.ctx, x.message, x.body, x.memory); err != nil {
			return nil, err
		}
	}
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
	if resp.Header.Get(headerShared) != "" {
		err = x.takeShared(r)
	} else {
		r.body, err = readReply(resp)
	}
	r.took = time.Since(x.sent)
	return r, !resp.Close && err == nil, err
}

// readReply reads the body of an answer.
func readReply(resp *http.Response) ([]byte, error) {
	n := resp.ContentLength
	if n > maxPeerReply {
		return nil, fmt.Errorf("its answer has %d bytes, the limit is %d", n, maxPeerReply)
	}
	if n >= 0 {
		body := make([]byte, n)
		_, err := io.ReadFull(resp.Body, body)
		return body, err
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxPeerReply+1))
	if err == nil && len(body) > maxPeerReply {
		err = fmt.Errorf("its answer is over the limit of %d bytes", maxPeerReply)
	}
	return body, err
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
