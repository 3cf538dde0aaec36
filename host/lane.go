package host

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/chiron-faas/chiron/internal/memfile"
)

// Sizes of a lane's own buffers, bytes; what is larger gets memory of its own.
const (
	readBuffer  = 16 << 10
	writeBuffer = 4 << 10
	// joinBody: a body up to this size is copied behind its header, so that
	// the host gets both with one system call.
	joinBody = 32 << 10
	// keepBuffer bounds what a lane keeps between calls.
	keepBuffer = 64 << 10
)

// Call is one call of a function.
type Call struct {
	Function string
	Body     []byte
	// RequestID is given to the handler and to its log lines; at most 1 KiB.
	RequestID string
	// Meta is what an event handler sees of the HTTP request; nil: a plain POST.
	Meta *Meta
	// Deadline of the call; zero: none but ctx's.
	Deadline time.Time
	// Memory is where Body lies, from its start, if in shared memory that the
	// caller holds: the function is given it without a copy. nil: Body is copied.
	Memory *memfile.File
	// KeepMemory has a large reply come as Reply.Memory.
	KeepMemory bool
	// Row are functions that the worker calls after Function, in the same thread,
	// each with what the one before returned, as if it had come as bytes: at most
	// MaxRow with Function. The last one's reply is the Call's. With it, Meta is nil.
	Row []Next
	// Bound is when the last function of Row must have ended; zero: no bound.
	Bound time.Time
	// Stop, once done, keeps functions of Row from beginning; nil: nothing does.
	Stop context.Context
}

// Meta is what a handler of KindEvent sees of the HTTP request.
type Meta struct {
	Method  string              `json:"method,omitempty"`
	Path    string              `json:"path,omitempty"`
	Query   map[string][]string `json:"query,omitempty"`
	Headers map[string]string   `json:"headers,omitempty"`
}

// Reply is what a handler returned.
type Reply struct {
	Body []byte
	// Memory is where Body lies if it came in shared memory, and then only of a
	// call with KeepMemory: it is held for the caller, whose Release ends Body.
	Memory  *memfile.File
	Content Content
	// Status and Headers as an event handler set them; 0 and nil otherwise.
	Status  int
	Headers [][2]string
	// Start is the time from Call's beginning to the function's: the wait for
	// a lane, for the process, and for its interpreter lock. Began is when that was.
	Start time.Duration
	Began time.Time
	// Run is the function's wall time, from decoding the body to encoding the
	// result; CPU is what its thread spent on a CPU meanwhile.
	Run time.Duration
	CPU time.Duration
	// Steps are the functions of a row before the one that Start, Run and CPU are
	// of; also beside an error, whose function is the one after them.
	Steps []Step
}

// lane is one socket to one thread of a worker: one call at a time.
type lane struct {
	worker *Worker
	file   *os.File
	out    []byte
	in     []byte // unread: in[r:w]
	r, w   int
	unsent []byte // of a call that was given up while it was being sent
	memory memory
	// steps of the row under way. draining: its caller has gone.
	begin    time.Time
	steps    []Step
	draining bool

	mu sync.Mutex
	// call counts calls, so that a cancellation that comes late does not hit
	// the next; cancelled: the read deadline is in the past.
	call      uint64
	cancelled bool
	// stopped: the row under way has been told to stop.
	stopped bool
}

func newLane(w *Worker, f *os.File) *lane {
	l := &lane{worker: w, file: f}
	l.memory.attach(f)
	return l
}

func (l *lane) close() {
	_ = l.file.Close()
	l.memory.close()
}

func (l *lane) expire(t time.Time) { _ = l.file.SetDeadline(t) }

// Call runs a function in the worker. It takes a free lane, adds one where
// all are busy, or waits for one.
//
// Errors: *HandlerError (the function failed, the worker lives), *ExitError
// (the process ended), *SpawnError, *BodyError (nothing was sent), ErrRetired,
// and ctx's: context.DeadlineExceeded also for Call.Deadline. After those the
// function may still run: its lane is busy until it ends, and only Retire or
// Kill can end it sooner.
func (w *Worker) Call(ctx context.Context, c Call) (Reply, error) {
	function, ok := w.zygote.index[c.Function]
	if !ok {
		return Reply{}, fmt.Errorf("function %q is not in this host", c.Function)
	}
	if len(c.Row) >= MaxRow || len(c.Row) > 0 && c.Meta != nil {
		return Reply{}, fmt.Errorf("function %q with %d more in a row: at most %d, and no Meta", c.Function, len(c.Row), MaxRow-1)
	}
	return w.call(ctx, c, function)
}

// call is Call of a function by its number in frames.
func (w *Worker) call(ctx context.Context, c Call, function int) (Reply, error) {
	begin := time.Now()
	if limit := w.zygote.spec.maxBody(); len(c.Body) > limit {
		return Reply{}, &BodyError{Size: len(c.Body), Limit: limit}
	}
	if len(c.RequestID) > maxRequestID {
		return Reply{}, fmt.Errorf("request id of %d bytes is over the limit of %d", len(c.RequestID), maxRequestID)
	}
	var meta []byte
	if c.Meta != nil {
		var err error
		if meta, err = json.Marshal(c.Meta); err != nil {
			return Reply{}, fmt.Errorf("encode request for function %q: %w", c.Function, err)
		}
		if len(meta) > maxMeta {
			return Reply{}, &BodyError{Size: len(meta), Limit: maxMeta}
		}
	}
	if len(c.Row) > 0 {
		var err error
		if meta, err = w.row(c); err != nil {
			return Reply{}, err
		}
	}
	if d, ok := ctx.Deadline(); ok && (c.Deadline.IsZero() || d.Before(c.Deadline)) {
		c.Deadline = d
	}
	var l *lane
	var head replyHead
	var body, headers []byte
	for {
		var err error
		if l, err = w.acquireBy(ctx, c.Deadline); err != nil {
			return Reply{}, named(err, c.Function, true)
		}
		l.begin = begin
		if head, body, headers, err = l.do(ctx, c, function, meta); err != nil {
			steps := l.steps // the lane may be another's once it has failed
			return Reply{Steps: steps}, l.failed(ctx, c, err)
		}
		if head.outcome != outcomeRefused {
			break
		}
		w.refused(l) // and another lane is waited for
	}
	memory, steps := l.memory.takeReply(), l.steps
	if memory != nil && !c.KeepMemory {
		body = bytes.Clone(body)
		memory.Release()
		memory = nil
	}
	w.release(l)
	start := time.Duration(head.start - w.zygote.clock.nanos(begin))
	reply := Reply{
		Body: body, Memory: memory, Content: head.content, Status: head.status,
		Start: start, Began: begin.Add(start),
		Run: time.Duration(head.run), CPU: time.Duration(head.cpu), Steps: steps,
	}
	if head.outcome != outcomeOK {
		reply.Body, reply.Content = nil, NoContent
		name := c.at(len(steps))
		switch {
		case head.outcome != outcomeStopped:
			return reply, handlerError(name, body)
		case c.Stop != nil && c.Stop.Err() != nil:
			return reply, fmt.Errorf("function %q: %w", name, ErrStopped)
		default: // it ended after its deadline, before this side saw that
			return reply, fmt.Errorf("function %q: %w", name, context.DeadlineExceeded)
		}
	}
	if len(headers) > 0 {
		if err := json.Unmarshal(headers, &reply.Headers); err != nil {
			if memory != nil {
				memory.Release()
			}
			return Reply{}, fmt.Errorf("function %q: headers: %w", c.Function, err)
		}
	}
	return reply, nil
}

// acquireBy is acquire with Call's deadline.
func (w *Worker) acquireBy(ctx context.Context, deadline time.Time) (*lane, error) {
	w.mu.Lock()
	quick := len(w.free) > 0 || w.growing()
	w.mu.Unlock()
	if quick || deadline.IsZero() {
		return w.acquire(ctx)
	}
	ctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	return w.acquire(ctx)
}

// named adds the function, and whether it is known not to have begun, to an
// error of the process.
func named(err error, function string, unstarted bool) error {
	var exit *ExitError
	if errors.As(err, &exit) {
		e := *exit
		e.Function, e.Unstarted = function, unstarted
		return &e
	}
	return err
}

// do sends one call and reads its reply, and the log lines before it.
func (l *lane) do(ctx context.Context, c Call, function int, meta []byte) (replyHead, []byte, []byte, error) {
	l.steps, l.draining = nil, false
	if ctx.Done() != nil {
		number := l.call
		stop := context.AfterFunc(ctx, func() {
			l.mu.Lock()
			if l.call == number {
				l.cancelled = true
				l.expire(time.Unix(1, 0))
			}
			l.mu.Unlock()
		})
		defer stop()
	}
	var deadline int64
	if !c.Deadline.IsZero() {
		deadline = l.worker.zygote.clock.nanos(c.Deadline)
		_ = l.file.SetDeadline(c.Deadline)
	}
	if err := l.send(c, function, meta, deadline); err != nil {
		return l.unsendable(c, err)
	}
	if c.Stop != nil && len(c.Row) > 0 {
		// Not before: it must not get between the parts of the call.
		number := l.call
		stop := context.AfterFunc(c.Stop, func() { l.tellStop(number) })
		defer stop()
	}
	head, body, headers, err := l.receive(c)
	if err != nil {
		return head, nil, nil, err
	}
	if ctx.Done() != nil || deadline != 0 || c.Stop != nil {
		l.settle(deadline != 0)
	}
	return head, body, headers, nil
}

// unsendable says why a call could not be written. Where it is that the other end
// had refused the lane, and closed it before the call came, the refusal lies here
// unread: then there is no error.
func (l *lane) unsendable(c Call, err error) (replyHead, []byte, []byte, error) {
	if errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET) {
		head, _, _, unread := l.receive(c)
		if unread == nil && head.outcome == outcomeRefused {
			return head, nil, nil, nil
		}
	}
	return replyHead{}, nil, nil, err
}

// settle ends what a call's context may do to the lane.
func (l *lane) settle(timed bool) {
	l.mu.Lock()
	l.call++
	l.stopped = false
	if l.cancelled || timed {
		l.cancelled = false
		_ = l.file.SetDeadline(time.Time{})
	}
	l.mu.Unlock()
}

func (l *lane) send(c Call, function int, meta []byte, deadline int64) error {
	head := callHead{function: function, requestID: c.RequestID, meta: meta, deadline: deadline, row: len(c.Row) > 0}
	head.slot, head.reuse = l.memory.offer(l.worker.options.KeepMemory)
	if l.worker.zygote.spec.shares(len(c.Body)) && l.memory.give(c, &l.worker.zygote.pool) {
		l.out = appendCall(l.out[:0], head, len(c.Body), true)
		n, err := l.memory.write(l.out)
		if err != nil {
			l.unsent = append([]byte(nil), l.out[n:]...)
		}
		return err
	}
	l.out = appendCall(l.out[:0], head, len(c.Body), false)
	join := len(c.Body) <= joinBody
	if join {
		l.out = append(l.out, c.Body...)
	}
	n, err := l.file.Write(l.out)
	switch {
	case err != nil:
		l.unsent = append([]byte(nil), l.out[n:]...)
		if !join {
			l.unsent = append(l.unsent, c.Body...)
		}
	case !join:
		if n, err = l.file.Write(c.Body); err != nil {
			l.unsent = append([]byte(nil), c.Body[n:]...)
		}
	}
	if cap(l.out) > keepBuffer {
		l.out = nil
	}
	return err
}

// receive reads up to and with the reply.
func (l *lane) receive(c Call) (replyHead, []byte, []byte, error) {
	maxBody := l.worker.zygote.spec.maxBody()
	for {
		if err := l.need(logHeader); err != nil {
			return replyHead{}, nil, nil, err
		}
		h, err := parseHead(l.in[l.r:l.w], maxBody)
		if err != nil {
			return replyHead{}, nil, nil, &frameError{err}
		}
		if h.kind == kindLog {
			if err := l.need(h.size); err != nil {
				return replyHead{}, nil, nil, err
			}
			l.log(c, l.in[l.r:l.r+h.size])
			l.r += h.size
			continue
		}
		if err := l.need(replyHeader); err != nil {
			return replyHead{}, nil, nil, err
		}
		head, err := parseReply(l.in[l.r:l.w], h.size, maxBody)
		if err != nil {
			return head, nil, nil, &frameError{err}
		}
		l.r += replyHeader
		if head.flags == flagHanded {
			if err := l.step(c, head); err != nil {
				return head, nil, nil, err
			}
			continue
		}
		if head.outcome == outcomeOK && len(l.steps) != len(c.Row) {
			return head, nil, nil, &frameError{fmt.Errorf("reply after %d functions of a row of %d", len(l.steps)+1, len(c.Row)+1)}
		}
		// One allocation: the body is the caller's to keep.
		rest := make([]byte, head.headers+head.body)
		n := copy(rest, l.in[l.r:l.w])
		l.r += n
		if n < len(rest) {
			if _, err := io.ReadFull(l.file, rest[n:]); err != nil {
				return head, nil, nil, err
			}
		}
		if l.r != l.w {
			return head, nil, nil, &frameError{fmt.Errorf("%d bytes follow a reply", l.w-l.r)}
		}
		l.r, l.w = 0, 0
		if cap(l.in) > keepBuffer {
			l.in = nil
		}
		body, err := l.memory.receive(head, rest[head.headers:], maxBody)
		if err != nil {
			return head, nil, nil, err
		}
		return head, body, rest[:head.headers:head.headers], nil
	}
}

// need makes n unread bytes present.
func (l *lane) need(n int) error {
	for l.w-l.r < n {
		if l.in == nil || len(l.in)-l.r < n {
			grown := l.in
			if len(grown) < n {
				grown = make([]byte, max(n, readBuffer))
			}
			l.w = copy(grown, l.in[l.r:l.w])
			l.in, l.r = grown, 0
		}
		m, err := l.memory.read(l.in[l.w:])
		l.w += m
		if err != nil {
			return err
		}
	}
	return nil
}

// log hands on the lines of a LOG frame.
func (l *lane) log(c Call, frame []byte) {
	log := l.worker.zygote.spec.Log
	if log == nil {
		return
	}
	stream := "stdout"
	if frame[5] == 2 {
		stream = "stderr"
	}
	for text := range bytes.SplitSeq(bytes.TrimSuffix(frame[logHeader:], []byte("\n")), []byte("\n")) {
		log(LogLine{
			Function: c.at(min(len(l.steps), len(c.Row))), RequestID: c.RequestID, Stream: stream,
			Text: strings.ToValidUTF8(string(bytes.TrimSuffix(text, []byte("\r"))), "\ufffd"),
		})
	}
}

// frameError says that the host broke the protocol: the lane is of no use.
type frameError struct{ err error }

func (e *frameError) Error() string { return "the host sent a bad frame: " + e.err.Error() }
func (e *frameError) Unwrap() error { return e.err }

// failed turns a lane's error into the call's, and sees to the lane.
func (l *lane) failed(ctx context.Context, c Call, err error) error {
	w := l.worker
	name, begun := c.at(min(len(l.steps), len(c.Row))), len(l.steps) > 0
	if errors.Is(err, os.ErrDeadlineExceeded) && w.abandon(l, c) {
		cause := ctx.Err()
		if cause == nil {
			cause = context.DeadlineExceeded
		}
		return fmt.Errorf("function %q: %w", name, cause)
	}
	var bad *frameError
	if errors.As(err, &bad) {
		w.Kill()
		w.discard(l)
		return fmt.Errorf("function %q: %w", name, err)
	}
	// The other end is closed: the process is gone, or will be.
	defer w.discard(l)
	timer := time.NewTimer(exitNotice)
	defer timer.Stop()
	select {
	case <-w.done:
	case <-timer.C:
		w.Kill() // it closed its lane and lives on
		timer.Reset(exitNotice)
		select {
		case <-w.done:
		case <-timer.C:
			return &ExitError{Function: name, Pid: w.Pid(), Code: -1}
		}
	}
	// A call that could not be written, or that lay unread when the socket's
	// other end was closed (net/unix/af_unix.c, unix_release_sock: only then is
	// it a reset), was not read whole: its function has not begun.
	// A row that was told to stop has left that unread, too.
	l.mu.Lock()
	unread := (errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET)) && !begun && !l.stopped
	l.mu.Unlock()
	return named(w.Err(), name, unread)
}

func (w *Worker) isDead() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.dead
}

// drain waits for the reply that nobody waits for any more; the lane is free
// again then. It ends with the process at the latest.
func (l *lane) drain(c Call) {
	l.settle(true)
	w := l.worker
	if w.isDead() { // settle took back the bound that the death had set
		l.expire(time.Now().Add(lastReply))
	}
	// A frame that was begun has to be ended, or the host never reads another.
	rest := l.unsent
	l.unsent = nil
	_, err := l.memory.write(rest)
	if err == nil {
		_, _, _, err = l.receive(c)
	}
	if memory := l.memory.takeReply(); memory != nil {
		memory.Release()
	}
	if err != nil {
		w.Kill()
		w.discard(l)
		return
	}
	w.release(l)
}

func handlerError(function string, body []byte) error {
	e := &HandlerError{Function: function}
	var f struct {
		Type      string `json:"type"`
		Message   string `json:"message"`
		Traceback string `json:"traceback"`
	}
	if err := json.Unmarshal(body, &f); err != nil {
		return fmt.Errorf("function %q failed, and its failure does not decode: %w", function, err)
	}
	e.Type, e.Message, e.Traceback = f.Type, f.Message, f.Traceback
	return e
}
