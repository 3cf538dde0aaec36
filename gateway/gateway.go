package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/chiron-faas/chiron/deploy"
	"github.com/chiron-faas/chiron/gateway/fleet"
)

// Route is something that can be invoked.
type Route struct {
	// Name in /function/NAME: letters, digits, '-' and '_'.
	Name string
	Kind Kind
	// Endpoint that answers. Where there is a fleet, one without a wrap is not of
	// its instances.
	Endpoint deploy.Endpoint
	// Fleet that has the instances which answer; nil: Options.Fleet.
	Fleet *fleet.Fleet
	// Concurrency instead of Limits'; 0: that one.
	Concurrency int
	// Labels and Annotations are shown in /system/functions.
	Labels, Annotations map[string]string
	// Deployed is when it was; shown too.
	Deployed time.Time
}

// Limits bound what the gateway holds. Zero fields mean the defaults.
type Limits struct {
	// Body is the largest request body, bytes; DefaultBody.
	Body int64
	// Concurrency is the most requests of one route that are with its wrap at
	// once; DefaultConcurrency. A wrap has a bound of its own.
	Concurrency int
	// Queue is the most requests of one route that wait for that, first come
	// first served; more are answered 429. DefaultQueue; negative: none may wait.
	Queue int
	// Timeout of a whole request, waiting included; DefaultTimeout.
	Timeout time.Duration
}

// Defaults of Limits.
const (
	DefaultBody        = 16 << 20
	DefaultConcurrency = 64
	DefaultQueue       = 1024
	DefaultTimeout     = 5 * time.Minute
)

// Options of New. The zero value is usable but serves nothing.
type Options struct {
	Routes []Route
	// Fleet, where there is one, has the instances that answer: of a route's
	// Endpoint only the wrap and the path count then.
	Fleet  *fleet.Fleet
	Limits Limits
	// Namespace that names are shown in. Where it is set, /function/NAME.OTHER is
	// not found; empty: "chiron" is shown, and any is taken.
	Namespace string
	// System answers /system/, and Async /async-function/, instead of the gateway's
	// own list of what it serves; nil: that one, and 404.
	System, Async http.Handler
	// Version and Commit of this program, for /system/info.
	Version, Commit string
	// Ready says how many of a route's wraps would answer at once (0 or 1); nil:
	// all do.
	Ready func(ctx context.Context, name string) int
	// Log takes what fails; nil discards.
	Log *slog.Logger
	// Drain bounds how long requests may take to end after Serve's context has;
	// 0 means 10 s.
	Drain time.Duration
}

// Gateway serves routes. It is an http.Handler.
type Gateway struct {
	options Options
	// answerPatience is the constant's, less in tests.
	answerPatience time.Duration
	log            *slog.Logger
	routes         atomic.Pointer[map[string]*route] // replaced, never changed
	changing       sync.Mutex                        // held while routes are
	mux            *http.ServeMux
	metrics        *metrics
	// draining refuses new requests.
	draining atomic.Bool
	buffers  sync.Pool // of *[]byte, for bodies
}

// New checks the routes.
func New(o Options) (*Gateway, error) {
	l := &o.Limits
	if l.Body <= 0 {
		l.Body = DefaultBody
	}
	if l.Concurrency <= 0 {
		l.Concurrency = DefaultConcurrency
	}
	switch {
	case l.Queue == 0:
		l.Queue = DefaultQueue
	case l.Queue < 0:
		l.Queue = 0
	}
	if l.Timeout <= 0 {
		l.Timeout = DefaultTimeout
	}
	if o.Drain <= 0 {
		o.Drain = 10 * time.Second
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	g := &Gateway{options: o, answerPatience: answerPatience, log: o.Log}
	g.metrics = newMetrics(g)
	routes := make(map[string]*route)
	for _, r := range o.Routes {
		if routes[r.Name] != nil {
			return nil, fmt.Errorf("gateway: %q is the name of two routes", r.Name)
		}
		rt, err := g.newRoute(r)
		if err != nil {
			return nil, err
		}
		routes[r.Name] = rt
	}
	g.routes.Store(&routes)
	g.mux = g.newMux()
	return g, nil
}

// isName is what OpenFaaS allows, less the dot, which begins a namespace there.
func isName(s string) bool {
	for _, c := range []byte(s) {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '_' {
			return false
		}
	}
	return s != ""
}

// Registry holds the gateway's metrics, for who wants to add to them.
func (g *Gateway) Registry() *prometheus.Registry { return g.metrics.registry }

// Bounds of one connection. Waiting idle, for headers and for the body
// (bodyPatience) takes equally long: a deadline before the one that the runtime's
// poller sleeps for would wake it, at each request.
const (
	headerPatience = time.Minute
	idlePatience   = time.Minute
	maxHeader      = 64 << 10
	// answerPatience is what a caller has to take each piece of an answer; one
	// that has stopped reading must not hold a place with the wrap for ever.
	answerPatience = time.Minute
)

// Serve answers on l until ctx ends; then it refuses new requests and returns
// when those inside have ended, or Options.Drain has passed. nil is a clean end.
func (g *Gateway) Serve(ctx context.Context, l net.Listener) error {
	server := &http.Server{
		Handler:           g,
		ReadHeaderTimeout: headerPatience,
		IdleTimeout:       idlePatience,
		// Later than any answer's first piece; exchange sets it anew for each.
		WriteTimeout:   g.options.Limits.Timeout + bodyPatience + answerPatience,
		MaxHeaderBytes: maxHeader,
		ErrorLog:       slog.NewLogLogger(g.log.Handler(), slog.LevelDebug),
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(l) }()
	defer g.close()
	select {
	case err := <-ended:
		return fmt.Errorf("gateway: %w", err)
	case <-ctx.Done():
	}
	g.draining.Store(true)
	patience, cancel := context.WithTimeout(context.WithoutCancel(ctx), g.options.Drain)
	defer cancel()
	// The listener stays until the requests inside are answered: a wrap that works on
	// one may call another wrap through this gateway.
	for _, rt := range *g.routes.Load() {
		rt.settle(patience)
	}
	err := server.Shutdown(patience)
	if err != nil {
		err = errors.Join(fmt.Errorf("gateway: requests were still inside after %v: %w", g.options.Drain, err), server.Close())
	}
	<-ended
	return err
}

func (g *Gateway) close() {
	for _, r := range *g.routes.Load() {
		if r.client != nil {
			r.client.Close()
		}
	}
}

// ServeHTTP implements http.Handler.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	// Nearly all requests are invocations: they do not pay for the rest.
	if rest, ok := strings.CutPrefix(r.URL.Path, "/function/"); ok {
		g.invoke(w, r, rest)
		return
	}
	g.mux.ServeHTTP(w, r)
}
