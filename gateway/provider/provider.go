package provider

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/chiron-faas/chiron/deploy"
	"github.com/chiron-faas/chiron/gateway"
	"github.com/chiron-faas/chiron/gateway/container"
)

// DefaultNamespace is OpenFaaS' own.
const DefaultNamespace = "openfaas-fn"

// Options of New. Dir and Target are needed.
type Options struct {
	// Dir is the state folder. One provider at a time has it.
	Dir string
	// Target makes a target that keeps its state in the folder. Its deployments
	// must be deploy.Scalable.
	Target func(dir string) (deploy.Target, error)
	// Images makes what runs functions that are container images, with its state in
	// the folder. Where it fails, they are refused, and its error is told; nil: the
	// same.
	Images func(dir string) (*container.Engine, error)
	// Namespace of all functions; empty: DefaultNamespace.
	Namespace string
	// Version and Commit of this program, for /system/info.
	Version, Commit string
	// Drain bounds how long the requests inside of a version that was replaced, or
	// removed, may take; 0: 30 s.
	Drain time.Duration
	// Log takes what fails; nil discards.
	Log *slog.Logger
}

// Router is the gateway, as far as the provider needs it.
type Router interface {
	Set(r gateway.Route) (drained func(context.Context), err error)
	Remove(name string) (drained func(context.Context))
	Invocations(name string) int64
}

// Provider keeps functions. It is an http.Handler for /system/.
type Provider struct {
	options Options
	log     *slog.Logger
	mux     *http.ServeMux
	lock    *os.File
	// targets run the versions of functions in turn, so that a version can start
	// beside the one that it replaces.
	targets [2]deploy.Target
	bundles *bundleStore
	secrets *secretStore
	// images runs those that are images; nil: noImages says why not.
	images   *container.Engine
	noImages error
	router   Router
	life     context.Context // of those who follow logs

	mu        sync.Mutex
	functions map[string]*function // guarded by mu
	closed    bool                 // guarded by mu
}

// New takes the state folder and reads it; Start brings up what it holds.
func New(o Options) (*Provider, error) {
	if o.Dir == "" || o.Target == nil {
		return nil, errors.New("provider: Options.Dir and Target are needed")
	}
	if o.Namespace == "" {
		o.Namespace = DefaultNamespace
	}
	if o.Drain <= 0 {
		o.Drain = 30 * time.Second
	}
	if o.Images == nil {
		o.Images = func(string) (*container.Engine, error) { return nil, errors.New("it was not told to run images") }
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	p := &Provider{options: o, log: o.Log, functions: make(map[string]*function)}
	for _, sub := range []string{"", "functions", "bundles", "secrets", "run"} {
		if err := os.MkdirAll(filepath.Join(o.Dir, sub), 0o700); err != nil {
			return nil, fmt.Errorf("state folder: %w", err)
		}
	}
	var err error
	if p.lock, err = lockDir(o.Dir); err != nil {
		return nil, err
	}
	if err := p.open(); err != nil {
		if p.images != nil {
			err = errors.Join(err, p.images.Close())
		}
		return nil, errors.Join(err, p.lock.Close())
	}
	p.mux = p.newMux()
	return p, nil
}

func (p *Provider) open() error {
	for n, name := range []string{"a", "b"} {
		var err error
		if p.targets[n], err = p.options.Target(filepath.Join(p.options.Dir, "run", name)); err != nil {
			return err
		}
	}
	p.bundles = &bundleStore{dir: filepath.Join(p.options.Dir, "bundles"), used: make(map[string]int)}
	p.secrets = &secretStore{dir: filepath.Join(p.options.Dir, "secrets")}
	p.images, p.noImages = p.options.Images(filepath.Join(p.options.Dir, "images"))
	return p.load()
}

// lockDir makes sure that no other provider has the folder.
func lockDir(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("state folder: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("state folder %s: another gateway has it: stop that one, or choose another folder", dir), f.Close())
	}
	return f, nil
}

// Start brings up the functions that the state folder holds, and serves them and
// all later ones through the router. One that does not start is told to the log
// and stays listed, without replicas. When ctx ends, those who follow logs are let
// go.
func (p *Provider) Start(ctx context.Context, r Router) {
	p.router, p.life = r, ctx
	var all sync.WaitGroup
	several := make(chan struct{}, startsAtOnce)
	for _, f := range p.all() {
		all.Go(func() {
			several <- struct{}{}
			defer func() { <-several }()
			f.changing.Lock()
			defer f.changing.Unlock()
			v, err := p.begin(ctx, f.name, f.spec, f.generation)
			if err != nil {
				p.log.Error("a function did not come back", "function", f.name, "error", err.Error())
				return
			}
			if err := p.take(f, v); err != nil {
				p.log.Error("a function did not come back", "function", f.name, "error", err.Error())
			}
		})
	}
	all.Wait()
	p.bundles.sweep()
	if p.images != nil {
		p.images.Sweep()
	}
}

// startsAtOnce is how many functions start side by side with the gateway: each
// start takes a CPU.
const startsAtOnce = 4

// Close ends all functions, which stay in the state folder, and gives it up.
// Nothing may be asked any more.
func (p *Provider) Close() error {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	all := p.all()
	failures := make([]error, len(all))
	var ended sync.WaitGroup
	for n, f := range all {
		ended.Go(func() {
			f.changing.Lock()
			defer f.changing.Unlock()
			if v := f.version(); v != nil {
				failures[n] = v.stop(context.Background())
			}
		})
	}
	ended.Wait()
	if p.images != nil {
		failures = append(failures, p.images.Close())
	}
	return errors.Join(errors.Join(failures...), p.lock.Close())
}

// ServeHTTP implements http.Handler.
func (p *Provider) ServeHTTP(w http.ResponseWriter, r *http.Request) { p.mux.ServeHTTP(w, r) }

// all lists the functions by name.
func (p *Provider) all() []*function {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.SortedFunc(maps.Values(p.functions), func(a, b *function) int { return strings.Compare(a.name, b.name) })
}

func (p *Provider) find(name string) *function {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.functions[name]
}
