package provider

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
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
	"github.com/chiron-faas/chiron/gateway/container"
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
	// kept is what the version before was made of, so that it can be gone back to.
	kept *content

	mu      sync.Mutex
	spec    openfaas.Deployment // guarded by mu
	created time.Time           // guarded by mu
	running *version            // guarded by mu; nil: none is
	removed bool                // guarded by mu
}

// version is what runs of a function.
type version struct {
	content *content
	running deploy.Scalable
	// logs calls emit as deploy.Target's Logs does.
	logs  func(ctx context.Context, o deploy.LogOptions, emit func(deploy.LogLine) error) error
	fleet *fleet.Fleet
	scale scale
	// inside is the most requests that a replica works on at once.
	inside int
	// secrets is the folder that its secrets are in, readable is who may read them.
	secrets  string
	readable fs.FileMode
}

// content is what a version is made of, a bundle or an image, which stays in its
// store until it is released.
type content struct {
	digest  string
	bundle  bundle.Bundle
	image   *container.Image // nil: it is a bundle
	release func()
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
// function's changing. f.digest is that of what is here already.
func (p *Provider) begin(ctx context.Context, name string, spec openfaas.Deployment, generation int) (_ *version, err error) {
	var digest string
	if f := p.find(name); f != nil && f.spec.Image == spec.Image && f.generation == generation {
		digest = f.digest // it comes back: what it was made from may be gone
	}
	v := &version{readable: private}
	if v.content, err = p.hold(ctx, spec.Image, digest); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			_ = os.RemoveAll(v.secrets)
			if digest == "" { // else it is still the function's
				v.content.release()
			}
		}
	}()
	if v.scale, err = scaleOf(orNone(spec.Labels)); err != nil {
		return nil, err
	}
	if v.content.image != nil {
		v.readable = readable // by the container's user; no other can reach the folder above
	}
	v.secrets = p.secretsOf(name, generation)
	if err := p.mountSecrets(v, spec.Secrets); err != nil {
		return nil, err
	}
	if v.content.image != nil {
		err = p.runImage(ctx, v, name, spec, generation)
	} else {
		err = p.runBundle(ctx, v, name, spec, generation)
	}
	if err != nil {
		return nil, err
	}
	v.fleet = fleet.New(fleet.Options{
		First: v.running.First(), Start: v.running.Start, Min: v.scale.least, Max: v.scale.most, Idle: v.scale.idle,
		Limit: func(string) int { return v.inside }, Log: p.log.With("function", name),
	})
	return v, nil
}

// hold has what an image's name leads to in its store; digest, where it is not
// empty, is what it led to when the function was deployed.
func (p *Provider) hold(ctx context.Context, image, digest string) (*content, error) {
	if !isBundle(image) {
		return p.holdImage(ctx, image, digest)
	}
	var b bundle.Bundle
	var err error
	if digest != "" {
		b, err = p.bundles.keep(digest, "")
	} else {
		b, err = p.bundles.take(image)
	}
	if err != nil {
		return nil, err
	}
	return &content{digest: b.Digest, bundle: b, release: func() { p.bundles.release(b) }}, nil
}

// runBundle starts a version that is a bundle.
func (p *Provider) runBundle(ctx context.Context, v *version, name string, spec openfaas.Deployment, generation int) error {
	d, err := p.deployment(name, spec, v.content.bundle)
	if err != nil {
		return err
	}
	w := d.Wraps()[0]
	v.inside = w.MaxInside()
	if len(spec.Secrets) > 0 {
		d.Env = append(d.Env, secretsVariable+"="+v.secrets)
	}
	target := p.targets[generation%len(p.targets)]
	v.logs = func(ctx context.Context, o deploy.LogOptions, emit func(deploy.LogLine) error) error {
		return target.Logs(ctx, name, o, emit)
	}
	up, err := target.Up(ctx, d)
	if err != nil {
		return err
	}
	scalable, ok := up.(deploy.Scalable)
	if !ok {
		return errors.Join(fmt.Errorf("the target of function %q runs one replica only", name), up.Down(context.WithoutCancel(ctx)))
	}
	v.running = scalable
	return nil
}

// deployment is the one wrap that a function is, for the target.
func (p *Provider) deployment(name string, spec openfaas.Deployment, b bundle.Bundle) (deploy.Deployment, error) {
	pl, err := plan.Read(filepath.Join(b.Dir, plan.PlanFile))
	if err != nil {
		return deploy.Deployment{}, errBadImage{err}
	}
	d := deploy.Deployment{Name: name, Plan: pl, Bundles: []bundle.Bundle{b}, Only: b.Wrap, Peers: make(map[string]string)}
	if _, err := d.Check(); err != nil {
		return d, errBadImage{err}
	}
	if d.Env, err = environment(spec); err != nil {
		return d, err
	}
	if value, ok := spec.EnvVars[openfaas.PeersVariable]; ok {
		d.Env = slices.DeleteFunc(d.Env, func(v string) bool { return strings.HasPrefix(v, openfaas.PeersVariable+"=") })
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

// environment is what a deployment sets, "NAME=value", by name.
func environment(spec openfaas.Deployment) ([]string, error) {
	var env []string
	for _, key := range slices.Sorted(maps.Keys(spec.EnvVars)) {
		value := spec.EnvVars[key]
		if key == "" || strings.ContainsAny(key, "=\x00") || strings.Contains(value, "\x00") {
			return nil, errBadImage{fmt.Errorf("envVars: %q cannot be set", key)}
		}
		env = append(env, key+"="+value)
	}
	return env, nil
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
		Concurrency: v.inside * v.scale.most, Labels: orNone(spec.Labels), Annotations: orNone(spec.Annotations), Deployed: created,
	})
	if err != nil {
		return err
	}
	if old != nil {
		p.retire(f.name, old, drained)
		f.drop()
		f.kept = old.content
	}
	return nil
}

// drop gives up what is kept of the version before.
func (f *function) drop() {
	if f.kept != nil {
		f.kept.release()
		f.kept = nil
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
	defer v.content.release()
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
		f.digest = v.content.digest
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
	if f.version() != nil && reflect.DeepEqual(f.specification(), spec) && p.sameContent(ctx, f, spec.Image) {
		return nil
	}
	v, err := p.begin(ctx, f.name, spec, f.generation+1)
	if err != nil {
		return err
	}
	if err := p.write(f.name, record{Spec: spec, Digest: v.content.digest, Created: f.created, Generation: f.generation + 1}); err != nil {
		return errors.Join(err, v.end(context.WithoutCancel(ctx)))
	}
	f.generation++
	f.digest = v.content.digest
	f.mu.Lock()
	f.spec = spec
	f.mu.Unlock()
	return p.take(f, v)
}

// sameContent says whether an image's name still leads to what runs.
func (p *Provider) sameContent(ctx context.Context, f *function, image string) bool {
	if !isBundle(image) {
		return p.leadsTo(ctx, image, f.digest)
	}
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
		v.content.release()
	}
	f.drop()
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
