package wrap

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/chiron-faas/chiron/host"
	"github.com/chiron-faas/chiron/internal/memfile"
)

// holdings are the values of one request that lie in shared memory. Slices of
// them go through the walk like any other; where one is a task's input as it
// came, the task gets the memory itself (find). They are held until the last
// goroutine of the request that may look at them has left.
type holdings struct {
	mu    sync.Mutex
	users int
	files []*memfile.File
}

// enter adds a goroutine of the request, from one that is inside.
func (h *holdings) enter() {
	h.mu.Lock()
	h.users++
	h.mu.Unlock()
}

// leave ends what enter began; with the last one the memory is let go.
func (h *holdings) leave() {
	h.mu.Lock()
	h.users--
	var files []*memfile.File
	if h.users == 0 {
		files, h.files = h.files, nil
	}
	h.mu.Unlock()
	for _, f := range files {
		f.Release()
	}
}

// own takes over a hold until the request ends.
func (h *holdings) own(f *memfile.File) {
	if f == nil {
		return
	}
	h.mu.Lock()
	h.files = append(h.files, f)
	h.mu.Unlock()
}

// find returns the memory that begins with b; nil: it is on the heap, or inside
// of some.
func (h *holdings) find(b []byte) *memfile.File {
	if len(b) <= host.DefaultShareOver {
		return nil
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, f := range h.files {
		if f.Holds(b) {
			return f
		}
	}
	return nil
}

// share returns b where several processes can be given it without a copy each:
// in shared memory, or as it is where it is small or there is none.
func (a *Agent) share(h *holdings, b []byte) []byte {
	if len(b) <= host.DefaultShareOver || h.find(b) != nil {
		return b
	}
	f, err := a.memory.Copy(b)
	if err != nil {
		return b
	}
	shared, err := f.Bytes(len(b))
	if err != nil {
		f.Release()
		return b
	}
	h.own(f)
	return shared
}

// readShared reads a body of n bytes into shared memory, or on the heap where
// there is none.
func (a *Agent) readShared(h *holdings, r io.Reader, n int) ([]byte, error) {
	f, err := a.memory.Get(n)
	if err != nil {
		b := make([]byte, n)
		_, err = io.ReadFull(r, b)
		return b, err
	}
	h.own(f)
	body, err := f.Bytes(n)
	if err != nil {
		return nil, err
	}
	got, err := f.Fill(r, 0, n)
	if errors.Is(err, memfile.ErrShort) {
		b := make([]byte, n)
		copy(b, body[:got])
		_, err = io.ReadFull(r, b[got:])
		return b, err
	}
	return body, err
}

const (
	// answerPatience is how long a caller may take for answerPart of its answer:
	// one that stops reading does not hold its place for ever.
	answerPatience = 30 * time.Second
	answerPart     = 256 << 10
)

// writeBody writes an answer to a caller that keeps reading.
func (a *Agent) writeBody(w http.ResponseWriter, body []byte) error {
	if len(body) <= answerPart/16 { // the socket takes it whole
		_, err := w.Write(body)
		return err
	}
	control := http.NewResponseController(w)
	defer func() { _ = control.SetWriteDeadline(time.Time{}) }()
	for len(body) > 0 {
		part := body[:min(len(body), answerPart)]
		_ = control.SetWriteDeadline(time.Now().Add(a.options.answerPatience)) // not supported: not a connection
		if _, err := w.Write(part); err != nil {
			return fmt.Errorf("the caller did not take its answer: %w", err)
		}
		body = body[len(part):]
	}
	return nil
}

// passConn is a connection between wraps on one machine, over which shared
// memory goes beside the bytes (SCM_RIGHTS).
type passConn struct {
	*net.UnixConn
	receiver memfile.Receiver

	mu   sync.Mutex
	next *memfile.File // goes with the next write; held
}

// passKey is the key of a request's passConn in its context.
type passKey struct{}

// passConnOf returns the connection that a request came over; nil: it is of
// another kind, or several requests are on it at once.
func passConnOf(req *http.Request) *passConn {
	if req.ProtoMajor != 1 {
		return nil
	}
	c, _ := req.Context().Value(passKey{}).(*passConn)
	return c
}

func newPassConn(c *net.UnixConn) (*passConn, error) {
	p := &passConn{UnixConn: c}
	if err := p.receiver.Attach(c); err != nil {
		return nil, err
	}
	return p, nil
}

func (c *passConn) Read(b []byte) (int, error) { return c.receiver.Read(b) }

// pass has f go with the next bytes that are written. The other wrap does not say
// when it has read it, so that it is not written again.
func (c *passConn) pass(f *memfile.File) {
	f.Hold()
	f.GiveAway()
	c.mu.Lock()
	before := c.next
	c.next = f
	c.mu.Unlock()
	if before != nil {
		before.Release()
	}
}

func (c *passConn) takeNext() *memfile.File {
	c.mu.Lock()
	defer c.mu.Unlock()
	f := c.next
	c.next = nil
	return f
}

func (c *passConn) Write(b []byte) (int, error) {
	f := c.takeNext()
	if f == nil || len(b) == 0 {
		return c.UnixConn.Write(b)
	}
	defer f.Release()
	raw, err := c.SyscallConn()
	if err != nil {
		return 0, err
	}
	n, err := memfile.Send(raw, b, f)
	if err != nil || n == len(b) {
		return n, err
	}
	m, err := c.UnixConn.Write(b[n:])
	return n + m, err
}

func (c *passConn) Close() error {
	if f := c.takeNext(); f != nil {
		f.Release()
	}
	err := c.UnixConn.Close()
	c.receiver.Close()
	return err
}

// take adopts the memory that came, of which a message says that it holds size
// bytes.
func (c *passConn) take(size, limit int) (*memfile.File, error) {
	fd := c.receiver.Take()
	if fd < 0 {
		return nil, errors.New("a message says that shared memory is beside it, and there is none")
	}
	return memfile.Adopt(fd, size, limit)
}

// passListener accepts connections over which memory can be passed.
type passListener struct{ *net.UnixListener }

func (l passListener) Accept() (net.Conn, error) {
	c, err := l.AcceptUnix()
	if err != nil {
		return nil, err
	}
	p, err := newPassConn(c)
	if err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return p, nil
}
