package deploy

import (
	"context"
	"fmt"
	"net"

	"github.com/chiron-faas/chiron/bundle"
	"github.com/chiron-faas/chiron/internal/dnslabel"
	"github.com/chiron-faas/chiron/plan"
)

// Deployment is what Up brings up.
type Deployment struct {
	// Name identifies the deployment on its target: a DNS label.
	Name string
	Plan *plan.Plan
	// Bundles are the plan's, one for each wrap, in any order.
	Bundles []bundle.Bundle
	// Only names the one wrap that runs here, where each wrap of the plan is a
	// deployment of its own; empty: all of them. Peers are then the addresses of
	// the others, in the form of wrap.Options.Peers; only wrap 1 needs them.
	Only  string
	Peers map[string]string
	// Env is what all functions find in their environment, "NAME=value".
	Env []string
	// Memory, where it is not 0, is the limit of each wrap in bytes instead of the
	// plan's.
	Memory int64
	// Gateway is the address at which the deployment will be served
	// ("http://127.0.0.1:8080"), for Status to tell others; may be empty.
	Gateway string
	// Warm asks for instances that start fast, at the price of a process that
	// waits for it: where the target can, an interpreter that has started and
	// imported nothing of the functions.
	Warm bool
}

// Endpoint is where a wrap takes requests, in plain HTTP/1.1.
type Endpoint struct {
	// Wrap that answers.
	Wrap string
	// Network and Address are net.Dial's: "unix" and a socket's path, or "tcp"
	// and host:port.
	Network, Address string
	// Path to POST to: "/" for the workflow, "/function/NAME" for a function.
	Path string
}

// Dial connects to the wrap.
func (e Endpoint) Dial(ctx context.Context) (net.Conn, error) {
	var d net.Dialer
	return d.DialContext(ctx, e.Network, e.Address)
}

// Wraps are those of the plan that run here, in the plan's order.
func (d Deployment) Wraps() []plan.Wrap {
	var all []plan.Wrap
	for i := range d.Plan.Wraps {
		if w := d.Plan.Wraps[i]; d.Only == "" || d.Only == w.Name {
			if d.Memory > 0 {
				w.Memory = d.Memory
			}
			all = append(all, w)
		}
	}
	return all
}

// Check says what is wrong with a deployment before anything is started, and
// returns its bundles in the order of the plan's wraps.
func (d Deployment) Check() ([]bundle.Bundle, error) {
	if !dnslabel.Valid(d.Name) {
		return nil, fmt.Errorf("deployment name %q: use a-z, 0-9 and '-', at most 63 characters", d.Name)
	}
	if d.Plan == nil || len(d.Plan.Wraps) == 0 {
		return nil, fmt.Errorf("deploy %q: there is no plan, or it has no wrap: plan again", d.Name)
	}
	byWrap := make(map[string]bundle.Bundle, len(d.Bundles))
	for _, b := range d.Bundles {
		if _, ok := byWrap[b.Wrap]; ok {
			return nil, fmt.Errorf("deploy %q: two bundles of wrap %q", d.Name, b.Wrap)
		}
		byWrap[b.Wrap] = b
	}
	id := d.Plan.Digest()
	ordered := make([]bundle.Bundle, 0, len(d.Plan.Wraps))
	for _, w := range d.Wraps() {
		b, ok := byWrap[w.Name]
		if !ok {
			return nil, fmt.Errorf("deploy %q: no bundle of wrap %q: build the bundles again", d.Name, w.Name)
		}
		if b.PlanID != id {
			return nil, fmt.Errorf("deploy %q: the bundle of wrap %q was built for another plan: build the bundles again", d.Name, w.Name)
		}
		delete(byWrap, w.Name)
		ordered = append(ordered, b)
	}
	if len(ordered) == 0 {
		return nil, fmt.Errorf("deploy %q: the plan has no wrap %q: build the bundles again", d.Name, d.Only)
	}
	for name := range byWrap {
		return nil, fmt.Errorf("deploy %q: there is a bundle of wrap %q, which the plan does not have: build the bundles again", d.Name, name)
	}
	return ordered, nil
}

// CheckName refuses what cannot be a deployment's name, such as a path.
func CheckName(name string) error {
	if !dnslabel.Valid(name) {
		return fmt.Errorf("%w: %q is no name: use a-z, 0-9 and '-', at most 63 characters", ErrNotFound, name)
	}
	return nil
}
