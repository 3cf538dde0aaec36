package host

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/chiron-faas/chiron/internal/memfile"
)

// Zygote is a running host: the process that has imported the functions and
// forks workers. Its methods may be called from any goroutine.
type Zygote struct {
	spec    Spec
	workDir string
	ownDir  bool // remove workDir at Close
	process *process
	forked  bool
	control *net.UnixConn
	output  []*os.File // read ends of the pipes behind fd 1 and 2
	clock   clock
	ready   readyReport
	index   map[string]int // function's number in frames
	wg      sync.WaitGroup // readers of control and output
	workers sync.WaitGroup // goroutines of workers
	nextID  atomic.Uint32
	sendMu  sync.Mutex
	done    chan struct{}
	closing sync.Once
	// pool keeps the shared memory of calls' inputs.
	pool memfile.Pool

	mu    sync.Mutex
	alive map[uint32]*Worker
	// gone is set once no worker may be added: control is closed.
	gone bool
}

type configFrame struct {
	Functions []configFunction `json:"functions"`
	SitePath  []string         `json:"site_path"`
	CPUs      []int            `json:"cpus"`
	MaxBody   int              `json:"max_body"`
	ShareOver int              `json:"share_over"`
	// ProcessLimit is Spec's.
	ProcessLimit int `json:"process_limit,omitempty"`
}

type configFunction struct {
	Name   string            `json:"name"`
	File   string            `json:"file"`
	Symbol string            `json:"symbol"`
	Kind   Kind              `json:"kind"`
	Memory int64             `json:"memory"`
	Env    map[string]string `json:"env,omitempty"`
}

type readyReport struct {
	Pid       int    `json:"pid"`
	Version   string `json:"version"`
	Functions []struct {
		Function string `json:"function"`
		Symbol   string `json:"symbol"`
		Kind     Kind   `json:"kind"`
		WarmUp   bool   `json:"warmup"`
	} `json:"functions"`
	Failed []struct {
		Function  string `json:"function"`
		Message   string `json:"message"`
		Traceback string `json:"traceback"`
	} `json:"failed"`
	// Threads that importing started; they do not exist in workers.
	Threads int `json:"threads"`
}

// Start starts a zygote and waits until it has imported every function. Where
// functions do not import, the error holds one *ImportError for each
// (errors.As); another failure is a *StartError. ctx bounds the start only.
func Start(ctx context.Context, spec Spec) (*Zygote, error) {
	if err := spec.check(); err != nil {
		return nil, err
	}
	z := &Zygote{
		spec:  spec,
		clock: newClock(),
		index: make(map[string]int, len(spec.Functions)),
		alive: make(map[uint32]*Worker),
		done:  make(chan struct{}),
	}
	for i, f := range spec.Functions {
		z.index[f.Name] = i
	}
	if err := z.start(ctx); err != nil {
		return nil, err
	}
	return z, nil
}

func (z *Zygote) start(ctx context.Context) (err error) {
	fail := func(err error) error { return &StartError{Interpreter: z.spec.Interpreter, Err: err} }
	z.workDir = z.spec.WorkDir
	if z.workDir == "" {
		if z.workDir, err = makeWorkDir(); err != nil {
			return fail(err)
		}
		z.ownDir = true
	}
	defer func() {
		if err != nil && z.ownDir {
			_ = os.RemoveAll(z.workDir)
		}
	}()
	if err := os.MkdirAll(filepath.Join(z.workDir, "tmp"), 0o700); err != nil {
		return fail(err)
	}
	env, own, err := z.spec.environment(z.workDir)
	if err != nil {
		return fail(err)
	}
	ours, theirs, err := socketPair()
	if err != nil {
		return fail(err)
	}
	// The child's ends: once it has them ours are closed, so that its end is
	// seen.
	given := []*os.File{theirs}
	defer closeAll(&given)
	if z.control, err = unixConn(ours); err != nil {
		return fail(err)
	}
	var tail tailBuffer
	cmd := z.spec.command()
	cmd.Dir = z.workDir
	cmd.Env = env
	cmd.ExtraFiles = []*os.File{theirs}
	for _, stream := range []string{"stdout", "stderr"} {
		r, w, err := os.Pipe()
		if err != nil {
			z.release()
			return fail(err)
		}
		given = append(given, w)
		z.output = append(z.output, r)
		if stream == "stdout" {
			cmd.Stdout = w
		} else {
			cmd.Stderr = w
		}
		z.wg.Go(func() { z.readOutput(r, stream, &tail) })
	}
	z.process, err = z.begin(ctx, cmd, given)
	closeAll(&given)
	if err != nil {
		z.release()
		return fail(err)
	}
	if err = z.enterGroup(); err == nil {
		err = z.await(ctx, own)
	}
	if err != nil {
		z.abort()
		z.release()
		var started *StartError
		if errors.As(err, &started) {
			started.Output = tail.String()
		}
		return err
	}
	tail.stop()
	z.wg.Go(z.readControl)
	if z.ready.Threads > 0 && z.spec.Log != nil {
		z.spec.Log(LogLine{Stream: "stderr", Text: fmt.Sprintf(
			"warning: importing the functions started %d thread(s); they do not run in the processes that serve calls: "+
				"start them inside the handler instead", z.ready.Threads)})
	}
	return nil
}

// begin forks the zygote of a template where there is one, and starts an
// interpreter where not, or where that fails: a template makes a start faster, and
// is no condition of it.
func (z *Zygote) begin(ctx context.Context, cmd *exec.Cmd, given []*os.File) (*process, error) {
	if t := z.spec.Template; t.Socket != "" && forkable(z.spec.Functions) {
		p, err := t.fork(ctx, cmd, given)
		if err == nil {
			z.forked = true
			return p, nil
		}
		if errors.Is(err, errTemplateHangs) || ctx.Err() != nil {
			return nil, err
		}
		if z.spec.Log != nil {
			z.spec.Log(LogLine{Stream: "stderr", Text: fmt.Sprintf("warning: no fork of the warm interpreter, so a new one is started: %v", err)})
		}
	}
	return startProcess(cmd)
}

// Forked says that the zygote is a fork of Spec.Template, and not an interpreter
// that was started for it.
func (z *Zygote) Forked() bool { return z.forked }

func closeAll(files *[]*os.File) {
	for _, f := range *files {
		_ = f.Close()
	}
	*files = nil
}

// enterGroup puts the process into its control group: it waits for its
// configuration, and has started nothing by then.
func (z *Zygote) enterGroup() error {
	if z.spec.Group == "" {
		return nil
	}
	if err := z.spec.Group.Add(z.process.pid); err != nil {
		return &StartError{Interpreter: z.spec.Interpreter, Err: err}
	}
	return nil
}

// await sends the configuration and reads the report.
func (z *Zygote) await(ctx context.Context, own map[string]map[string]string) error {
	config := configFrame{
		SitePath: z.spec.SitePath, CPUs: z.spec.CPUs, MaxBody: z.spec.maxBody(), ShareOver: z.spec.shareOver(),
		ProcessLimit: z.spec.ProcessLimit,
	}
	for _, f := range z.spec.Functions {
		file := f.File
		if !filepath.IsAbs(file) {
			file = filepath.Join(z.spec.Dir, file)
		}
		config.Functions = append(config.Functions, configFunction{
			Name: f.Name, File: file, Symbol: f.Symbol, Kind: f.Kind, Memory: f.Memory, Env: own[f.Name],
		})
	}
	payload, err := json.Marshal(config)
	if err != nil {
		return &StartError{Interpreter: z.spec.Interpreter, Err: err}
	}
	if len(payload) > maxControl-controlHeader {
		return &StartError{Interpreter: z.spec.Interpreter, Err: fmt.Errorf("configuration of %d bytes is over the limit", len(payload))}
	}
	stop := context.AfterFunc(ctx, func() { _ = z.control.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	_, err = z.control.Write(appendControl(nil, kindConfig, payload))
	var kind uint8
	if err == nil {
		kind, payload, err = readControlFrame(z.control)
	}
	if err == nil && kind != kindReady {
		err = fmt.Errorf("unexpected frame of kind %d", kind)
	}
	if err == nil {
		err = json.Unmarshal(payload, &z.ready)
	}
	if ctx.Err() != nil {
		return &StartError{Interpreter: z.spec.Interpreter, Err: fmt.Errorf("importing the functions: %w", ctx.Err())}
	}
	if err != nil {
		return &StartError{Interpreter: z.spec.Interpreter, Err: z.whyDead(err)}
	}
	errs := make([]error, 0, len(z.ready.Failed))
	for _, f := range z.ready.Failed {
		errs = append(errs, &ImportError{Function: f.Function, Message: f.Message, Traceback: f.Traceback})
	}
	return errors.Join(errs...)
}

// whyDead prefers how the process ended over how its socket did.
func (z *Zygote) whyDead(err error) error {
	select {
	case <-z.process.done:
	case <-time.After(100 * time.Millisecond):
		return err
	}
	if z.process.err != nil {
		return fmt.Errorf("the process ended while it started: %w", z.process.err)
	}
	return errors.New("the process ended while it started")
}

func (z *Zygote) abort() {
	z.process.kill()
	<-z.process.done
}

// release closes what a zygote holds besides its process.
func (z *Zygote) release() {
	_ = z.control.Close()
	for _, r := range z.output {
		// The rest of the output is there once the processes are gone; a
		// process that left its group may hold the pipe open for ever.
		_ = r.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
	}
	z.wg.Wait()
	for _, r := range z.output {
		_ = r.Close()
	}
	if z.ownDir {
		_ = os.RemoveAll(z.workDir)
	}
	z.pool.Close()
}

// Pid of the zygote's interpreter.
func (z *Zygote) Pid() int {
	if z.ready.Pid != 0 {
		return z.ready.Pid
	}
	return z.process.pid
}

// Version of the interpreter: "3.11.7".
func (z *Zygote) Version() string { return z.ready.Version }

// Kind tells how a function's handler is called; "" where there is none of
// that name.
func (z *Zygote) Kind(function string) Kind {
	for _, f := range z.ready.Functions {
		if f.Function == function {
			return f.Kind
		}
	}
	return ""
}

// WorkDir is the current folder of every process of the host.
func (z *Zygote) WorkDir() string { return z.workDir }

// Done is closed when the zygote has ended, by Close or by itself; its workers
// have ended or are being killed then.
func (z *Zygote) Done() <-chan struct{} { return z.done }

// Close ends all workers and the zygote, and waits for them: calls in flight
// get Spec.StopGrace to end.
func (z *Zygote) Close() {
	z.closing.Do(func() {
		retired := z.snapshot()
		for _, w := range retired {
			w.Retire(z.spec.stopGrace())
		}
		for _, w := range retired {
			<-w.done
		}
		_ = z.control.CloseWrite()
		select {
		case <-z.process.done:
		case <-time.After(z.spec.stopGrace()):
		}
		_ = syscall.Kill(-z.process.pid, syscall.SIGKILL)
		<-z.process.done
		<-z.done
		// All workers are dead now, those too that were spawned meanwhile: none of
		// them has a goroutine added any more.
		z.workers.Wait()
		z.release()
	})
}

func (z *Zygote) snapshot() []*Worker {
	z.mu.Lock()
	defer z.mu.Unlock()
	ws := make([]*Worker, 0, len(z.alive))
	for _, w := range z.alive {
		ws = append(ws, w)
	}
	return ws
}

// readControl takes the zygote's reports until its socket closes.
func (z *Zygote) readControl() {
	defer close(z.done)
	for {
		kind, payload, err := readControlFrame(z.control)
		if err != nil {
			break
		}
		event, err := parseWorkerEvent(payload)
		if err != nil {
			break
		}
		z.mu.Lock()
		w := z.alive[event.id]
		if kind == kindExited || event.pid == 0 {
			delete(z.alive, event.id)
		}
		z.mu.Unlock()
		if w == nil {
			continue
		}
		switch {
		case kind == kindExited:
			w.exited(waitStatus(event.pid, event.value))
		case kind == kindSpawned && event.pid == 0:
			w.failed(&SpawnError{Errno: syscall.Errno(event.value), CPU: w.options.CPU})
		case kind == kindSpawned:
			w.spawned(event.pid)
		}
	}
	// The kernel kills the workers behind their zygote: its sockets close some
	// milliseconds before (do_exit in kernel/exit.c frees its memory between). No
	// call may go to them any more; those in flight may still end in time.
	for _, w := range z.snapshot() {
		w.Retire(lastReply)
	}
	// Without its zygote nobody reaps or replaces a worker: it ends too. Its
	// parent-death signal has killed it already where there is one.
	z.process.kill()
	<-z.process.done
	z.mu.Lock()
	z.gone = true
	left := z.alive
	z.alive = nil
	z.mu.Unlock()
	for _, w := range left {
		w.Kill()
		w.mu.Lock()
		pid := w.pid // not Pid: a worker that was not forked yet never will be
		w.mu.Unlock()
		w.exited(&ExitError{Pid: pid, Code: -1})
	}
}

// readOutput takes what reaches the process's fd 1 or 2, line by line.
func (z *Zygote) readOutput(r io.Reader, stream string, tail *tailBuffer) {
	buf := make([]byte, 0, 4096)
	for {
		if len(buf) == cap(buf) && len(buf) < maxLine {
			buf = append(buf, 0)[:len(buf)]
		}
		n, err := r.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		for {
			i := bytes.IndexByte(buf, '\n')
			if i < 0 {
				if len(buf) < maxLine && (err == nil || len(buf) == 0) {
					break
				}
				i = len(buf) // a line without end
			}
			z.outputLine(buf[:i], stream, tail)
			buf = buf[:copy(buf, buf[min(i+1, len(buf)):])]
			if len(buf) == 0 {
				break
			}
		}
		if err != nil {
			return
		}
	}
}

// maxLine bounds one line of output; a longer one is cut.
const maxLine = 1 << 16

func (z *Zygote) outputLine(line []byte, stream string, tail *tailBuffer) {
	text := strings.ToValidUTF8(string(bytes.TrimSuffix(line, []byte("\r"))), "\ufffd")
	tail.add(text)
	if z.spec.Log != nil {
		z.spec.Log(LogLine{Stream: stream, Text: text})
	}
}

// tailBuffer keeps the last lines of a process that is starting.
type tailBuffer struct {
	mu      sync.Mutex
	lines   []string
	stopped bool
}

func (t *tailBuffer) add(line string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.stopped || strings.TrimSpace(line) == "" {
		return
	}
	t.lines = append(t.lines, line)
	if len(t.lines) > 3 {
		t.lines = t.lines[1:]
	}
}

func (t *tailBuffer) stop() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.stopped, t.lines = true, nil
}

func (t *tailBuffer) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.Join(t.lines, " / ")
}

func readControlFrame(r io.Reader) (uint8, []byte, error) {
	var head [controlHeader]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return 0, nil, err
	}
	kind, n, err := parseControl(head[:])
	if err != nil {
		return 0, nil, err
	}
	payload := make([]byte, n)
	_, err = io.ReadFull(r, payload)
	return kind, payload, err
}

// socketPair returns two connected stream sockets, ours not blocking.
func socketPair() (ours, theirs *os.File, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("make socket pair: %w", err)
	}
	if err := unix.SetNonblock(fds[0], true); err != nil {
		_ = unix.Close(fds[0])
		_ = unix.Close(fds[1])
		return nil, nil, fmt.Errorf("make socket pair: %w", err)
	}
	return os.NewFile(uintptr(fds[0]), "lane"), os.NewFile(uintptr(fds[1]), "lane (host)"), nil
}

// unixConn makes a net.UnixConn of a socket, which it closes.
func unixConn(f *os.File) (*net.UnixConn, error) {
	defer f.Close()
	c, err := net.FileConn(f)
	if err != nil {
		return nil, err
	}
	return c.(*net.UnixConn), nil
}

// clock turns times into CLOCK_MONOTONIC nanoseconds, which the host's
// perf_counter_ns and monotonic_ns count in. Go's monotonic clock is the same
// one, at an offset that it does not tell.
type clock struct {
	at   time.Time
	mono int64
}

func newClock() clock {
	var best clock
	var gap time.Duration
	for i := range 3 { // who loses its CPU between the two readings is off by that long
		before := time.Now()
		var ts unix.Timespec
		_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts) // fails only for an unknown clock
		if took := time.Since(before); i == 0 || took < gap {
			best, gap = clock{at: before.Add(took / 2), mono: ts.Nano()}, took
		}
	}
	return best
}

func (c clock) nanos(t time.Time) int64 { return c.mono + int64(t.Sub(c.at)) }
