package host

import (
	"context"
	"fmt"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// AnyCPU is the WorkerOptions.CPU of a worker that may run on any CPU of its
// zygote.
const AnyCPU = -1

// maxLanes bounds a worker's lanes: the descriptors of one message.
const maxLanes = 250

// WorkerOptions say how a worker runs.
type WorkerOptions struct {
	// CPU is the machine's number of the CPU that the worker is pinned to;
	// AnyCPU: not pinned.
	CPU int
	// SwitchInterval of the interpreter lock; 0: the interpreter's own (5 ms).
	SwitchInterval time.Duration
	// Lanes that the worker starts with, 1 at least: as many calls run at the
	// same time, as threads. The first is the process's main thread.
	Lanes int
	// MaxLanes bounds the lanes that are added when all are busy; up to Lanes:
	// none are. Calls beyond wait, first come first served.
	MaxLanes int
	// KeepMemory has each lane keep the shared memory that its large replies
	// came in, to write the next there: for a worker of many calls. Without it,
	// each reply has a file of its own, sealed.
	KeepMemory bool
	// DataLimit is RLIMIT_DATA of the process, bytes: private memory that it
	// may map; a handler that wants more gets MemoryError. 0: none.
	DataLimit int64
}

// Worker is a forked process that runs calls. Its methods may be called from
// any goroutine.
type Worker struct {
	zygote  *Zygote
	id      uint32
	options WorkerOptions
	control *net.UnixConn // takes added lanes; nil where none may be
	done    chan struct{}
	started chan struct{}

	mu   sync.Mutex
	pid  int   // 0: not forked yet
	err  error // why it ended: *ExitError or *SpawnError; or why it never began
	dead bool
	kill bool // wanted before the pid was known
	// Lanes: free is a stack, so that the lane used last, whose thread and
	// memory are warm, is used next. count has the busy ones too.
	free    []*lane
	busy    map[*lane]bool // true: its call was given up, the reply is drained
	count   int
	waiting []chan *lane // first come, first served
	// full is until when no lane is added: the process could start no thread.
	full    time.Time
	retired bool
	idle    chan struct{} // closed once retired and no call is waited for
}

// Spawn forks a worker. It returns as soon as the zygote has been asked:
// calls may be made at once and run when the process does. A fork that fails
// is a *SpawnError of the first call, and of Err.
func (z *Zygote) Spawn(ctx context.Context, o WorkerOptions) (*Worker, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("spawn worker: %w", err)
	}
	o.Lanes = max(o.Lanes, 1)
	o.MaxLanes = max(o.MaxLanes, o.Lanes)
	if o.MaxLanes > maxLanes {
		return nil, fmt.Errorf("spawn worker: %d lanes: at most %d", o.MaxLanes, maxLanes)
	}
	w := &Worker{
		zygote: z, id: z.nextID.Add(1), options: o,
		done: make(chan struct{}), started: make(chan struct{}), idle: make(chan struct{}),
		busy: make(map[*lane]bool),
	}
	var theirs []*os.File
	defer func() {
		for _, f := range theirs {
			_ = f.Close()
		}
	}()
	// fail ends what was begun; the zygote may have retired the worker already, and wait
	// for it.
	fail := func(err error) (*Worker, error) {
		err = fmt.Errorf("spawn worker: %w", err)
		w.ended(err)
		return nil, err
	}
	pair := func() (*os.File, error) {
		a, b, err := socketPair()
		if err == nil {
			theirs = append(theirs, b)
		}
		return a, err
	}
	if o.MaxLanes > o.Lanes {
		f, err := pair()
		if err == nil {
			w.control, err = unixConn(f)
		}
		if err != nil {
			return fail(err)
		}
	}
	for range o.Lanes {
		f, err := pair()
		if err != nil {
			return fail(err)
		}
		w.free = append(w.free, newLane(w, f))
		w.count++
	}
	// The first lane is the main thread's, which runs from the start: use it
	// first.
	for i, j := 0, len(w.free)-1; i < j; i, j = i+1, j-1 {
		w.free[i], w.free[j] = w.free[j], w.free[i]
	}
	z.mu.Lock()
	if z.gone {
		z.mu.Unlock()
		return fail(&ExitError{Pid: z.Pid(), Code: -1})
	}
	z.alive[w.id] = w
	z.mu.Unlock()
	if err := z.sendFiles(z.control, spawnFrame(w.id, o.Lanes, w.control != nil, o), theirs); err != nil {
		z.mu.Lock()
		_, there := z.alive[w.id]
		delete(z.alive, w.id)
		z.mu.Unlock()
		if there {
			return fail(err)
		}
		return nil, fmt.Errorf("spawn worker: %w", err) // who took it from there ends it
	}
	return w, nil
}

// sendFiles sends one frame with descriptors on a control socket.
func (z *Zygote) sendFiles(c *net.UnixConn, frame []byte, files []*os.File) error {
	fds := make([]int, len(files))
	for i, f := range files {
		fds[i] = int(f.Fd())
	}
	z.sendMu.Lock()
	defer z.sendMu.Unlock()
	_, _, err := c.WriteMsgUnix(frame, unix.UnixRights(fds...), nil)
	return err
}

// Pid of the process; waits for the fork. 0 where it failed.
func (w *Worker) Pid() int {
	<-w.started
	return w.forked()
}

// forked is the process's number as far as it is known by now.
func (w *Worker) forked() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.pid
}

// Done is closed when the process has ended and all it left was killed.
func (w *Worker) Done() <-chan struct{} { return w.done }

// Err tells after Done why the worker ended: an *ExitError (Code 0: as asked)
// or a *SpawnError.
func (w *Worker) Err() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.err
}

// Lanes tells how many lanes the worker has and how many of them are busy.
func (w *Worker) Lanes() (all, busy int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.count, len(w.busy)
}

// acquire returns a lane that is the caller's until release.
func (w *Worker) acquire(ctx context.Context) (*lane, error) {
	w.mu.Lock()
	if w.dead || w.retired {
		err := w.err
		w.mu.Unlock()
		if err == nil {
			err = ErrRetired
		}
		return nil, err
	}
	if n := len(w.free); n > 0 {
		l := w.free[n-1]
		w.free = w.free[:n-1]
		w.busy[l] = false
		w.mu.Unlock()
		return l, nil
	}
	if w.growing() {
		w.count++
		w.mu.Unlock()
		return w.addLane()
	}
	wait := make(chan *lane, 1)
	w.waiting = append(w.waiting, wait)
	w.mu.Unlock()
	select {
	case l := <-wait:
		if l == nil {
			if err := w.Err(); err != nil {
				return nil, err
			}
			return nil, ErrRetired
		}
		return l, nil
	case <-ctx.Done():
	}
	w.mu.Lock()
	for i, c := range w.waiting {
		if c == wait {
			w.waiting = append(w.waiting[:i], w.waiting[i+1:]...)
			break
		}
	}
	w.mu.Unlock()
	select {
	case l := <-wait: // it came just now
		if l != nil {
			w.release(l)
		}
	default:
	}
	return nil, ctx.Err()
}

// addLane gives the worker one more lane; its place was counted already.
func (w *Worker) addLane() (*lane, error) {
	ours, theirs, err := socketPair()
	if err == nil {
		err = w.zygote.sendFiles(w.control, appendControl(nil, kindAddLane, nil), []*os.File{theirs})
		_ = theirs.Close()
		if err != nil {
			_ = ours.Close()
		}
	}
	w.mu.Lock()
	if err != nil {
		w.count--
		dead := w.err
		w.mu.Unlock()
		if dead != nil {
			return nil, dead
		}
		return nil, fmt.Errorf("add a lane to worker: %w", err)
	}
	l := newLane(w, ours)
	w.busy[l] = false
	w.mu.Unlock()
	return l, nil
}

// release gives a lane back: to who waits longest, or to the stack.
func (w *Worker) release(l *lane) {
	w.mu.Lock()
	delete(w.busy, l)
	switch {
	case w.dead || w.retired:
		l.close()
		w.count--
		w.checkIdle()
	case len(w.waiting) > 0:
		next := w.waiting[0]
		w.waiting = w.waiting[1:]
		w.busy[l] = false
		next <- l
	default:
		w.free = append(w.free, l)
	}
	w.mu.Unlock()
}

// discard takes a lane that is of no use any more out of the worker.
func (w *Worker) discard(l *lane) {
	l.close()
	w.mu.Lock()
	delete(w.busy, l)
	w.count--
	w.checkIdle()
	w.mu.Unlock()
}

// fullPause is how long a worker that could start no thread is not asked for
// another: at a limit, each try is one in vain.
const fullPause = time.Second

// refused takes a lane out for which there is no thread.
func (w *Worker) refused(l *lane) {
	w.mu.Lock()
	w.full = time.Now().Add(fullPause)
	w.mu.Unlock()
	w.discard(l)
}

// growing says whether a lane may be added. w.mu is held.
func (w *Worker) growing() bool {
	return w.count < w.options.MaxLanes && (w.full.IsZero() || time.Now().After(w.full))
}

// abandon marks a lane whose caller has gone, and has its reply drained; false: the
// worker is dead, and there will be none.
func (w *Worker) abandon(l *lane, c Call) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.dead {
		return false
	}
	l.draining = true
	w.busy[l] = true
	w.checkIdle()
	// Here, where a worker that lives cannot have been waited for yet: Zygote.Close.
	w.zygote.workers.Go(func() { l.drain(c) })
	return true
}

// checkIdle tells Retire when no call is waited for any more. w.mu is held.
func (w *Worker) checkIdle() {
	if !w.retired {
		return
	}
	for _, abandoned := range w.busy {
		if !abandoned {
			return
		}
	}
	select {
	case <-w.idle:
	default:
		close(w.idle)
	}
}

// Retire takes the worker out of service and returns at once: new and waiting
// calls get ErrRetired; calls in flight get grace to end, calls whose caller
// has gone none; then the process ends, or is killed with all that its
// handlers started. Done tells when.
func (w *Worker) Retire(grace time.Duration) {
	w.mu.Lock()
	if w.retired || w.dead {
		w.mu.Unlock()
		return
	}
	w.retired = true
	w.withdraw()
	w.checkIdle()
	w.zygote.workers.Go(func() { w.end(grace) })
	w.mu.Unlock()
}

// withdraw has no call begin any more: it ends the wait of those without a lane, and
// closes the lanes that are free and the way to others. w.mu is held.
func (w *Worker) withdraw() {
	for _, c := range w.waiting {
		c <- nil
	}
	w.waiting = nil
	for _, l := range w.free {
		l.close()
		w.count--
	}
	w.free = nil
	if w.control != nil {
		_ = w.control.Close()
	}
}

func (w *Worker) end(grace time.Duration) {
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case <-w.idle:
	case <-timer.C:
	case <-w.done:
		return
	}
	w.mu.Lock()
	hung := len(w.busy) > 0
	w.mu.Unlock()
	if !hung {
		// Its lanes have ended: so does the process.
		timer.Reset(w.zygote.spec.stopGrace())
		select {
		case <-w.done:
			return
		case <-timer.C:
		}
	}
	w.Kill()
	<-w.done
}

// Close retires the worker with the zygote's StopGrace and waits for its end.
func (w *Worker) Close() {
	w.Retire(w.zygote.spec.stopGrace())
	<-w.done
}

// Kill ends the process and what its handlers started, at once (SIGKILL).
// Calls in flight get an *ExitError. It does not wait: see Done.
func (w *Worker) Kill() {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.dead:
	case w.pid == 0:
		w.kill = true
	default:
		w.signal()
	}
}

// signal kills the worker's group. The number cannot be another's: until the
// zygote has said that it reaped the worker, w.dead is not set; in the
// microseconds between, the kernel would have to go through all numbers.
func (w *Worker) signal() {
	if syscall.Kill(-w.pid, syscall.SIGKILL) != nil {
		_ = syscall.Kill(w.pid, syscall.SIGKILL)
	}
}

// spawned, failed and exited take the zygote's reports.
func (w *Worker) spawned(pid int) {
	w.mu.Lock()
	w.pid = pid
	close(w.started)
	if w.kill {
		w.signal()
	}
	w.mu.Unlock()
}

func (w *Worker) failed(err error) { w.ended(err) }

func (w *Worker) exited(err *ExitError) { w.ended(err) }

func (w *Worker) ended(err error) {
	w.mu.Lock()
	w.err = err
	w.dead = true
	select {
	case <-w.started:
	default:
		close(w.started)
	}
	w.withdraw()
	for l := range w.busy {
		// Its reply may still be in the socket, and nothing after it: unless a
		// process that left the group holds the other end.
		l.expire(time.Now().Add(lastReply))
	}
	w.mu.Unlock()
	close(w.done)
}

// lastReply is how long a dead worker's lane is read for what it sent before.
const lastReply = 200 * time.Millisecond
