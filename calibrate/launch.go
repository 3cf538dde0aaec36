package calibrate

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/chiron-faas/chiron/bundle"
)

const (
	// startPatience bounds a wrap's start, an interpreter's and its imports: a
	// tenth of a second each on an idle machine. Chosen, for a busy one.
	startPatience = 15 * time.Second
	// readyPause lies between two looks whether a wrap is ready.
	readyPause = 10 * time.Millisecond
	// stopPatience is how long an agent may take to end once its leash is cut.
	stopPatience = 5 * time.Second
)

// agent is one running chiron-agent. Its leash is a pipe that ends with this
// process, so that nothing outlives it, however it ends.
type agent struct {
	name   string
	cmd    *exec.Cmd
	leash  io.WriteCloser
	words  *lastWords
	socket string
	exited chan struct{}
	err    error // of Wait; read after exited
}

// startAgent starts the agent of a bundle.
func startAgent(binary string, b bundle.Bundle, socket string, cpus, peers []string) (*agent, error) {
	args := []string{b.Dir, "--listen", "unix://" + socket, "--leash"}
	if cpus != nil {
		args = append(args, "--cpus", strings.Join(cpus, ","))
	}
	for _, p := range peers {
		args = append(args, "--peer", p)
	}
	a := &agent{name: b.Wrap, cmd: exec.Command(binary, args...), words: &lastWords{}, socket: socket, exited: make(chan struct{})}
	a.cmd.Stderr = a.words
	// A group of its own: Ctrl-C is ours to hear, and we end the agent.
	a.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	a.cmd.WaitDelay = stopPatience // for the log, if something holds it open
	leash, err := a.cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", b.Wrap, err)
	}
	a.leash = leash
	if err := a.cmd.Start(); err != nil {
		return nil, errors.Join(fmt.Errorf("start %s: %w", b.Wrap, err), leash.Close())
	}
	go func() {
		a.err = a.cmd.Wait()
		close(a.exited)
	}()
	return a, nil
}

// ready waits until the wrap takes requests.
func (a *agent) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, startPatience, fmt.Errorf("it was not ready within %v", startPatience))
	defer cancel()
	for {
		if c, err := dial(ctx, a.socket); err == nil {
			ok := c.ready(ctx)
			c.close()
			if ok {
				return nil
			}
		}
		select {
		case <-a.exited:
			return fmt.Errorf("wrap %s ended while it started (%v): %s", a.name, a.err, a.words)
		case <-ctx.Done():
			return fmt.Errorf("wrap %s: %w: %s", a.name, context.Cause(ctx), a.words)
		case <-time.After(readyPause):
		}
	}
}

// stop cuts the leash and waits: the agent kills its processes and ends.
func (a *agent) stop() {
	_ = a.leash.Close()
	select {
	case <-a.exited:
	case <-time.After(stopPatience):
		_ = a.cmd.Process.Kill()
		<-a.exited
	}
}

// lastWords keeps the end of an agent's log, to explain why it ended.
type lastWords struct {
	mu   sync.Mutex
	tail []byte // guarded by mu
}

// wordsKept of an agent's log, bytes.
const wordsKept = 2 << 10

func (w *lastWords) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.tail = append(w.tail, p...)
	if n := len(w.tail) - wordsKept; n > 0 {
		w.tail = append(w.tail[:0], w.tail[n:]...)
	}
	return len(p), nil
}

func (w *lastWords) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.tail) == 0 {
		return "it said nothing"
	}
	return string(w.tail)
}

// running is a shape that takes requests.
type running struct {
	*shape
	agents []*agent
	client *client
}

// launch builds the shape's bundles and starts its wraps. Where it fails,
// nothing is left running.
func (m *measurer) launch(ctx context.Context, s *shape, index int) (_ *running, err error) {
	project, err := s.project(m.code, m.functions)
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(m.dir, s.name)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("shape %s: %w", s.name, err)
	}
	bundles, err := bundle.Build(ctx, bundle.Options{
		Project: project, Plan: s.plan(m.cpus), OutDir: dir, CacheDir: filepath.Join(m.dir, "cache"),
	})
	if err != nil {
		return nil, fmt.Errorf("shape %s: %w", s.name, err)
	}
	r := &running{shape: s}
	defer func() {
		if err != nil {
			r.stop()
		}
	}()
	sockets := make([]string, len(bundles))
	var peers []string
	for i, b := range bundles {
		// Short: a socket's path has at most 107 bytes.
		sockets[i] = filepath.Join(m.dir, fmt.Sprintf("%d-%d", index, i+1))
		if i > 0 {
			peers = append(peers, b.Wrap+"=unix://"+sockets[i])
		}
	}
	var cpus []string // all
	if s.oneCPU {
		cpus = []string{strconv.Itoa(m.first)}
	}
	for i, b := range bundles {
		of := peers
		if i > 0 {
			of = nil // only wrap 1 calls others
		}
		a, err := startAgent(m.Agent, b, sockets[i], cpus, of)
		if err != nil {
			return nil, err
		}
		r.agents = append(r.agents, a)
	}
	for _, a := range r.agents {
		if err := a.ready(ctx); err != nil {
			return nil, err
		}
	}
	if r.client, err = dial(ctx, sockets[0]); err != nil {
		return nil, fmt.Errorf("shape %s: %w", s.name, err)
	}
	return r, nil
}

// launchAll starts the shapes, a few at a time. What was started is in
// m.running, in the shapes' order, also where it fails.
func (m *measurer) launchAll(ctx context.Context, shapes []*shape) error {
	started := make([]*running, len(shapes))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(max(2, m.cpus))
	for i, s := range shapes {
		m.Progress(Step{What: "start wraps", Done: i, Of: len(shapes)})
		group.Go(func() (err error) {
			started[i], err = m.launch(ctx, s, i)
			return err
		})
	}
	err := group.Wait()
	for _, r := range started {
		if r != nil {
			m.running = append(m.running, r)
		}
	}
	return err
}

// stopAll stops the wraps of all shapes at once and waits for their end.
func stopAll(all []*running) {
	for _, r := range all {
		r.cut()
	}
	for _, r := range all {
		r.stop()
	}
}

// cut tells the wraps to end.
func (r *running) cut() {
	if r.client != nil {
		r.client.close()
	}
	for _, a := range r.agents {
		_ = a.leash.Close()
	}
}

func (r *running) stop() {
	r.cut()
	for _, a := range r.agents {
		a.stop()
	}
}
