package gateway

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"sync/atomic"
	"time"

	"github.com/chiron-faas/chiron/gateway/fleet"
	"github.com/chiron-faas/chiron/gateway/hop"
)

// Kind says what a Route leads to.
type Kind string

// The kinds of Route.
const (
	Workflow Kind = "workflow"
	Function Kind = "function"
	// Task is one task of a workflow, for an orchestrator that walks the workflow:
	// it calls tasks while the gateway drains, too, since they are a part of
	// requests that are inside.
	Task Kind = "task"
	// Whole is all of a wrap's HTTP: what comes after the name is its path.
	Whole Kind = "wrap"
)

// route is a Route at work.
type route struct {
	Route
	client *hop.Client // nil where a fleet's instances answer
	// places are taken by requests that are with the wrap.
	places  chan struct{}
	waiting atomic.Int64
	// inside counts the requests that have found the route, so that one that was
	// replaced can be left in peace until they are answered.
	inside atomic.Int64
	// invoked goes over to the route that replaces this one.
	invoked *atomic.Int64
	metrics *routeMetrics
}

// find returns the route of a name as it stands in a path: with the namespace or
// without. nil: there is none.
func (g *Gateway) find(name string) *route {
	name, space, spaced := strings.Cut(name, ".")
	if spaced && g.options.Namespace != "" && space != g.options.Namespace {
		return nil
	}
	return (*g.routes.Load())[name]
}

// begin finds a route and counts the request inside; the caller must leave it.
func (g *Gateway) begin(name string) *route {
	for {
		rt := g.find(name)
		if rt == nil {
			return nil
		}
		rt.inside.Add(1)
		if g.find(name) == rt {
			return rt
		}
		rt.inside.Add(-1) // it was replaced between the two
	}
}

func (rt *route) leave() { rt.inside.Add(-1) }

// Set adds a route, or replaces the one of its name in one step: each request
// goes to one of the two. The function that it returns waits until nobody is with
// the one that was replaced, or until ctx ends.
func (g *Gateway) Set(r Route) (drained func(ctx context.Context), err error) {
	rt, err := g.newRoute(r)
	if err != nil {
		return nil, err
	}
	g.changing.Lock()
	defer g.changing.Unlock()
	old := (*g.routes.Load())[r.Name]
	if old != nil {
		rt.invoked, rt.metrics = old.invoked, old.metrics
	}
	next := maps.Clone(*g.routes.Load())
	next[r.Name] = rt
	g.routes.Store(&next)
	return old.drained, nil
}

// Remove takes a route away; see Set for what it returns. A name that there is
// not is no error.
func (g *Gateway) Remove(name string) (drained func(ctx context.Context)) {
	g.changing.Lock()
	defer g.changing.Unlock()
	old := (*g.routes.Load())[name]
	next := maps.Clone(*g.routes.Load())
	delete(next, name)
	g.routes.Store(&next)
	return old.drained
}

// Invocations counts the requests of a route since it was set first.
func (g *Gateway) Invocations(name string) int64 {
	if rt := g.find(name); rt != nil {
		return rt.invoked.Load()
	}
	return 0
}

// drainPause is how often a route that was replaced is looked at.
const drainPause = 5 * time.Millisecond

func (rt *route) drained(ctx context.Context) {
	if rt == nil {
		return
	}
	rt.settle(ctx)
	if rt.client != nil {
		rt.client.Close()
	}
}

// settle waits until no request is inside, or ctx ends.
func (rt *route) settle(ctx context.Context) {
	for rt.inside.Load() > 0 && ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-time.After(drainPause):
		}
	}
}

// isPart says whether a path behind a route's name is a part of a request that is
// inside already: one wrap's call of another. These go on while the gateway drains.
func (rt *route) isPart(path string) bool {
	return rt.Kind == Task || rt.Kind == Whole && path == "_/stage"
}

func (g *Gateway) newRoute(r Route) (*route, error) {
	if !isName(r.Name) {
		return nil, fmt.Errorf("gateway: %q cannot be a route: use letters, digits, '-' and '_'", r.Name)
	}
	if r.Fleet == nil && r.Endpoint.Wrap != "" {
		r.Fleet = g.options.Fleet
	}
	most := g.options.Limits.Concurrency
	if r.Concurrency > 0 {
		most = r.Concurrency
	}
	rt := &route{Route: r, places: make(chan struct{}, most), invoked: &atomic.Int64{}, metrics: g.metrics.route(r.Name)}
	if r.Fleet == nil {
		rt.client = hop.NewClient(hop.Options{Network: r.Endpoint.Network, Address: r.Endpoint.Address, MaxIdle: most})
	}
	return rt, nil
}

// counts says how many instances answer a route.
func (rt *route) counts() fleet.Counts {
	if rt.Fleet != nil {
		return rt.Fleet.Counts()
	}
	return fleet.Counts{Ready: 1}
}
