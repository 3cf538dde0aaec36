package container

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/chiron-faas/chiron/deploy"
	"github.com/chiron-faas/chiron/deploy/logs"
)

// Function is what Up brings up.
type Function struct {
	// Name of the function, a DNS label; Generation tells versions of it that run at
	// the same time apart.
	Name       string
	Generation int
	// Image that it runs, which must stay held until it is down.
	Image *Image
	// Env is what it finds in its environment beside the image's, "NAME=value".
	Env []string
	// Memory in bytes and CPUs that each replica may have; 0: no limit.
	Memory int64
	CPUs   float64
	// ReadOnly has it write to /tmp and /dev/shm only.
	ReadOnly bool
	// Secrets is the folder of its secrets, which it finds in /var/openfaas/secrets;
	// empty: it has none.
	Secrets string
	// HostNetwork gives it the machine's network.
	HostNetwork bool
	// ReadyPath is asked whether it is ready; empty: "/_/ready" of our own images,
	// "/_/health" of others.
	ReadyPath string
	// Logs is the folder for its log, which goes with it.
	Logs string
}

// WrapName is what endpoints, statuses and logs call a function's container.
const WrapName = "container"

// Deployed is a function that Up brought up. It implements deploy.Scalable.
type Deployed struct {
	options Function
	engine  *Engine
	log     *logs.File
	started time.Time
	first   *instance
	done    chan struct{} // closed when it is down
	down    sync.Once
	downErr error
	life    context.Context // of starts
	end     context.CancelFunc

	mu        sync.Mutex
	instances []*instance // guarded by mu
	closing   bool        // guarded by mu
}

var _ deploy.Scalable = (*Deployed)(nil)

// Up starts a function's first replica and returns when it serves. What fails
// leaves nothing behind; a container that does not come up is a *deploy.StartError.
func (e *Engine) Up(ctx context.Context, o Function) (*Deployed, error) {
	if o.ReadyPath == "" && o.Image.isOurs() {
		o.ReadyPath = "/_/ready"
	}
	if err := os.MkdirAll(o.Logs, 0o700); err != nil {
		return nil, fmt.Errorf("keep the log of function %q: %w", o.Name, err)
	}
	log, err := logs.Open(filepath.Join(o.Logs, WrapName+logs.Ending), nil)
	if err != nil {
		return nil, err
	}
	f := &Deployed{options: o, engine: e, log: log, started: time.Now(), done: make(chan struct{})}
	f.life, f.end = context.WithCancel(context.Background())
	if _, err := f.Start(ctx); err != nil {
		return nil, errors.Join(err, f.Down(context.WithoutCancel(ctx)))
	}
	f.mu.Lock()
	f.first = f.instances[0]
	f.mu.Unlock()
	return f, nil
}

// scratch is how much its replicas may write, bytes.
func (f *Deployed) scratch() int64 {
	if f.options.Memory > 0 {
		return f.options.Memory
	}
	return DefaultScratch
}

// First implements deploy.Scalable.
func (f *Deployed) First() deploy.Instance { return f.first }

// Start implements deploy.Scalable.
func (f *Deployed) Start(ctx context.Context) (deploy.Instance, error) {
	started := make(chan error, 1)
	i, err := f.newInstance(started)
	if err != nil {
		return nil, err
	}
	select {
	case err = <-started:
	case <-ctx.Done():
		err = context.Cause(ctx)
	case <-f.life.Done():
		err = errDown
	}
	if err != nil {
		return nil, errors.Join(err, i.Stop(context.WithoutCancel(ctx)))
	}
	return i, nil
}

// errDown is the error of a start that the function's end has ended.
var errDown = errors.New("the function is being taken down")

// newInstance begins one; what becomes of its start is sent on started. It is in the
// list, with what keeps it, before Down can look.
func (f *Deployed) newInstance(started chan<- error) (*instance, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closing {
		return nil, errDown
	}
	i := &instance{function: f, number: 1}
	for slices.ContainsFunc(f.instances, func(other *instance) bool { return other.number == i.number }) {
		i.number++
	}
	i.label = WrapName
	if i.number > 1 {
		i.label += "." + strconv.Itoa(i.number)
	}
	i.life, i.end = context.WithCancel(context.Background())
	i.status = deploy.WrapStatus{
		Name: WrapName, Instance: i.number, State: deploy.WrapStarting, Since: time.Now(), MemoryLimit: f.options.Memory,
		Functions: []string{f.options.Name},
	}
	f.instances = append(f.instances, i)
	i.kept.Go(func() { i.keep(started) })
	return i, nil
}

func (f *Deployed) forget(i *instance) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.instances = slices.DeleteFunc(f.instances, func(other *instance) bool { return other == i })
}

// Workflow implements deploy.Running.
func (f *Deployed) Workflow() deploy.Endpoint { return deploy.Endpoint{Wrap: WrapName, Path: "/"} }

// Function implements deploy.Running.
func (f *Deployed) Function(name string) (deploy.Endpoint, bool) {
	return f.Workflow(), name == f.options.Name
}

// Status implements deploy.Running.
func (f *Deployed) Status(context.Context) (deploy.Status, error) {
	f.mu.Lock()
	instances, closing := slices.Clone(f.instances), f.closing
	f.mu.Unlock()
	s := deploy.Status{Name: f.options.Name, Target: "runc", State: deploy.Up, Keeper: os.Getpid(), Started: f.started}
	for _, i := range instances {
		w := i.statusNow()
		if w.State == deploy.WrapRestarting {
			s.State = deploy.Degraded
		}
		s.Wraps = append(s.Wraps, w)
	}
	switch {
	case closing:
		s.State = deploy.Stopping
	case len(s.Wraps) == 0:
		s.State = deploy.Idle
	}
	return s, nil
}

// Logs is deploy.Target's, of this function.
func (f *Deployed) Logs(ctx context.Context, o deploy.LogOptions, emit func(deploy.LogLine) error) error {
	return logs.Read(ctx, f.options.Logs, o, func() bool {
		select {
		case <-f.done:
			return true
		default:
			return false
		}
	}, emit)
}

// Done implements deploy.Running.
func (f *Deployed) Done() <-chan struct{} { return f.done }

// Down implements deploy.Running.
func (f *Deployed) Down(ctx context.Context) error {
	f.down.Do(func() {
		f.mu.Lock()
		f.closing = true
		instances := slices.Clone(f.instances)
		f.mu.Unlock()
		f.end()
		failures := make([]error, len(instances))
		var all sync.WaitGroup
		for n, i := range instances {
			all.Go(func() { failures[n] = i.Stop(ctx) })
		}
		all.Wait()
		f.downErr = errors.Join(errors.Join(failures...), f.log.Close(), os.RemoveAll(f.options.Logs))
		close(f.done)
	})
	return f.downErr
}
