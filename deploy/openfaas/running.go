package openfaas

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/chiron-faas/chiron/bundle"
	"github.com/chiron-faas/chiron/deploy"
	"github.com/chiron-faas/chiron/internal/openfaas"
)

// running is a deployment that is up. It implements deploy.Running.
type running struct {
	target *Target
	name   string
	// functions[i] has the wrap of bundles[i].
	functions []string
	bundles   []bundle.Bundle

	watch sync.Once
	done  chan struct{}
}

func newRunning(t *Target, name string, specs []openfaas.Deployment, bundles []bundle.Bundle) *running {
	r := &running{target: t, name: name, bundles: bundles, done: make(chan struct{})}
	for _, s := range specs {
		r.functions = append(r.functions, s.Service)
	}
	return r
}

// endpoint is a path of a function, at the gateway.
func (r *running) endpoint(i int, path string) deploy.Endpoint {
	u := r.target.client.base
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return deploy.Endpoint{
		Wrap: r.bundles[i].Wrap, Network: "tcp", Address: net.JoinHostPort(u.Hostname(), port),
		Path: u.EscapedPath() + "/function/" + r.target.qualified(r.functions[i]) + path,
	}
}

// Workflow implements deploy.Running. The endpoint is for gateways that speak
// plain HTTP.
func (r *running) Workflow() deploy.Endpoint { return r.endpoint(0, "") }

// Function implements deploy.Running.
func (r *running) Function(name string) (deploy.Endpoint, bool) {
	for i, b := range r.bundles {
		if slices.Contains(b.Functions, name) {
			return r.endpoint(i, "/function/"+name), true
		}
	}
	return deploy.Endpoint{}, false
}

// Status implements deploy.Running.
func (r *running) Status(ctx context.Context) (deploy.Status, error) {
	return r.target.Status(ctx, r.name)
}

// Down implements deploy.Running.
func (r *running) Down(ctx context.Context) error {
	if err := r.target.Down(ctx, r.name); err != nil && !errors.Is(err, deploy.ErrNotFound) {
		return err
	}
	return nil
}

// watchEvery is how often Done's goroutine looks whether the deployment is there.
const watchEvery = 500 * time.Millisecond

// Done implements deploy.Running. The gateway tells nobody: from the first call on
// it is asked, until the deployment is down.
func (r *running) Done() <-chan struct{} {
	r.watch.Do(func() {
		go func() { // ends with the deployment
			for {
				if _, err := r.target.Status(context.Background(), r.name); errors.Is(err, deploy.ErrNotFound) {
					close(r.done)
					return
				}
				time.Sleep(watchEvery)
			}
		}()
	})
	return r.done
}

// equal compares what JSON says of two: empty and missing are the same there.
func equal(a, b openfaas.Deployment) bool {
	x, err1 := json.Marshal(a)
	y, err2 := json.Marshal(b)
	return err1 == nil && err2 == nil && bytes.Equal(x, y)
}
