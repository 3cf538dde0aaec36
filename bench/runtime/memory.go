package runtime

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/chiron-faas/chiron/bench/load"
	"github.com/chiron-faas/chiron/host"
	"github.com/chiron-faas/chiron/plan"
)

const (
	// memoryWait is how long each function waits, memoryLook when the wrap is
	// looked at during it. A look that finds processes missing is taken again.
	memoryWait  = 1200 * time.Millisecond
	memoryLook  = 700 * time.Millisecond
	memoryTries = 4
	// memorySettle is for what a start and a request leave to be done.
	memorySettle = 300 * time.Millisecond
	// importing is a handler with the imports of one that talks to services.
	importing = `import base64, datetime, decimal, hashlib, json, re, time, urllib.request


def handler(event, context):
    time.sleep(event)
    return event
`
	// standing is an interpreter that has imported a handler and waits for the end
	// of its input.
	standing = `import sys; sys.path.insert(0, sys.argv[1]); import f; print("ready", flush=True); sys.stdin.read()`
)

// held is the memory of a wrap, MB of PSS.
type held struct {
	agent, resident float64 // the agent's; resident as RSS
	rest, inside    float64 // of the host, while nobody calls and during a request
}

// memory holds wraps of each mode with a number of processes against as many
// interpreters with the same imports. Each is alone while it is measured: what two
// share would count for half in each.
func memory(ctx context.Context, o Options, dir string) ([]Table, error) {
	if o.processes == nil {
		o.processes = []int{1, 2, 5, 10, 20}
	}
	found, err := host.FindInterpreter(ctx, "python", o.Runtime)
	if err != nil {
		return nil, err
	}
	t := Table{
		Experiment: "memory", Title: "Memory of a wrap, and of as many interpreters with the same imports (PSS, MB)",
		Keys:    []string{"mode", "processes"},
		Figures: []string{"agent RSS", "agent", "host at rest", "in a request", "interpreters", "wrap : interpreters"},
	}
	separate := make(map[int]float64)
	for _, n := range o.processes {
		o.Progress(fmt.Sprintf("memory: %d interpreters", n))
		if separate[n], err = interpreters(ctx, found.Path, filepath.Join(dir, fmt.Sprintf("separate-%d", n)), n); err != nil {
			return nil, err
		}
	}
	// The first host compiles its modules, which leaves its heap larger.
	if _, err := wrapMemory(ctx, o, dir, plan.Pool, 1); err != nil {
		return nil, err
	}
	for _, mode := range plan.Modes() {
		for _, n := range o.processes {
			o.Progress(fmt.Sprintf("memory: %s with %d processes", mode, n))
			h, err := wrapMemory(ctx, o, dir, mode, n)
			if err != nil {
				return nil, fmt.Errorf("%s with %d processes: %w", mode, n, err)
			}
			t.add([]string{string(mode), fmt.Sprint(n)}, h.resident, h.agent, h.rest, h.inside, separate[n], (h.agent+h.inside)/separate[n])
		}
	}
	return []Table{t}, nil
}

// interpreters starts n of them and returns what they hold.
func interpreters(ctx context.Context, python, dir string, n int) (mb float64, err error) {
	if err := errors.Join(os.MkdirAll(dir, 0o700), os.WriteFile(filepath.Join(dir, "f.py"), []byte(importing), 0o600)); err != nil {
		return 0, err
	}
	var pids []int
	for range n {
		c := exec.CommandContext(ctx, python, "-c", standing, dir)
		c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		in, err2 := c.StdinPipe()
		if err2 != nil {
			return 0, err2
		}
		out, err2 := c.StdoutPipe()
		if err2 != nil {
			return 0, errors.Join(err2, in.Close())
		}
		if err2 := c.Start(); err2 != nil {
			return 0, err2
		}
		defer func() { err = errors.Join(err, endInterpreter(c, in)) }()
		if line, err2 := bufio.NewReader(out).ReadString('\n'); err2 != nil || line != "ready\n" {
			return 0, fmt.Errorf("an interpreter said %q: %w", line, err2)
		}
		pids = append(pids, c.Process.Pid)
	}
	if err := sleep(ctx, memorySettle); err != nil {
		return 0, err
	}
	return shareMB(pids...), nil
}

func endInterpreter(c *exec.Cmd, in io.Closer) error {
	_ = in.Close() // it may have ended
	return c.Wait()
}

// wrapMemory looks at a wrap of n processes, with a function in each, side by side.
func wrapMemory(ctx context.Context, o Options, dir string, mode plan.Mode, n int) (_ held, err error) {
	p := &project{name: fmt.Sprintf("%s-%d", mode, n), runtime: o.Runtime, functions: make(map[string]string)}
	var tasks []string
	w := plan.Wrap{}
	for i := range n {
		name := fmt.Sprintf("F%d", i+1)
		tasks = append(tasks, name)
		w.Processes = append(w.Processes, plan.Process{Mode: mode, Tasks: []string{name}})
		p.functions[fmt.Sprintf("f%d", i+1)] = importing
	}
	p.wraps = []plan.Wrap{w}
	p.definition = object{"StartAt": "P", "States": object{"P": parallel(tasks, "")}}
	served, target, err := serve(ctx, o, dir, p)
	if err != nil {
		return held{}, err
	}
	defer func() { err = errors.Join(err, served.Down(ctx), os.RemoveAll(filepath.Join(dir, p.name))) }()
	status, err := served.Running.Status(ctx)
	if err != nil {
		return held{}, err
	}
	agent := status.Wraps[0].PID
	// Served once: the workers have run their functions, children are replaced.
	target.Body = []byte("0")
	if _, err := load.Run(ctx, target, load.Options{Connections: 1, Requests: 1}); err != nil {
		return held{}, err
	}
	if err := sleep(ctx, memorySettle); err != nil {
		return held{}, err
	}
	h := held{agent: shareMB(agent), rest: shareMB(tree(agent)[1:]...)}
	if h.resident, err = residentMB(agent); err != nil {
		return held{}, err
	}
	for range memoryTries {
		var seen int
		if h.inside, seen, err = duringRequest(ctx, target, agent); err != nil {
			return held{}, err
		}
		if seen > n { // the zygote, and a worker for each function
			return h, nil
		}
	}
	return held{}, fmt.Errorf("the wrap had fewer than %d processes during a request: the machine is too busy", n+1)
}

// duringRequest is what the host holds while all functions wait, and how many
// processes it has.
func duringRequest(ctx context.Context, target load.Target, agent int) (mb float64, processes int, err error) {
	target.Body = fmt.Appendf(nil, "%.1f", memoryWait.Seconds())
	conn, err := load.Dial(ctx, target)
	if err != nil {
		return 0, 0, err
	}
	defer func() { _ = conn.Close() }()
	answered := make(chan error, 1)
	go func() {
		_, err := conn.Post(ctx, false)
		answered <- err
	}()
	err = sleep(ctx, memoryLook)
	pids := tree(agent)[1:]
	mb = shareMB(pids...)
	if err != nil {
		_ = conn.Close()
	}
	return mb, len(pids), errors.Join(err, <-answered)
}
