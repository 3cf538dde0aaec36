package pipeline

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"slices"
	"syscall"
	"time"

	"github.com/chiron-faas/chiron/deploy"
	"github.com/chiron-faas/chiron/gateway"
	"github.com/chiron-faas/chiron/gateway/fleet"
	"github.com/chiron-faas/chiron/plan"
	"github.com/chiron-faas/chiron/workflow"
)

// ServeOptions of Serve.
type ServeOptions struct {
	Project *workflow.Project
	Plan    *plan.Plan
	// Name of the deployment.
	Name string
	// Target that runs the wraps.
	Target deploy.Target
	// Listener that requests come in on (Listen makes one). Serve closes it in
	// any case.
	Listener net.Listener
	// Scale says how many instances of the plan run; zero: one.
	Scale Scale
	// Version of this program, for the gateway's /system/info.
	Version  string
	Log      *slog.Logger
	Progress Progress
}

// Scale says how many instances of a plan run: each is a set of all its wraps.
type Scale struct {
	// Min and Max bound the number. Max 0: as many as Min, at least 1. A Min of 0
	// needs a Max.
	Min, Max int
	// Idle is how long an instance beyond Min is kept that is not needed; 0:
	// fleet.DefaultIdle.
	Idle time.Duration
}

// fixed says that there is one instance at all times.
func (s Scale) fixed() bool { return s.Max <= 1 && (s.Min == 1 || s.Max == 0) }

// Served is a deployment behind a gateway. Close takes it down.
type Served struct {
	// URL of the gateway: "http://127.0.0.1:8080".
	URL string
	// Routes are the names that it answers to: the workflow's, then the functions'.
	Routes []string

	running deploy.Running
	fleet   *fleet.Fleet // nil: there is one instance at all times
	// orchestrator walks the workflow where wrap 1 does not; nil: that does.
	orchestrator *orchestrated
	endStore     func() error
	end          context.CancelFunc // of the gateway
	ended        chan struct{}      // closed when it has
	err          error              // of the gateway; guarded by ended
}

// Listen binds the address that a gateway is to serve on. It comes first, so that
// an address in use is known before anything is measured or started.
func Listen(ctx context.Context, address string) (net.Listener, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("listen on %q: write HOST:PORT, such as 127.0.0.1:8080", address)
	}
	if host == "" {
		host = "127.0.0.1" // all interfaces have to be asked for: 0.0.0.0
	}
	var config net.ListenConfig
	l, err := config.Listen(ctx, "tcp", net.JoinHostPort(host, port))
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("listen on %s: the address is in use: stop what serves there, or choose another with --listen", address)
	}
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", address, err)
	}
	return l, nil
}

// Serve brings a plan up on the target and serves it until Close.
func Serve(ctx context.Context, o ServeOptions) (_ *Served, err error) {
	s := &Served{URL: "http://" + o.Listener.Addr().String(), ended: make(chan struct{})}
	serving := false
	defer func() {
		if !serving {
			_ = o.Listener.Close() // err says what is worth saying
		}
	}()
	if s.endStore, err = ServeStore(ctx, o.Project, o.Progress); err != nil {
		return nil, err
	}
	s.running, err = Deploy(ctx, DeployOptions{
		Project: o.Project, Plan: o.Plan, Name: o.Name, Target: o.Target, Gateway: s.URL, Warm: !o.Scale.fixed(), Progress: o.Progress,
	})
	if err != nil {
		return nil, errors.Join(err, s.endStore())
	}
	routes := routesOf(o.Project, s.running)
	if o.Plan.Calls == plan.ThroughGateway {
		if s.orchestrator, err = orchestrate(ctx, o, s.running); err != nil {
			return nil, errors.Join(err, takeDown(s.running), s.endStore())
		}
		defer func() {
			if !serving {
				err = errors.Join(err, s.orchestrator.close())
			}
		}()
		routes = append(s.orchestrator.routes(routes[0]), routes[1:]...)
	}
	for _, r := range routes {
		s.Routes = append(s.Routes, r.Name)
	}
	var limits gateway.Limits
	if !o.Scale.fixed() {
		scalable, ok := s.running.(deploy.Scalable)
		if !ok {
			return nil, errors.Join(errors.New("this target runs one instance of a plan, no more and no fewer"), takeDown(s.running), s.endStore())
		}
		s.fleet, limits = newFleet(o, scalable)
	}
	front, err := gateway.New(gateway.Options{
		Routes: routes, Version: o.Version, Log: o.Log, Fleet: s.fleet, Limits: limits,
		Ready: func(ctx context.Context, _ string) int {
			if status, err := s.running.Status(ctx); err != nil || status.State != deploy.Up {
				return 0
			}
			return 1
		},
	})
	if err != nil {
		s.endFleet()
		return nil, errors.Join(err, takeDown(s.running), s.endStore())
	}
	// The caller's ctx ends the wait, not the service: requests inside are
	// finished, in Close.
	var life context.Context
	life, s.end = context.WithCancel(context.WithoutCancel(ctx))
	serving = true
	if s.orchestrator != nil {
		s.orchestrator.start(front)
	}
	go func() {
		defer close(s.ended)
		s.err = front.Serve(life, o.Listener)
	}()
	return s, nil
}

// newFleet keeps the instances of a deployment that is up; the gateway's bound is
// what all of them take together.
func newFleet(o ServeOptions, running deploy.Scalable) (*fleet.Fleet, gateway.Limits) {
	inside, most := make(map[string]int), 0
	for i := range o.Plan.Wraps {
		w := &o.Plan.Wraps[i]
		inside[w.Name] = w.MaxInside()
		most = max(most, w.MaxInside())
	}
	f := fleet.New(fleet.Options{
		First: running.First(), Start: running.Start, Min: o.Scale.Min, Max: o.Scale.Max, Idle: o.Scale.Idle,
		Limit: func(wrap string) int { return inside[wrap] }, Log: o.Log,
	})
	return f, gateway.Limits{Concurrency: max(most*max(o.Scale.Max, o.Scale.Min), gateway.DefaultConcurrency)}
}

func (s *Served) endFleet() {
	if s.fleet != nil {
		s.fleet.Close()
	}
}

// routesOf are the workflow and every function that runs. A function of the
// workflow's name cannot be called by itself.
func routesOf(p *workflow.Project, running deploy.Running) []gateway.Route {
	now := time.Now()
	routes := []gateway.Route{{Name: p.Name, Kind: gateway.Workflow, Endpoint: running.Workflow(), Deployed: now}}
	for _, name := range slices.Sorted(maps.Keys(p.Functions)) {
		if endpoint, ok := running.Function(name); ok && name != p.Name {
			routes = append(routes, gateway.Route{Name: name, Kind: gateway.Function, Endpoint: endpoint, Deployed: now})
		}
	}
	return routes
}

// Wait returns when ctx ends, when somebody else takes the deployment down, or
// when the gateway cannot go on, which Close tells.
func (s *Served) Wait(ctx context.Context) {
	select {
	case <-ctx.Done():
	case <-s.running.Done():
	case <-s.ended:
	}
}

// Close lets the requests inside end, then takes everything down.
func (s *Served) Close() error {
	s.end()
	<-s.ended
	var err error
	if s.orchestrator != nil {
		err = s.orchestrator.close()
	}
	s.endFleet()
	return errors.Join(s.err, err, takeDown(s.running), s.endStore())
}
