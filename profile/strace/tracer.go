package strace

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/chiron-faas/chiron/internal/procfs"
	"github.com/chiron-faas/chiron/profile"
)

// Name of the tracer in profiles and options.
const Name = "strace"

const (
	// maxOutput bounds what one trace may print, bytes: some 600,000 system
	// calls. A trace that prints more is ended there, and the calls that it
	// holds whole are used.
	maxOutput = 64 << 20
	// attachTimeout bounds how long strace may take to attach, detachTimeout to
	// let go; then it is killed, which lets go of the thread too.
	attachTimeout = 5 * time.Second
	detachTimeout = 5 * time.Second
	// settleTimeout bounds the wait for the target to wait for its next call.
	settleTimeout = 200 * time.Millisecond
	// resolution is the length under which a period is noise: what strace
	// leaves uncertain of a call's length, seen on calls that do nothing.
	resolution = 20 * time.Microsecond
)

// Tracer traces with the strace program. The zero Tracer works.
type Tracer struct {
	// Program is strace's path; empty: looked for in PATH.
	Program string
}

var (
	_ profile.Tracer = Tracer{}
	_ profile.Trace  = (*trace)(nil)
)

// Name is "strace".
func (Tracer) Name() string { return Name }

// Available attaches strace to a process of our own. It says whether strace is
// missing, or the kernel does not let it attach.
func (t Tracer) Available(ctx context.Context) error {
	if _, err := t.program(); err != nil {
		return err
	}
	// A process that waits until its input ends, as this function returns.
	child := exec.CommandContext(ctx, "cat")
	input, err := child.StdinPipe()
	if err != nil {
		return fmt.Errorf("try strace: %w", err)
	}
	if err := child.Start(); err != nil {
		return fmt.Errorf("try strace: %w", err)
	}
	defer func() {
		_ = input.Close()
		_ = child.Wait() // it copied nothing to nowhere
	}()
	tr, err := t.Start(ctx, profile.Target{PID: child.Process.Pid, TID: child.Process.Pid})
	if err != nil {
		return err
	}
	tr.Abort()
	return nil
}

func (t Tracer) program() (string, error) {
	if t.Program != "" {
		return t.Program, nil
	}
	path, err := exec.LookPath("strace")
	if err != nil {
		return "", errors.New("strace is not installed: install your system's strace package")
	}
	return path, nil
}

// Start attaches strace to all threads of the target's process, and to the
// children that it makes.
func (t Tracer) Start(ctx context.Context, target profile.Target) (profile.Trace, error) {
	program, err := t.program()
	if err != nil {
		return nil, err
	}
	reader, writer, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("start strace: %w", err)
	}
	// -f threads and children, -ttt start since the epoch, -T length, -y paths
	// of descriptors; no data (-s 0). All calls are needed, the harmless ones
	// to count them, since each costs the same. Output goes into a pipe: no
	// file to clean up, a bound that we set, and if we are killed strace dies
	// of writing to it and lets the target go.
	cmd := exec.Command(program, "-f", "-ttt", "-T", "-y", "-s", "0", "-o", "/proc/self/fd/3", "-p", strconv.Itoa(target.PID))
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	cmd.ExtraFiles = []*os.File{writer}
	// Its own group: an interrupt from the terminal is ours to pass on.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	messages, err := cmd.StderrPipe()
	if err == nil {
		err = cmd.Start()
	}
	_ = writer.Close()
	if err != nil {
		_ = reader.Close()
		return nil, fmt.Errorf("start strace: %w", err)
	}
	tr := &trace{cmd: cmd, target: target, done: make(chan struct{}), attached: make(chan struct{})}
	tr.readers.Go(func() { tr.collect(reader) })
	tr.readers.Go(func() { tr.listen(messages) })
	go tr.wait()

	timeout := time.NewTimer(attachTimeout)
	defer timeout.Stop()
	select {
	case <-tr.attached:
		return tr, nil
	case <-tr.done:
		return nil, fmt.Errorf("strace cannot attach: %s", tr.complaint())
	case <-ctx.Done():
		err = context.Cause(ctx)
	case <-timeout.C:
		err = fmt.Errorf("strace has not attached within %v", attachTimeout)
	}
	tr.Abort()
	return nil, err
}

// trace is one strace process.
type trace struct {
	cmd      *exec.Cmd
	target   profile.Target
	attached chan struct{} // closed when strace says so
	done     chan struct{} // closed when strace has ended and all is read
	readers  sync.WaitGroup

	// Written by the readers, to be read after done.
	output   []byte
	overflow bool
	said     []string
}

// wait owns the process: it reaps it once the readers are through.
func (t *trace) wait() {
	t.readers.Wait()
	_ = t.cmd.Wait() // its status says nothing that its messages do not
	close(t.done)
}

// collect keeps the trace's text, up to its bound.
func (t *trace) collect(r *os.File) {
	defer r.Close()
	buffer := make([]byte, 256<<10)
	for {
		n, err := r.Read(buffer)
		if room := maxOutput - len(t.output); n > room {
			n, t.overflow = room, true
		}
		t.output = append(t.output, buffer[:n]...)
		if t.overflow {
			_ = t.cmd.Process.Kill()
			return
		}
		if err != nil {
			return
		}
	}
}

// listen reads what strace tells its user.
func (t *trace) listen(r io.Reader) {
	lines := bufio.NewScanner(r)
	attached := false
	for lines.Scan() {
		line := lines.Text()
		if !attached && strings.Contains(line, "attached") {
			attached = true
			close(t.attached)
		}
		if len(t.said) < 20 {
			t.said = append(t.said, line)
		}
	}
	_, _ = io.Copy(io.Discard, r) // a line too long for the scanner
}

// complaint is why strace did not attach, in one line.
func (t *trace) complaint() string {
	text := "it ended without a word"
	for _, line := range t.said {
		if !strings.Contains(line, "Could not attach") {
			text = strings.TrimPrefix(line, "strace: ")
			break
		}
	}
	if strings.Contains(text, "not permitted") {
		text += "; run as root, give the CAP_SYS_PTRACE capability"
		if scope, err := os.ReadFile("/proc/sys/kernel/yama/ptrace_scope"); err == nil && strings.TrimSpace(string(scope)) != "0" {
			text += ", or: sysctl kernel.yama.ptrace_scope=0"
		}
	}
	return text
}

// Abort kills strace, which lets the target go, and waits for its end. Its whole
// group is killed: as it starts it tries ptrace on a child of its own, which
// would wait for ever, with our pipes open.
func (t *trace) Abort() {
	select {
	case <-t.done: // its number may be another's by now
		return
	default:
	}
	_ = syscall.Kill(-t.cmd.Process.Pid, syscall.SIGKILL) // it may have ended
	<-t.done
}

// settle waits until the target waits for its next call. Its last reply is here
// before strace has seen the end of the system call that sent it, and a strace
// that is stopped in between does not show that call.
func (t *trace) settle(ctx context.Context) {
	for end := time.Now().Add(settleTimeout); ctx.Err() == nil && time.Now().Before(end); time.Sleep(200 * time.Microsecond) {
		s, err := procfs.ReadThreadStat(t.target.PID, t.target.TID)
		if err != nil || s.State == 'S' { // it has ended, or is asleep; R runs, strace has stopped t
			return
		}
	}
}

// Stop asks strace to let go, kills it where it does not, and cuts what it
// printed into the calls' segments.
func (t *trace) Stop(ctx context.Context, calls []profile.Call, untraced profile.Untraced) (*profile.Observation, error) {
	t.settle(ctx)
	_ = t.cmd.Process.Signal(os.Interrupt)
	timeout := time.NewTimer(detachTimeout)
	defer timeout.Stop()
	select {
	case <-t.done:
	case <-timeout.C:
		t.Abort()
	case <-ctx.Done():
		t.Abort()
		return nil, context.Cause(ctx)
	}
	return observe(t.output, t.overflow, t.target, calls, untraced)
}

// observe makes sense of a trace's text. Where it overflowed it may hold fewer
// calls than were made.
func observe(output []byte, overflow bool, target profile.Target, calls []profile.Call, untraced profile.Untraced) (*profile.Observation, error) {
	if len(calls) == 0 {
		return nil, errors.New("strace: no call was made while it watched")
	}
	all, unread := parse(output)
	runs, err := cut(all, target.TID)
	if err != nil {
		return nil, fmt.Errorf("strace: %w", err)
	}
	o := &profile.Observation{Resolution: resolution, Complete: true}
	if overflow {
		// The last call may be cut off where its output ended.
		runs = runs[:max(0, len(runs)-1)]
		o.Notes = append(o.Notes, fmt.Sprintf("strace printed over %d MiB: periods come from the first %d of %d traced calls",
			maxOutput>>20, len(runs), len(calls)))
	}
	switch {
	case len(runs) == 0:
		return nil, fmt.Errorf("strace: the trace holds none of the %d calls whole (%d lines, %d unreadable)", len(calls), len(all), unread)
	case len(runs) != len(calls) && !overflow:
		return nil, fmt.Errorf("strace: the trace shows %d calls where %d were made (%d unreadable lines)", len(runs), len(calls), unread)
	}
	var warm []run
	var traced time.Duration
	starts := make([]time.Duration, len(runs))
	for i, r := range runs {
		starts[i] = r.start
		if !calls[i].Cold {
			warm = append(warm, r)
			traced += calls[i].Run
		}
	}
	if len(warm) > 0 {
		k := costOf(warm, traced/time.Duration(len(warm)), untraced.Wall)
		for _, r := range warm {
			o.Runs = append(o.Runs, r.segments(k))
		}
		if note := slowed(warm, traced/time.Duration(len(warm)), untraced.Wall); note != "" {
			o.Notes = append(o.Notes, note)
		}
	}
	o.Files = filesOf(all, starts, target.Dir)
	o.Sockets = socketsOf(all, starts)
	return o, nil
}
