package wrap

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/chiron-faas/chiron/internal/affinity"
	"github.com/chiron-faas/chiron/internal/memfile"
	"github.com/chiron-faas/chiron/plan"
	"github.com/chiron-faas/chiron/workflow"
)

// Agent runs one wrap of a plan.
type Agent struct {
	options   Options
	log       *slog.Logger
	name      string // the wrap's
	bundle    *bundle
	layout    *layout
	peers     []*peer // by index in plan.Wraps; nil for this wrap
	listener  net.Listener
	starter   func(ctx context.Context) (zygote, error)
	tree      *processTree // nil without Options.Subreaper
	zygotes   slot[zygote]
	restarts  atomic.Int64 // of the zygote
	limits    *limits
	admission *admission
	door      *door
	leaving   atomic.Bool // lingers: see Options.Linger
	buffers   sync.Pool   // of *bodyBuffer
	memory    *memfile.Pool
	started   time.Time

	// usesContext says that the definition reads the context object. Where it
	// does not, every run shares the anonymous one, which spares workflow.Run
	// from looking.
	usesContext bool
	anonymous   *workflow.Execution

	// life ends when the agent does; calls of functions are made under it.
	life context.Context
	end  context.CancelFunc
	// calls are the goroutines of requests, which may outlive a request that
	// failed early.
	calls sync.WaitGroup
}

// New reads and checks the bundle, finds its interpreter and binds the address:
// what is wrong with any of them is said here. Serve or Close must follow.
func New(ctx context.Context, o Options) (*Agent, error) {
	o = o.withDefaults()
	b, err := readBundle(o)
	if err != nil {
		return nil, err
	}
	start, err := hostStarter(ctx, b, o)
	if err != nil {
		return nil, err
	}
	return newAgent(o, b, start)
}

func newAgent(o Options, b *bundle, start func(ctx context.Context) (zygote, error)) (*Agent, error) {
	a := &Agent{
		options: o, name: b.manifest.Wrap, bundle: b, starter: start, door: newDoor(), started: time.Now(),
		anonymous: &workflow.Execution{}, memory: new(memfile.Pool),
	}
	a.log = o.Log.With("wrap", a.name)
	cpus := o.CPUs
	var err error
	if len(cpus) == 0 {
		if cpus, err = affinity.CPUs(); err != nil {
			return nil, err
		}
	}
	if a.layout, err = newLayout(b, cpus); err != nil {
		return nil, err
	}
	if len(o.CPUs) == 0 && len(cpus) > b.plan.Wraps[b.wrap].CPUs {
		a.layout.unpin()
	}
	if a.peers, err = newPeers(b, o.Peers); err != nil {
		return nil, err
	}
	concurrency := o.Concurrency
	if concurrency <= 0 {
		concurrency = b.manifest.Concurrency
	}
	if concurrency <= 0 {
		concurrency = b.plan.Wraps[b.wrap].MaxInside()
	}
	a.limits = newLimits(o)
	a.limits.relieve = a.relieve
	a.admission = newAdmission(concurrency, o.Queue)
	a.usesContext = b.definition.UsesContext()
	workshop := make(chan struct{}, min(2, max(1, len(cpus))))
	for _, p := range a.layout.processes {
		p.options.DataLimit = o.DataLimit
		switch p.mode {
		case plan.Pool:
			p.pool = &pool{process: p, zygotes: &a.zygotes, log: a.log, longest: a.layout.longest(p), entries: a.layout.functionsOf(p)}
			// A thread for each of as many requests as may come, started when
			// it is needed.
			p.options.MaxLanes = min(p.options.Lanes*concurrency, maxLanes)
			p.options.KeepMemory = true
		case plan.Standby:
			ready := p.ready
			if ready == 0 {
				ready = DefaultReady
			}
			p.shelf = &shelf{
				process: p, zygotes: &a.zygotes, log: a.log, door: a.door, entries: a.layout.functionsOf(p),
				workshop: workshop, changed: make(chan struct{}, 1),
				demand: demand{limit: min(ready, concurrency)},
			}
		}
	}
	if o.Subreaper {
		if a.tree, err = newProcessTree(); err != nil {
			return nil, err
		}
	}
	if a.listener, err = listen(o.Listen); err != nil {
		return nil, err
	}
	a.life, a.end = context.WithCancel(context.Background())
	return a, nil
}

func newPeers(b *bundle, addresses map[string]string) ([]*peer, error) {
	peers := make([]*peer, len(b.plan.Wraps))
	known := make(map[string]bool)
	for i := range b.plan.Wraps {
		name := b.plan.Wraps[i].Name
		known[name] = true
		if i == b.wrap {
			continue
		}
		p := &peer{name: name}
		if address, ok := addresses[name]; ok {
			http1, err := p.locate(address)
			if err != nil {
				return nil, fmt.Errorf("peer %s: %w", name, err)
			}
			if p.network == "tcp" && !http1 {
				p.transport = p.newTransport()
			}
		}
		peers[i] = p
	}
	for name := range addresses {
		if !known[name] {
			return nil, fmt.Errorf("peer %q is no wrap of this plan", name)
		}
	}
	return peers, nil
}

// maxLanes is the most threads of one process (host's own bound): calls beyond
// wait.
const maxLanes = 250

// Addr is the address that the agent is bound to.
func (a *Agent) Addr() net.Addr { return a.listener.Addr() }

// Close gives back what New took where Serve is not called.
func (a *Agent) Close() error {
	a.end()
	return a.listener.Close()
}

// Serve runs the wrap until ctx ends; then it lingers, where Options.Linger says
// so, and drains: requests inside are finished for as long as Options.GracePeriod, new ones are answered 503, and
// nil is returned. It fails with a *host.ImportError where a handler cannot be
// imported, and with ErrLeashCut when the leash was cut. When it returns, no
// process of the wrap is left.
func (a *Agent) Serve(ctx context.Context) error {
	var owned sync.WaitGroup // everything that runs until a.life ends
	failed := make(chan error, 3)
	server := a.newServer()
	owned.Go(func() {
		if err := server.Serve(a.listener); !errors.Is(err, http.ErrServerClosed) {
			failed <- fmt.Errorf("serve on %s: %w", a.options.Listen, err)
		}
	})
	owned.Go(func() {
		n := &nursery{start: a.startZygote, live: &a.zygotes, log: a.log, restarts: func() { a.restarts.Add(1) }}
		if err := n.run(a.life); err != nil {
			failed <- err
		}
	})
	for _, p := range a.layout.processes {
		if p.pool != nil {
			owned.Go(func() { p.pool.run(a.life) })
		}
		if p.shelf != nil {
			owned.Go(func() { p.shelf.run(a.life) })
		}
	}
	if a.tree != nil {
		owned.Go(func() { a.tree.reap(a.life) })
	}
	if a.options.Leash != nil {
		owned.Go(func() {
			if err := holdLeash(a.life, a.options.Leash); err == nil {
				failed <- ErrLeashCut
			} else if a.life.Err() == nil {
				failed <- err
			}
		})
	}
	a.log.Info("serving", "address", a.Addr().String(), "plan", a.bundle.manifest.PlanID, "pid", os.Getpid())
	var err error
	select {
	case err = <-failed:
		if errors.Is(err, ErrLeashCut) && a.tree != nil {
			a.tree.kill()
		}
	case <-ctx.Done():
		if err = a.linger(failed); err == nil {
			err = a.drain(failed)
		}
	}
	a.stop(server, &owned)
	return err
}

// linger goes on serving for callers that do not know yet. Connections are closed
// by their callers after an answer: one that this end closes may carry a request at
// that moment.
func (a *Agent) linger(failed <-chan error) error {
	if a.options.Linger <= 0 {
		return nil
	}
	a.leaving.Store(true)
	a.log.Info("leaving", "linger_ms", a.options.Linger.Milliseconds())
	select {
	case <-time.After(a.options.Linger):
		return nil
	case err := <-failed:
		return err
	}
}

// drain lets the requests inside finish. A second cause to end (the leash, a
// broken listener) ends it at once.
func (a *Agent) drain(failed <-chan error) error {
	a.log.Info("draining", "grace_ms", a.options.GracePeriod.Milliseconds())
	a.door.close()
	ctx, cancel := context.WithTimeout(context.Background(), a.options.GracePeriod)
	defer cancel()
	select {
	case <-a.door.empty:
		return nil
	case err := <-failed:
		return err
	case <-ctx.Done():
		a.log.Warn("the grace period is over, ending requests", "in_flight", a.admission.inFlight())
		return nil
	}
}

// stop ends everything and waits for it.
func (a *Agent) stop(server *http.Server, owned *sync.WaitGroup) {
	a.door.close()
	// Answers that are written get a moment to leave; then connections close.
	ctx, cancel := context.WithTimeout(context.Background(), lastWords)
	defer cancel()
	if server.Shutdown(ctx) != nil {
		_ = server.Close()
	}
	a.end()
	owned.Wait()
	for _, p := range a.peers {
		if p != nil {
			p.close()
		}
	}
	a.calls.Wait()
	if a.tree != nil {
		a.tree.kill()
	}
	a.memory.Close()
	a.log.Info("ended")
}

// lastWords bounds how long written answers may take to leave at the end.
const lastWords = 250 * time.Millisecond

// startZygote starts the language host, telling the process tree whose child it is.
func (a *Agent) startZygote(ctx context.Context) (zygote, error) {
	var z zygote
	var err error
	if a.tree == nil {
		z, err = a.starter(ctx)
		return z, a.limits.explain(err)
	}
	a.tree.start(func() int {
		if z, err = a.starter(ctx); err != nil {
			return 0
		}
		return z.Pid()
	})
	if err == nil {
		a.calls.Go(func() { // ends with the zygote, which the nursery closes
			<-z.Done()
			a.tree.ended(z.Pid())
		})
	}
	return z, a.limits.explain(err)
}

// ready says whether requests would be worked on without waiting for a process.
func (a *Agent) ready() bool {
	if a.door.isShut() {
		return false
	}
	if _, ok := a.zygotes.peek(); !ok {
		return false
	}
	for _, p := range a.layout.processes {
		if p.shelf != nil && !p.shelf.tried.Load() {
			return false
		}
		if p.pool == nil {
			continue
		}
		if _, ok := p.pool.live.peek(); !ok {
			return false
		}
	}
	return true
}

// logFailure tells the log what the caller is not told: the whole traceback.
func (a *Agent) logFailure(r *request, f *function, err error) {
	var failure *workflow.Failure
	if errors.As(err, &failure) {
		return
	}
	args := []any{"function", f.name, "request_id", r.id, "error", err.Error()}
	if t := traceback(err); t != "" {
		args = append(args, "traceback", t)
	}
	a.log.Error("function failed", args...)
}
