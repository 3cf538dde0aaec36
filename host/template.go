package host

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// TemplateRef names a template, and what a zygote that is forked of it joins.
type TemplateRef struct {
	// Socket that the template listens on.
	Socket string
	// Join lists files that the zygote writes itself into before anything else:
	// the cgroup.procs of the control groups that it belongs to.
	Join []string
}

// TemplateSpec says what a template is. Paths are absolute.
type TemplateSpec struct {
	// Interpreter and Program as Spec's.
	Interpreter, Program string
	// Socket to listen on; its folder says who may.
	Socket string
	// WorkDir is the current folder, and the home of temporary files.
	WorkDir string
	// Log takes what it prints, which is nothing unless it fails; nil: dropped.
	Log func(line string)
}

// Template is a warm interpreter: a process that has started and imported what
// every host imports, nothing of any function, and forks zygotes (Spec.Template)
// in some milliseconds. It knows nothing of what they run, and they live on when
// it ends.
type Template struct {
	process  *process
	listener *net.UnixListener
	output   *os.File
	read     chan struct{} // closed when output has ended
}

// StartTemplate starts one and does not wait until it is warm: who asks it for a
// zygote before waits.
func StartTemplate(spec TemplateSpec) (*Template, error) {
	fail := func(err error) error { return &StartError{Interpreter: spec.Interpreter, Err: err} }
	if err := os.MkdirAll(filepath.Join(spec.WorkDir, "tmp"), 0o700); err != nil {
		return nil, fail(err)
	}
	host := Spec{Interpreter: spec.Interpreter, Program: spec.Program, SitePath: nil}
	env, _, err := host.environment(spec.WorkDir)
	if err != nil {
		return nil, fail(err)
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: spec.Socket, Net: "unix"})
	if err != nil {
		return nil, fail(err)
	}
	t := &Template{listener: l, read: make(chan struct{})}
	theirs, err := l.File()
	if err != nil {
		return nil, errors.Join(fail(err), l.Close())
	}
	r, w, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(fail(err), theirs.Close(), l.Close())
	}
	t.output = r
	cmd := host.command()
	cmd.Args = append(cmd.Args, "template")
	cmd.Dir, cmd.Env = spec.WorkDir, env
	cmd.ExtraFiles = []*os.File{theirs}
	cmd.Stdout, cmd.Stderr = w, w
	t.process, err = startProcess(cmd)
	_, _ = theirs.Close(), w.Close()
	if err != nil {
		return nil, errors.Join(fail(err), r.Close(), l.Close())
	}
	go func() { // ends with the pipe, which Close waits for
		defer close(t.read)
		z := Zygote{spec: Spec{Log: func(l LogLine) {
			if spec.Log != nil {
				spec.Log(l.Text)
			}
		}}}
		z.readOutput(r, "stderr", &tailBuffer{stopped: true})
	}()
	return t, nil
}

// Pid of the template.
func (t *Template) Pid() int { return t.process.pid }

// Done is closed when the template has ended, by Close or by itself.
func (t *Template) Done() <-chan struct{} { return t.process.done }

// Close ends the template; its zygotes are their agents' matter.
func (t *Template) Close() error {
	t.process.kill()
	<-t.process.done
	_ = t.output.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
	<-t.read
	return errors.Join(t.listener.Close(), t.output.Close())
}

// forkable says whether functions may run in a fork of an interpreter that was
// started with another environment: not where a variable is read at the start of
// the interpreter, its locale or its C library.
func forkable(functions []Function) bool {
	for _, f := range functions {
		for name := range f.Env {
			for _, prefix := range []string{"PYTHON", "LC_", "LD_", "MALLOC_", "GLIBC_"} {
				if strings.HasPrefix(name, prefix) {
					return false
				}
			}
			if name == "LANG" || name == "LANGUAGE" {
				return false
			}
		}
	}
	return true
}

type forkFrame struct {
	Dir  string            `json:"dir"`
	Env  map[string]string `json:"env"`
	Join []string          `json:"join,omitempty"`
}

// forkPatience bounds the wait for a fork: a template that is still starting
// takes as long as a new interpreter would.
const forkPatience = 5 * time.Second

// errTemplateHangs says that another start has to be made from the beginning: the
// template still has the descriptors of this one.
var errTemplateHangs = errors.New("the template does not answer in time")

// fork asks for a zygote that is what cmd would start: its control socket, stdout
// and stderr are given.
func (t TemplateRef) fork(ctx context.Context, cmd *exec.Cmd, given []*os.File) (_ *process, err error) {
	request := forkFrame{Dir: cmd.Dir, Env: make(map[string]string), Join: t.Join}
	for _, v := range cmd.Env {
		name, value, _ := strings.Cut(v, "=")
		request.Env[name] = value
	}
	payload, err := json.Marshal(request)
	if err != nil {
		return nil, err
	}
	var d net.Dialer
	c, err := d.DialContext(ctx, "unix", t.Socket)
	if err != nil {
		return nil, err
	}
	conn := c.(*net.UnixConn)
	defer func() {
		if err != nil {
			_ = conn.Close()
		}
	}()
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if err := conn.SetDeadline(time.Now().Add(forkPatience)); err != nil {
		return nil, err
	}
	// Descriptors that are sent to a socket which nobody has accepted stay open for
	// as long as it waits: the zygote's end would never be seen. So it speaks first.
	kind, _, err := readControlFrame(conn)
	if err == nil && kind != kindReady {
		err = fmt.Errorf("unexpected frame of kind %d", kind)
	}
	if err != nil {
		return nil, fmt.Errorf("the template does not take requests: %w", err)
	}
	fds := make([]int, len(given))
	for i, f := range given {
		fds[i] = int(f.Fd())
	}
	frame := appendControl(nil, kindFork, payload)
	n, _, err := conn.WriteMsgUnix(frame, unix.UnixRights(fds...), nil)
	if err == nil && n < len(frame) {
		_, err = conn.Write(frame[n:])
	}
	if err != nil {
		return nil, fmt.Errorf("ask the template: %w", err)
	}
	pid, errno, err := readPair(conn, kindForked)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return nil, fmt.Errorf("%w: it has been sent what its zygote gets", errTemplateHangs)
	}
	if err != nil {
		return nil, fmt.Errorf("the template's answer: %w", err)
	}
	if pid == 0 {
		return nil, fmt.Errorf("fork: %w", syscall.Errno(errno))
	}
	if err := conn.SetDeadline(time.Time{}); err != nil {
		return nil, err
	}
	p := &process{pid: pid, done: make(chan struct{})}
	go p.follow(conn) // ends with the process, which who has it waits for
	return p, nil
}

// follow waits for the end of a template's child.
func (p *process) follow(conn *net.UnixConn) {
	defer close(p.done)
	defer conn.Close()
	pid, status, err := readPair(conn, kindEnded)
	if err == nil && pid == p.pid {
		if status != 0 {
			p.err = waitStatus(pid, int32(status))
		}
		return
	}
	// The template has ended, and its child has not: that tells its end itself.
	p.err = errors.New("it ended after its template")
	fd, err := unix.PidfdOpen(p.pid, 0)
	if err != nil {
		return // it is gone
	}
	defer unix.Close(fd)
	for {
		_, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, -1)
		if !errors.Is(err, unix.EINTR) {
			return
		}
	}
}

// readPair reads a frame of two numbers.
func readPair(conn *net.UnixConn, want uint8) (pid int, value int, err error) {
	kind, payload, err := readControlFrame(conn)
	if err != nil {
		return 0, 0, err
	}
	if kind != want || len(payload) != 8 {
		return 0, 0, fmt.Errorf("unexpected frame of kind %d with %d bytes", kind, len(payload))
	}
	return int(int32(binary.LittleEndian.Uint32(payload))), int(int32(binary.LittleEndian.Uint32(payload[4:]))), nil
}
