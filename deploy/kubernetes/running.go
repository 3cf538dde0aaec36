package kubernetes

import (
	"context"
	"errors"
	"net"
	"slices"
	"strconv"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/chiron-faas/chiron/deploy"
)

// running is a deployment that is up. It implements deploy.Running.
type running struct {
	target    *Target
	manifests *Manifests
	// addresses of the wraps' Services, in the plan's order.
	addresses []string

	watch sync.Once
	done  chan struct{}
}

func (t *Target) running(ctx context.Context, m *Manifests) (*running, error) {
	r := &running{target: t, manifests: m, done: make(chan struct{})}
	for i := range m.Wraps {
		name := m.Service.Name
		if s := m.Wraps[i].Service; s != nil {
			name = s.Name
		}
		var s corev1.Service
		if _, err := t.client.get(ctx, services, name, &s); err != nil {
			return nil, err
		}
		port := 0
		if len(s.Spec.Ports) > 0 {
			port = int(s.Spec.Ports[0].Port)
		}
		r.addresses = append(r.addresses, net.JoinHostPort(s.Spec.ClusterIP, strconv.Itoa(port)))
	}
	return r, nil
}

func (r *running) endpoint(i int, path string) deploy.Endpoint {
	return deploy.Endpoint{Wrap: r.manifests.Wraps[i].Wrap, Network: "tcp", Address: r.addresses[i], Path: path}
}

// Workflow implements deploy.Running. The endpoint is the cluster's: its pods and
// nodes reach it.
func (r *running) Workflow() deploy.Endpoint { return r.endpoint(0, "/") }

// Function implements deploy.Running. Where network policies are enforced, only wrap
// 1's functions are reached by others.
func (r *running) Function(name string) (deploy.Endpoint, bool) {
	for i := range r.manifests.Wraps {
		if slices.Contains(r.manifests.Wraps[i].Functions, name) {
			return r.endpoint(i, "/function/"+name), true
		}
	}
	return deploy.Endpoint{}, false
}

// Status implements deploy.Running.
func (r *running) Status(ctx context.Context) (deploy.Status, error) {
	return r.target.Status(ctx, r.manifests.Deployment)
}

// Down implements deploy.Running.
func (r *running) Down(ctx context.Context) error {
	if err := r.target.Down(ctx, r.manifests.Deployment); err != nil && !errors.Is(err, deploy.ErrNotFound) {
		return err
	}
	return nil
}

// watchEvery is how often Done's goroutine looks whether the deployment is there.
const watchEvery = time.Second

// Done implements deploy.Running. From the first call on the cluster is asked, until
// the deployment is down.
func (r *running) Done() <-chan struct{} {
	r.watch.Do(func() {
		go func() { // ends with the deployment
			for {
				if _, err := r.Status(context.Background()); errors.Is(err, deploy.ErrNotFound) {
					close(r.done)
					return
				}
				time.Sleep(watchEvery)
			}
		}()
	})
	return r.done
}
