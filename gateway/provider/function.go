package provider

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/chiron-faas/chiron/bundle"
	"github.com/chiron-faas/chiron/deploy"
	"github.com/chiron-faas/chiron/gateway"
	"github.com/chiron-faas/chiron/gateway/fleet"
	"github.com/chiron-faas/chiron/internal/openfaas"
	"github.com/chiron-faas/chiron/plan"
)

// function is one that was deployed.
type function struct {
	name string
	// changing is held by who deploys, updates, scales or removes it, and guards
	// digest and generation.
	changing   sync.Mutex
	digest     string
	generation int
	// kept is the bundle of the version before, so that it can be gone back to.
	kept bundle.Bundle

	mu      sync.Mutex
	spec    openfaas.Deployment // guarded by mu
	created time.Time           // guarded by mu
	running *version            // guarded by mu; nil: none is
	removed bool                // guarded by mu
}

// version is what runs of a function.
type version struct {
	bundle  bundle.Bundle
	bundles *bundleStore
	running deploy.Scalable
	target  deploy.Target
	fleet   *fleet.Fleet
	wrap    plan.Wrap
	scale   scale
	// secrets is the folder that its secrets are in.
	secrets string
}

func orNone(m *map[string]string) map[string]string {
	if m == nil {
		return nil
	}
	return *m
}

func (f *function) version() *version {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.running
}

func (f *function) specification() openfaas.Deployment {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.spec
}

// secretsVariable tells a function the folder of its secrets. In a container that
// is /var/openfaas/secrets; a bundle shares the machine's files with others.
const secretsVariable = "CHIRON_SECRETS"

// begin starts a version of a function, which end ends. The caller holds the
// function's changing. f.digest is that of the bundle where it is here already.
func (p *Provider) begin(ctx context.Context, name string, spec openfaas.Deployment, generation int) (_ *version, err error) {
	var digest string
	if f := p.find(name); f != nil && f.spec.Image == spec.Image && f.generation == generation {
		digest = f.digest // it comes back: its folder may be gone
	}
	var b bundle.Bundle
	if digest != "" {
		b, err = p.bundles.keep(digest, "")
	} else {
		b, err = p.bundles.take(spec.Image)
	}
	if err != nil {
		return nil, err
	}
	v := &version{bundle: b, bundles: p.bundles, target: p.targets[generation%len(p.targets)]}
	defer func() {
		if err != nil {
			_ = os.RemoveAll(v.secrets)
			if digest == "" { // else it is still the function's
				p.bundles.release(b)
			}
		}
	}()
	d, err := p.deployment(name, spec, b)
	if err != nil {
		return nil, err
	}
	v.wrap = d.Wraps()[0]
	if v.scale, err = scaleOf(orNone(spec.Labels)); err != nil {
		return nil, err
	}
	v.secrets = p.secretsOf(name, generation)
	if err := p.mountSecrets(v.secrets, spec.Secrets); err != nil {
		return nil, err
	}
	if len(spec.Secrets) > 0 {
		d.Env = append(d.Env, secretsVariable+"="+v.secrets)
	}
	up, err := v.target.Up(ctx, d)
	if err != nil {
		return nil, err
	}
	scalable, ok := up.(deploy.Scalable)
	if !ok {
		return nil, errors.Join(fmt.Errorf("the target of function %q runs one replica only", name), up.Down(context.WithoutCancel(ctx)))
	}
	v.running = scalable
	v.fleet = fleet.New(fleet.Options{
		First: scalable.First(), Start: scalable.Start, Min: v.scale.least, Max: v.scale.most, Idle: v.scale.idle,
		Limit: func(string) int { return v.wrap.MaxInside() }, Log: p.log.With("function", name),
	})
	return v, nil
}

// deployment is the one wrap that a function is, for the target.
func (p *Provider) deployment(name string, spec openfaas.Deployment, b bundle.Bundle) (deploy.Deployment, error) {
	pl, err := plan.Read(filepath.Join(b.Dir, "plan.json"))
	if err != nil {
		return deploy.Deployment{}, errBadImage{err}
	}
	d := deploy.Deployment{Name: name, Plan: pl, Bundles: []bundle.Bundle{b}, Only: b.Wrap, Peers: make(map[string]string)}
	if _, err := d.Check(); err != nil {
		return d, errBadImage{err}
	}
	for _, key := range slices.Sorted(maps.Keys(spec.EnvVars)) {
		value := spec.EnvVars[key]
		if key == "" || strings.ContainsAny(key, "=\x00") || strings.Contains(value, "\x00") {
			return d, errBadImage{fmt.Errorf("envVars: %q cannot be set", key)}
		}
		if key != openfaas.PeersVariable {
			d.Env = append(d.Env, key+"="+value)
			continue
		}
		for peer := range strings.SplitSeq(value, ",") {
			wrap, address, ok := strings.Cut(strings.TrimSpace(peer), "=")
			if !ok {
				return d, errBadImage{fmt.Errorf("envVars: %s %q is not WRAP=ADDRESS, with commas between", openfaas.PeersVariable, value)}
			}
			d.Peers[wrap] = address
		}
	}
	if spec.Limits != nil {
		if d.Memory, err = memoryOf(spec.Limits.Memory); err != nil {
			return d, errBadImage{fmt.Errorf("limits: %w", err)}
		}
		cpus, err := cpusOf(spec.Limits.CPU)
		if err != nil {
			return d, errBadImage{fmt.Errorf("limits: %w", err)}
		}
		if w := d.Wraps()[0]; cpus > 0 && cpus < float64(w.CPUs) {
			return d, errBadImage{fmt.Errorf("limits: cpu %q is less than the %d CPUs of the bundle's plan: plan again with fewer, or ask for these", spec.Limits.CPU, w.CPUs)}
		}
	}
	return d, nil
}

// take makes a version the one that is served, and ends the one before.
func (p *Provider) take(f *function, v *version) error {
	f.mu.Lock()
	old := f.running
	spec, created := f.spec, f.created
	f.running = v
	f.mu.Unlock()
	drained, err := p.router.Set(gateway.Route{
		Name: f.name, Kind: gateway.Whole, Endpoint: v.running.Workflow(), Fleet: v.fleet,
		Concurrency: v.wrap.MaxInside() * v.scale.most, Labels: orNone(spec.Labels), Annotations: orNone(spec.Annotations), Deployed: created,
	})
	if err != nil {
		return err
	}
	if old != nil {
		p.retire(f.name, old, drained)
		p.drop(f)
		f.kept = old.bundle
	}
	return nil
}

// drop gives up the bundle that is kept of the version before.
func (p *Provider) drop(f *function) {
	if f.kept.Dir != "" {
		p.bundles.release(f.kept)
		f.kept = bundle.Bundle{}
	}
}

// retire ends a version that gets no more requests. What is left of it is told to
// the log: the change that it made way for is done.
func (p *Provider) retire(name string, old *version, drained func(context.Context)) {
	ctx, cancel := context.WithTimeout(context.Background(), p.options.Drain)
	defer cancel()
	drained(ctx)
	if err := old.stop(context.Background()); err != nil {
		p.log.Error("the version of a function before was not ended cleanly", "function", name, "error", err.Error())
	}
}

// stop takes a version down, which may come back.
func (v *version) stop(ctx context.Context) error {
	v.fleet.Close()
	return errors.Join(v.running.Down(ctx), os.RemoveAll(v.secrets))
}

// end takes a version down for good.
func (v *version) end(ctx context.Context) error {
	defer v.bundles.release(v.bundle)
	return v.stop(ctx)
}

// errExists and errNotFound are the faults of who asked.
var (
	errExists   = errors.New("exists already: update it (PUT)")
	errNotFound = errors.New("is not deployed")
)

// deploy makes a new function.
func (p *Provider) deploy(ctx context.Context, spec openfaas.Deployment) error {
	f := &function{name: spec.Service, spec: spec, created: time.Now().UTC()}
	f.changing.Lock()
	defer f.changing.Unlock()
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return fleet.ErrClosed
	}
	if p.functions[f.name] != nil {
		p.mu.Unlock()
		return errExists
	}
	p.functions[f.name] = f
	p.mu.Unlock()
	v, err := p.begin(ctx, f.name, spec, 0)
	if err == nil {
		f.digest = v.bundle.Digest
		if err = p.write(f.name, record{Spec: spec, Digest: f.digest, Created: f.created}); err == nil {
			err = p.take(f, v)
		}
		if err != nil {
			err = errors.Join(err, v.end(context.WithoutCancel(ctx)))
		}
	}
	if err != nil {
		p.forget(f)
	}
	return err
}

// update makes an existing function another. What asks for nothing new changes
// nothing.
func (p *Provider) update(ctx context.Context, spec openfaas.Deployment) error {
	f := p.find(spec.Service)
	if f == nil {
		return errNotFound
	}
	f.changing.Lock()
	defer f.changing.Unlock()
	if f.gone() {
		return errNotFound
	}
	if f.version() != nil && reflect.DeepEqual(f.specification(), spec) && p.sameBundle(f, spec.Image) {
		return nil
	}
	v, err := p.begin(ctx, f.name, spec, f.generation+1)
	if err != nil {
		return err
	}
	if err := p.write(f.name, record{Spec: spec, Digest: v.bundle.Digest, Created: f.created, Generation: f.generation + 1}); err != nil {
		return errors.Join(err, v.end(context.WithoutCancel(ctx)))
	}
	f.generation++
	f.digest = v.bundle.Digest
	f.mu.Lock()
	f.spec = spec
	f.mu.Unlock()
	return p.take(f, v)
}

// sameBundle says whether the image is still what runs.
func (p *Provider) sameBundle(f *function, image string) bool {
	dir, digest, err := parseImage(image)
	if err == nil && digest == "" {
		digest, err = bundle.Digest(dir)
	}
	return err == nil && digest == f.digest
}

// remove takes a function away.
func (p *Provider) remove(name string) error {
	f := p.find(name)
	if f == nil {
		return errNotFound
	}
	f.changing.Lock()
	defer f.changing.Unlock()
	if f.gone() {
		return errNotFound
	}
	// Its file goes first: whatever ends the gateway now, it does not come back.
	if err := os.Remove(p.recordFile(name)); err != nil {
		return fmt.Errorf("remove function %q: %w", name, err)
	}
	drained := p.router.Remove(name)
	if v := f.version(); v != nil {
		p.retire(name, v, drained)
		p.bundles.release(v.bundle)
	}
	p.drop(f)
	p.forget(f)
	return nil
}

// forget takes a function off the list, with its folder.
func (p *Provider) forget(f *function) {
	f.mu.Lock()
	f.removed, f.running = true, nil
	f.mu.Unlock()
	_ = os.RemoveAll(filepath.Join(p.options.Dir, "functions", f.name)) // without a function.json it is nothing
	p.mu.Lock()
	delete(p.functions, f.name)
	p.mu.Unlock()
}

func (f *function) gone() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.removed
}

// status is a function as it is now.
func (p *Provider) status(ctx context.Context, f *function, usage bool) openfaas.Status {
	f.mu.Lock()
	spec, created, v := f.spec, f.created, f.running
	f.mu.Unlock()
	s := openfaas.Status{
		Name: f.name, Image: spec.Image, Namespace: p.options.Namespace, EnvProcess: spec.EnvProcess, EnvVars: spec.EnvVars,
		Constraints: spec.Constraints, Secrets: spec.Secrets, Labels: orNone(spec.Labels), Annotations: orNone(spec.Annotations),
		Limits: spec.Limits, Requests: spec.Requests, ReadOnlyRoot: spec.ReadOnlyRoot, CreatedAt: created,
	}
	if v == nil {
		return s
	}
	s.InvocationCount = p.router.Invocations(f.name)
	now, err := v.running.Status(ctx)
	if err != nil {
		return s
	}
	var held int64
	for _, w := range now.Wraps { // one for each replica
		s.Replicas++
		if w.State == deploy.WrapReady {
			s.AvailableReplicas++
		}
		held += w.Memory
	}
	if usage {
		s.Usage = &openfaas.Usage{TotalMemoryBytes: held}
	}
	return s
}
