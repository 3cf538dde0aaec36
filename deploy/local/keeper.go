package local

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/chiron-faas/chiron/bundle"
	"github.com/chiron-faas/chiron/deploy"
	"github.com/chiron-faas/chiron/plan"
)

// keeper keeps one deployment running. It implements deploy.Running.
type keeper struct {
	target *Target
	name   string
	dir    string
	lock   *lock
	// specs are the plan's wraps that run here, bundles theirs in this order.
	specs   []plan.Wrap
	bundles []bundle.Bundle
	// peers are the addresses of wraps that run elsewhere, env the functions'.
	peers   map[string]string
	env     []string
	machine []int // the CPUs that wraps may have
	first   *instance
	// warm are the interpreters that hosts are forked of, where they are wanted;
	// set before the first instance begins.
	warm      []*warm
	wantsWarm bool
	// leash is the end of the pipe whose closing ends all agents; leashed is the
	// end that they read.
	leash, leashed *os.File
	control        net.Listener

	life context.Context // of the wraps
	end  context.CancelFunc
	// owned is the goroutine that answers the control socket.
	owned sync.WaitGroup
	// downOnce runs down; what it came to is in downErr once done is closed.
	downOnce sync.Once
	downErr  error
	done     chan struct{}

	mu        sync.Mutex
	status    deploy.Status // without its wraps; guarded by mu
	instances []*instance   // guarded by mu
	closing   bool          // no instance may be added any more; guarded by mu
	writing   sync.Mutex    // of state.json
}

func newKeeper(t *Target, d deploy.Deployment, bundles []bundle.Bundle, l *lock) (*keeper, error) {
	dir := t.dir(d.Name)
	k := &keeper{target: t, name: d.Name, dir: dir, lock: l, specs: d.Wraps(), bundles: bundles, peers: d.Peers, env: d.Env, wantsWarm: d.Warm, done: make(chan struct{})}
	k.life, k.end = context.WithCancel(context.Background())
	k.status = deploy.Status{
		Name: d.Name, Target: "local", Workflow: d.Plan.Workflow, PlanID: d.Plan.Digest(), State: deploy.Starting,
		Gateway: d.Gateway, Keeper: os.Getpid(), Started: time.Now(),
	}
	if t.noGroups != "" {
		k.status.Notes = append(k.status.Notes, "no control groups ("+t.noGroups+"): CPUs and memory are not enforced")
	}
	k.machine = t.options.CPUs
	if len(k.machine) == 0 {
		var err error
		if k.machine, err = machineCPUs(); err != nil {
			return nil, err
		}
	}
	total := 0
	for i := range k.specs {
		total += k.specs[i].CPUs
	}
	if total > len(k.machine) {
		k.status.Notes = append(k.status.Notes, fmt.Sprintf("the plan asks for %d CPUs and this machine has %d: they are shared", total, len(k.machine)))
	}
	for _, sub := range []string{dir, filepath.Join(dir, "logs"), filepath.Join(dir, "work")} {
		if err := os.MkdirAll(sub, 0o700); err != nil {
			return nil, fmt.Errorf("deploy %q: %w", d.Name, err)
		}
	}
	var err error
	if k.first, err = k.newInstance(); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return k, nil
}

// loadOfOthers counts, by CPU, the wraps of other deployments that have it.
func (t *Target) loadOfOthers(name string) map[int]int {
	load := make(map[int]int)
	entries, err := os.ReadDir(t.options.Dir)
	if err != nil {
		return load // it only makes a worse choice
	}
	for _, e := range entries {
		if !e.IsDir() || e.Name() == name {
			continue
		}
		s, err := readState(t.dir(e.Name()))
		if err != nil || !t.held(e.Name()) {
			continue
		}
		for _, w := range s.Status.Wraps {
			for _, cpu := range w.CPUs {
				load[cpu]++
			}
		}
	}
	return load
}

// start brings every wrap up, or leaves nothing.
func (k *keeper) start(ctx context.Context) error {
	err := k.begin(ctx)
	if err == nil {
		k.setState(deploy.Up)
		return nil
	}
	// What is waited for in the end is not ctx's matter.
	return errors.Join(err, k.Down(context.Background()))
}

func (k *keeper) begin(ctx context.Context) error {
	var err error
	if k.leashed, k.leash, err = os.Pipe(); err != nil {
		return fmt.Errorf("deploy %q: %w", k.name, err)
	}
	if k.control, err = net.Listen("unix", filepath.Join(k.dir, controlSocket)); err != nil {
		return fmt.Errorf("deploy %q: control socket: %w", k.name, err)
	}
	k.owned.Go(k.serveControl)
	if err := k.save(); err != nil {
		return err
	}
	if k.wantsWarm {
		k.startWarm(ctx)
	}
	return k.first.begin(ctx)
}

// Workflow implements deploy.Running.
func (k *keeper) Workflow() deploy.Endpoint { return k.first.wraps[0].endpoint("/") }

// Function implements deploy.Running.
func (k *keeper) Function(name string) (deploy.Endpoint, bool) {
	for _, w := range k.first.wraps {
		if slices.Contains(w.bundle.Functions, name) {
			return w.endpoint("/function/" + name), true
		}
	}
	return deploy.Endpoint{}, false
}

// Done implements deploy.Running.
func (k *keeper) Done() <-chan struct{} { return k.done }

// Status implements deploy.Running.
func (k *keeper) Status(context.Context) (deploy.Status, error) {
	k.mu.Lock()
	s := k.status
	k.mu.Unlock()
	all, err := processes()
	if err != nil {
		return s, err
	}
	instances := k.snapshot()
	if s.State == deploy.Up && len(instances) == 0 {
		s.State = deploy.Idle
	}
	for _, i := range instances {
		for _, w := range i.wraps {
			ws := w.snapshot()
			if ws.PID > 0 {
				members := w.members(all)
				ws.Processes = len(members)
				for _, pid := range members {
					ws.Memory += memoryOf(pid)
				}
			}
			// One that starts or stops beside those that serve is no harm.
			if s.State == deploy.Up && ws.State == deploy.WrapRestarting {
				s.State = deploy.Degraded
			}
			s.Wraps = append(s.Wraps, ws)
		}
	}
	return s, nil
}

func (k *keeper) setState(s deploy.State) {
	k.mu.Lock()
	k.status.State = s
	k.mu.Unlock()
	if err := k.save(); err != nil {
		k.target.options.Log.Error("could not write the deployment's state", "deployment", k.name, "error", err.Error())
	}
}

// save writes state.json.
func (k *keeper) save() error {
	k.writing.Lock()
	defer k.writing.Unlock()
	k.mu.Lock()
	s := state{Boot: bootID(), Status: k.status}
	k.mu.Unlock()
	for _, i := range k.snapshot() {
		for _, w := range i.wraps {
			s.Status.Wraps = append(s.Status.Wraps, w.snapshot())
			if id, ok := w.identity(); ok {
				s.Agents = append(s.Agents, agentState{Wrap: w.label, Agent: id})
			}
		}
	}
	for _, w := range k.warm {
		s.Agents = append(s.Agents, agentState{Wrap: w.label, Agent: w.identity()})
	}
	return s.write(k.dir)
}

// Down implements deploy.Running.
func (k *keeper) Down(ctx context.Context) error {
	go k.downOnce.Do(k.takeDown) // owned by whoever waits for done
	select {
	case <-k.done:
		return k.downErr
	case <-ctx.Done():
		return fmt.Errorf("take down %q: %w", k.name, context.Cause(ctx))
	}
}

func (k *keeper) takeDown() {
	k.setState(deploy.Stopping)
	k.mu.Lock()
	k.closing = true
	k.mu.Unlock()
	k.end() // every instance ends its wraps within the grace period
	if k.control != nil {
		_ = k.control.Close()
	}
	k.owned.Wait()
	var failures []error
	for _, i := range k.snapshot() {
		failures = append(failures, i.Stop(context.Background()))
	}
	for _, w := range k.warm {
		failures = append(failures, w.close())
	}
	for _, f := range []*os.File{k.leash, k.leashed} {
		if f != nil {
			failures = append(failures, f.Close())
		}
	}
	failures = append(failures, os.RemoveAll(k.dir), k.lock.release())
	if err := errors.Join(failures...); err != nil {
		k.downErr = fmt.Errorf("take down %q: %w", k.name, err)
	}
	close(k.done)
}
