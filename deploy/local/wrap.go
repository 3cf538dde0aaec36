package local

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
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

	"github.com/chiron-faas/chiron/bundle"
	"github.com/chiron-faas/chiron/deploy"
	"github.com/chiron-faas/chiron/deploy/logs"
	"github.com/chiron-faas/chiron/internal/procfs"
	"github.com/chiron-faas/chiron/internal/restart"
	"github.com/chiron-faas/chiron/plan"
)

const (
	// readyEvery is how often a starting wrap is asked whether it is ready; one
	// that takes long is asked ever less often, down to readySeldom.
	readyEvery  = 5 * time.Millisecond
	readySeldom = 100 * time.Millisecond
	// lastOutput is how long output is read that outlives the agent.
	lastOutput = time.Second
)

// wrap keeps one wrap of a deployment.
type wrap struct {
	keeper   *keeper
	instance *instance
	name     string
	// label is wrapLabel's: unique in the deployment.
	label  string
	bundle bundle.Bundle
	cpus   []int // the machine's, in the plan's order
	socket string
	limits limits
	group  group
	log    *logs.File
	client *http.Client

	mu     sync.Mutex
	status deploy.WrapStatus // guarded by mu
	agent  identity          // of the live agent; zero: none. guarded by mu
	// left is what the last stop could not end; keep writes it, takeDown reads
	// it after keep has returned.
	left error
}

// newWrap prepares a wrap of an instance; the caller holds the keeper's mu.
func newWrap(i *instance, spec *plan.Wrap, b bundle.Bundle, cpus []int) (*wrap, error) {
	k, label := i.keeper, wrapLabel(spec.Name, i.number)
	w := &wrap{keeper: k, instance: i, name: spec.Name, label: label, bundle: b, cpus: cpus, socket: filepath.Join(k.dir, label+".sock")}
	if n := len(w.socket); n > maxSocketPath {
		return nil, fmt.Errorf("deploy %q: the socket %s has %d bytes and may have %d: choose a shorter state folder", k.name, w.socket, n, maxSocketPath)
	}
	var err error
	if w.log, err = logs.Open(filepath.Join(k.dir, "logs", label+logs.Ending), k.target.options.Lines); err != nil {
		return nil, err
	}
	w.status = deploy.WrapStatus{
		Name: spec.Name, Instance: i.number, State: deploy.WrapStarting, Since: time.Now(), CPUs: cpus,
		Address: "unix://" + w.socket, Functions: b.Functions,
	}
	w.limits = limits{cpus: distinct(cpus), quota: len(distinct(cpus)), memory: spec.Memory, pids: k.target.options.Processes}
	if len(k.target.hierarchies) > 0 {
		var notes []string
		w.group, notes = newGroup(k.target.hierarchies, groupName(k.name, label), w.limits)
		for _, n := range notes {
			if !slices.Contains(k.status.Notes, n) {
				k.status.Notes = append(k.status.Notes, n)
			}
		}
		if w.group.enforced["memory"] {
			w.status.MemoryLimit = spec.Memory
		}
	}
	w.client = &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "unix", w.socket)
		},
		DisableKeepAlives: true,
	}}
	return w, nil
}

// maxSocketPath is sun_path of struct sockaddr_un less its terminating zero
// (unix(7)).
const maxSocketPath = 107

// groupName is unique among a state folder's deployments.
func groupName(deployment, wrap string) string { return deployment + "." + wrap }

func (w *wrap) endpoint(path string) deploy.Endpoint {
	return deploy.Endpoint{Wrap: w.name, Network: "unix", Address: w.socket, Path: path}
}

// keep runs the agent, again when it dies, until ctx ends; then it ends it. What
// became of the first start is sent on started.
func (w *wrap) keep(ctx context.Context, started chan<- error) {
	pauses := restart.Pauses{First: 100 * time.Millisecond, Longest: 10 * time.Second, Well: 30 * time.Second}
	for first := true; ; {
		begun := time.Now()
		p, err := w.start()
		if err == nil {
			err = w.await(ctx, p)
		}
		if err == nil {
			w.well(time.Since(begun))
		}
		if first {
			started <- err
			if err != nil {
				w.stop(p)
				return
			}
			first = false
		}
		if err == nil {
			select {
			case <-ctx.Done():
			case <-p.exited:
				err = errors.New(w.lastWord(p))
			}
		}
		if ctx.Err() != nil {
			w.stop(p)
			return
		}
		lived := time.Since(begun)
		pause := pauses.After(lived)
		w.stop(p) // what it left behind, or an agent that never became ready
		w.keeper.target.options.Log.Warn("a wrap died and is started again", "deployment", w.keeper.name, "wrap", w.label,
			"error", err.Error(), "lived", lived.Round(time.Millisecond).String(), "pause", pause.String())
		w.mu.Lock()
		w.status.Restarts++
		w.mu.Unlock()
		w.set(deploy.WrapRestarting, err.Error())
		select {
		case <-ctx.Done():
			w.set(deploy.WrapStopped, "")
			return
		case <-time.After(pause):
		}
	}
}

// well notes that the wrap is ready, and how long that took.
func (w *wrap) well(took time.Duration) {
	w.mu.Lock()
	w.status.StartMS = float64(took.Microseconds()) / 1e3
	w.mu.Unlock()
	w.set(deploy.WrapReady, "")
}

// agent is one run of chiron-agent.
type agent struct {
	cmd    *exec.Cmd
	output *agentOutput
	exited chan struct{} // closed when it has been waited for
	// kills is how many of the group's processes had been killed for want of
	// memory when it began.
	kills int64
}

// start runs the agent.
func (w *wrap) start() (*agent, error) {
	o := w.keeper.target.options
	work := workDir(w.keeper.dir, w.label)
	tmp := filepath.Join(work, "tmp")
	// What an agent that was killed has left; its processes are gone. Where it
	// cannot be removed, it only takes room.
	_ = os.RemoveAll(work)
	if err := os.MkdirAll(tmp, 0o700); err != nil {
		return nil, fmt.Errorf("start wrap %s: %w", w.name, err)
	}
	args := []string{w.bundle.Dir, "--listen", "unix://" + w.socket, "--leash", "--grace", o.Grace.String()}
	if cpus := distinct(w.cpus); len(cpus) > 0 {
		args = append(args, "--cpus", joinInts(uniqueInOrder(w.cpus)))
	}
	args = append(args, w.group.flags(w.limits)...)
	args = append(args, w.keeper.warmFlags(w)...)
	for _, peer := range w.instance.wraps {
		if peer != w {
			args = append(args, "--peer", peer.name+"=unix://"+peer.socket)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(w.keeper.peers)) {
		args = append(args, "--peer", name+"="+w.keeper.peers[name])
	}
	for _, v := range w.keeper.env {
		name, _, _ := strings.Cut(v, "=")
		args = append(args, "--pass-env", name)
	}
	a := &agent{cmd: exec.Command(o.Agent, args...), output: newAgentOutput(w.log, w.label), exited: make(chan struct{})}
	a.cmd.Dir = work
	a.cmd.Env = environment(tmp, slices.Concat(o.Environ, w.keeper.env))
	a.cmd.Stdin = w.keeper.leashed
	a.cmd.Stderr = a.output
	a.cmd.WaitDelay = lastOutput
	a.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	a.kills, _ = w.group.memory.OOMKills() // 0 where it is not told
	if err := a.cmd.Start(); err != nil {
		return nil, &deploy.StartError{Wrap: w.name, Message: err.Error()}
	}
	id, err := identify(a.cmd.Process.Pid)
	if err == nil && w.group.exists() {
		err = w.group.addTree(id.PID)
	}
	w.mu.Lock()
	w.agent = id
	w.status.PID = id.PID
	w.mu.Unlock()
	// A process that has been waited for, and so may have given its pid away, is
	// not signalled: exited comes first.
	go func() { // ends with the agent, which stop waits for
		_ = a.cmd.Wait()
		a.output.End()
		close(a.exited)
	}()
	if err != nil {
		return a, fmt.Errorf("start wrap %s: %w", w.name, err)
	}
	// Recorded before anything can go wrong, so that it can be cleared away. A
	// disk that is full must not keep a wrap from its restart: what is not recorded
	// is found by its group, or by its working folder.
	if err := w.keeper.save(); err != nil {
		w.keeper.target.options.Log.Error("could not write the deployment's state", "deployment", w.keeper.name, "error", err.Error())
	}
	return a, nil
}

// workDir is the working folder of one wrap of the deployment in dir.
func workDir(dir, wrap string) string { return filepath.Join(dir, "work", wrap) }

// environment is made from nothing: what is needed to find an interpreter, and
// nothing of what the keeper may hold.
func environment(tmp string, more []string) []string {
	env := []string{"LANG=C.UTF-8", "TMPDIR=" + tmp}
	for _, key := range []string{"PATH", "HOME", "PYENV_ROOT"} {
		if v, ok := os.LookupEnv(key); ok {
			env = append(env, key+"="+v)
		}
	}
	return append(env, more...)
}

// uniqueInOrder drops repetitions.
func uniqueInOrder(cpus []int) []int {
	var out []int
	for _, c := range cpus {
		if !slices.Contains(out, c) {
			out = append(out, c)
		}
	}
	return out
}

// await waits until the agent is ready.
func (w *wrap) await(ctx context.Context, a *agent) error {
	o := w.keeper.target.options
	deadline := time.NewTimer(o.StartTimeout)
	defer deadline.Stop()
	started := time.Now()
	tick := time.NewTimer(readyEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-a.exited:
			return &deploy.StartError{Wrap: w.name, Message: w.lastWord(a)}
		case <-deadline.C:
			return &deploy.StartError{Wrap: w.name, Message: fmt.Sprintf("it was not ready after %v: a function takes too long to import, or waits for something while it does", o.StartTimeout)}
		case <-tick.C:
			if w.ready(ctx) {
				return nil
			}
			tick.Reset(min(max(readyEvery, time.Since(started)/20), readySeldom))
		}
	}
}

func (w *wrap) ready(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://wrap/_/ready", nil)
	if err != nil {
		return false
	}
	resp, err := w.client.Do(req)
	if err != nil {
		return false
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

// lastWord says why the agent ended: what it logged last as an error, unless it
// was killed and so had no say.
func (w *wrap) lastWord(a *agent) string {
	ended := a.cmd.ProcessState
	if s, ok := ended.Sys().(syscall.WaitStatus); ok && s.Signaled() {
		// Its workers go first; of those it may have said so itself.
		if n, err := w.group.memory.OOMKills(); err == nil && n > a.kills && s.Signal() == syscall.SIGKILL {
			return fmt.Sprintf("%s, and processes of the wrap were killed at its memory limit of %.1f MB", ended, float64(w.limits.memory)/1e6)
		}
		return ended.String()
	}
	if last := a.output.lastError(); last != "" {
		return last
	}
	return ended.String()
}

// stop ends the agent: SIGTERM, which lets requests inside end, then SIGKILL;
// and whatever it has left behind. a may be nil or ended.
func (w *wrap) stop(a *agent) {
	if a != nil {
		w.set(deploy.WrapStopping, "")
		_ = a.cmd.Process.Signal(syscall.SIGTERM) // it may have ended
		select {
		case <-a.exited:
		case <-time.After(w.keeper.target.options.Grace + time.Second):
		}
		if w.left = clearTree(w.group, w.agent, workDir(w.keeper.dir, w.label)); w.left != nil {
			w.keeper.target.options.Log.Error("a wrap's processes remain", "deployment", w.keeper.name, "wrap", w.label, "error", w.left.Error())
		}
		<-a.exited
	}
	w.mu.Lock()
	w.agent = identity{}
	w.status.PID = 0
	w.mu.Unlock()
	w.set(deploy.WrapStopped, "")
}

// remove takes away what the wrap had besides processes.
func (w *wrap) remove() error {
	w.client.CloseIdleConnections()
	return errors.Join(w.group.remove(), w.log.Close())
}

func (w *wrap) set(s deploy.WrapState, lastError string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.status.State != s {
		w.status.State, w.status.Since = s, time.Now()
	}
	if lastError != "" {
		w.status.LastError = lastError
	}
}

func (w *wrap) snapshot() deploy.WrapStatus {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.status
}

func (w *wrap) identity() (identity, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.agent, w.agent.PID > 0
}

// members lists the wrap's processes.
func (w *wrap) members(all []procfs.Stat) []int {
	if w.group.exists() {
		var live []int
		for _, pid := range w.group.processes() {
			if slices.ContainsFunc(all, func(s procfs.Stat) bool { return s.PID == pid }) {
				live = append(live, pid)
			}
		}
		return live
	}
	id, ok := w.identity()
	if !ok {
		return nil
	}
	pids := family(all, id.PID)
	// A host that was forked of a template is in a session of its own.
	for _, zygote := range w.keeper.forks(all, workDir(w.keeper.dir, w.label)) {
		pids = append(pids, family(all, zygote)...)
	}
	return pids
}
