package container

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/chiron-faas/chiron/deploy"
	"github.com/chiron-faas/chiron/deploy/logs"
	"github.com/chiron-faas/chiron/internal/netns"
)

// container is one run of an image.
type container struct {
	function *Deployed
	label    string // as it is named in logs
	id       string // runc's
	dir      string
	files    *rootfs
	// network of its own; nil: the machine's, where it has the port.
	network *netns.Namespace
	port    int
	door    net.Listener
	cmd     *exec.Cmd
	leash   *leash
	output  []*logs.Lines
	exited  chan struct{} // closed when runc has been waited for

	mu   sync.Mutex
	last []string // lines that it printed, the newest last; guarded by mu
}

// leash is a process that ends a container when this one is gone: it reads from a
// pipe that only this one can write to. A signal at the parent's death would reach
// runc and not the container, and one that the container gets it may ignore.
type leash struct {
	cmd  *exec.Cmd
	held *os.File
}

// hold starts the leash of a container and of its mounts.
func (c *container) hold() (*leash, error) {
	e := c.function.engine
	read, write, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	const script = `read -r _; "$0" --root "$1" delete --force "$2"; shift 2; for mount; do umount -l "$mount"; done`
	mounts := slices.Clone(c.files.mounts)
	slices.Reverse(mounts)
	args := append([]string{"-c", script, e.options.Runc, e.runcDir(), c.id}, mounts...)
	l := &leash{cmd: exec.Command(e.shell, args...), held: write}
	l.cmd.Stdin = read
	l.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // the terminal's Ctrl-C is not for it
	err = l.cmd.Start()
	err = errors.Join(err, read.Close())
	if err != nil {
		return nil, errors.Join(err, write.Close())
	}
	return l, nil
}

// let ends the leash without its doing anything.
func (l *leash) let() {
	_ = l.cmd.Process.Kill()
	_ = l.cmd.Wait()
	_ = l.held.Close()
}

// start makes and starts a container. What fails leaves nothing behind.
func (f *Deployed) start(label string, number int) (_ *container, err error) {
	e := f.engine
	name := fmt.Sprintf("%s-%d-%d", f.options.Name, f.options.Generation, number)
	c := &container{function: f, label: label, id: e.idOf(name), dir: filepath.Join(e.runDir(), name), exited: make(chan struct{})}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.clean())
		}
	}()
	if err := os.MkdirAll(c.dir, 0o700); err != nil {
		return nil, err
	}
	if c.files, err = newRootfs(f.options.Image, filepath.Join(c.dir, "files"), f.scratch()); err != nil {
		return nil, err
	}
	if err := c.connect(); err != nil {
		return nil, err
	}
	u, err := userOf(c.files.root(), f.options.Image.config.User)
	if err != nil {
		return nil, c.startError("%v", err)
	}
	spec, err := c.specOf(u)
	if err != nil {
		return nil, c.startError("%v", err)
	}
	data, err := json.Marshal(spec)
	if err == nil {
		err = os.WriteFile(filepath.Join(c.dir, "config.json"), data, 0o600)
	}
	if err != nil {
		return nil, err
	}
	if c.leash, err = c.hold(); err != nil {
		return nil, fmt.Errorf("start what ends a container: %w", err)
	}
	cmd := e.runc(context.Background(), "--log", c.runcLog(), "--log-format", "json",
		"run", "--bundle", c.dir, "--pid-file", filepath.Join(c.dir, "pid"), c.id)
	cmd.Stdout, cmd.Stderr = c.printed("stdout"), c.printed("stderr")
	cmd.WaitDelay = lastOutput
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return nil, c.startError("%v", err)
	}
	c.cmd = cmd
	go func() { // ends with the container, which clean waits for
		_ = cmd.Wait()
		for _, o := range c.output {
			o.End()
		}
		close(c.exited)
	}()
	return c, nil
}

// lastOutput is how long the output of a container that has ended is read on.
const lastOutput = time.Second

func (c *container) startError(format string, args ...any) error {
	return &deploy.StartError{Wrap: c.label, Message: fmt.Sprintf(format, args...)}
}

// keptLines of a container's output are told where it fails.
const keptLines = 5

// printed takes one of its streams.
func (c *container) printed(stream string) io.Writer {
	ours := c.function.options.Image.isOurs()
	l := &logs.Lines{Take: func(data []byte) {
		line := deploy.LogLine{Time: time.Now(), Wrap: c.label, Stream: stream, Text: string(data)}
		if ours && len(data) > 0 && data[0] == '{' { // an agent's log
			line = logs.Parse(data, c.label)
		}
		c.mu.Lock()
		c.last = append(c.last, line.Text)
		if len(c.last) > keptLines {
			c.last = c.last[1:]
		}
		c.mu.Unlock()
		c.function.log.Add(line)
	}}
	c.output = append(c.output, l)
	return l
}

func (c *container) runcLog() string { return filepath.Join(c.dir, "runc.log") }

// lastWord says why it has ended: runc's word where it was not started, its own
// last lines otherwise.
func (c *container) lastWord() string {
	if said := runcSaid(c.runcLog()); said != "" {
		return said
	}
	text := c.cmd.ProcessState.String()
	if code := c.cmd.ProcessState.ExitCode(); code > 128 { // as a shell has it
		text = fmt.Sprintf("killed by %v", syscall.Signal(code-128))
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.last) > 0 {
		text += ": " + strings.Join(c.last, " | ")
	}
	return text
}

// runcSaid is the last error in runc's log, of which a line is a JSON object.
func runcSaid(file string) string {
	data, err := os.ReadFile(file)
	if err != nil {
		return ""
	}
	last := ""
	for line := range strings.Lines(string(data)) {
		var entry struct{ Level, Msg string }
		if json.Unmarshal([]byte(line), &entry) == nil && entry.Level == "error" {
			last = entry.Msg
		}
	}
	// "runc run failed: unable to start container process: …"
	return strings.TrimPrefix(strings.TrimPrefix(last, "runc run failed: "), "unable to start container process: ")
}

// await waits until the function serves, or says why it does not.
func (c *container) await(ctx context.Context) error {
	patience := c.function.engine.options.StartTimeout
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	for pause := 5 * time.Millisecond; ; pause = min(2*pause, 200*time.Millisecond) {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-c.exited:
			return c.startError("it ended before it served: %s", c.lastWord())
		case <-deadline.C:
			return c.startError("it does not serve on port %d after %v", c.port, patience)
		case <-time.After(pause):
			// It may serve before runc has written down which process it is.
			if c.ready(ctx) && c.pid() != 0 {
				return nil
			}
		}
	}
}

// ready asks as OpenFaaS asks. What takes connections and knows no such path serves
// too: it is no watchdog.
func (c *container) ready(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	conn, err := c.dial(ctx)
	if err != nil {
		return false
	}
	defer func() { _ = conn.Close() }()
	once := http.Transport{
		DisableKeepAlives: true,
		DialContext:       func(context.Context, string, string) (net.Conn, error) { return conn, nil },
	}
	path := cmp.Or(c.function.options.ReadyPath, "/_/health")
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://function"+path, nil)
	if err != nil {
		return true
	}
	resp, err := once.RoundTrip(req)
	if err != nil {
		return ctx.Err() == nil // it speaks no HTTP, and the caller will hear so
	}
	_ = resp.Body.Close()
	// A watchdog answers 503 until its function is there.
	return resp.StatusCode != http.StatusServiceUnavailable && resp.StatusCode != http.StatusBadGateway
}

// end has it finish what it does, and kills it when it takes too long.
func (c *container) end() error {
	signal := cmp.Or(c.function.options.Image.config.StopSignal, "TERM")
	ctx, cancel := context.WithTimeout(context.Background(), c.function.engine.options.Grace)
	defer cancel()
	select {
	case <-c.exited:
		return c.clean()
	default:
	}
	_ = c.function.engine.runc(ctx, "kill", c.id, strings.TrimPrefix(signal, "SIG")).Run() // it may have ended
	select {
	case <-c.exited:
	case <-ctx.Done():
	}
	return c.clean()
}

// clean ends what there is of it and takes it all away.
func (c *container) clean() error {
	var failures []error
	if c.cmd != nil {
		e := c.function.engine
		if _, err := os.Stat(filepath.Join(e.runcDir(), c.id)); err == nil {
			if out, err := e.runc(context.Background(), "delete", "--force", c.id).CombinedOutput(); err != nil {
				failures = append(failures, fmt.Errorf("end container %s: %w: %s", c.id, err, out))
			}
		}
		select {
		case <-c.exited:
		case <-time.After(killPatience):
			_ = c.cmd.Process.Kill() // runc, which waits for nobody
			<-c.exited
		}
	}
	if c.leash != nil {
		c.leash.let()
	}
	if c.door != nil {
		_ = c.door.Close()
	}
	if c.network != nil {
		failures = append(failures, c.network.Close())
	}
	if c.files != nil {
		failures = append(failures, c.files.remove())
	}
	if err := errors.Join(failures...); err != nil {
		return err
	}
	return os.RemoveAll(c.dir)
}

// killPatience is how long runc may take to see that its container was killed.
const killPatience = 5 * time.Second

// pid is that of its first process; 0: there is none.
func (c *container) pid() int {
	data, err := os.ReadFile(filepath.Join(c.dir, "pid"))
	if err != nil {
		return 0
	}
	var pid int
	if _, err := fmt.Sscan(string(data), &pid); err != nil {
		return 0
	}
	return pid
}

// memory is what its processes hold, bytes; 0: not known.
func (c *container) memory() int64 {
	for _, m := range c.function.engine.groups {
		own := m.Own
		if m.V2 && !m.Root() {
			own = filepath.Dir(own) // runc puts it beside this process' group
		}
		for _, file := range []string{"memory.usage_in_bytes", "memory.current"} {
			var n int64
			if data, err := os.ReadFile(filepath.Join(own, c.id, file)); err == nil {
				if _, err := fmt.Sscan(string(data), &n); err == nil {
					return n
				}
			}
		}
	}
	return 0
}
