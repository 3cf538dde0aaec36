package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/chiron-faas/chiron/bundle"
	"github.com/chiron-faas/chiron/deploy"
)

// Options of New. Client is needed.
type Options struct {
	Client *Client
	// Image is what a bundle runs as: a reference in a registry that the cluster
	// reaches, or of an image that its nodes have. Up and Apply need it, and nothing
	// else: manifests come with their images.
	Image func(ctx context.Context, b bundle.Bundle) (string, error)
	// Settings of the manifests; the namespace is the client's.
	Settings Settings
	// StartTimeout bounds the time until all wraps are ready; 0: two minutes.
	StartTimeout time.Duration
	// Drain is how long the wraps of the plan before are kept after the switch, for
	// the cluster's nodes to hear of it; 0: 3 s. It is followed by their linger and
	// grace.
	Drain time.Duration
	// Progress, when set, is told each step.
	Progress func(what string)
}

// Target is a namespace of a Kubernetes cluster. It implements deploy.Target.
type Target struct {
	options Options
	client  *Client
}

var _ deploy.Target = (*Target)(nil)

// New checks the options; nothing is asked yet.
func New(o Options) (*Target, error) {
	o.Settings.Namespace = o.Client.namespace
	if err := o.Settings.Check(); err != nil {
		return nil, err
	}
	o.Settings = o.Settings.withDefaults()
	if o.StartTimeout <= 0 {
		o.StartTimeout = 2 * time.Minute
	}
	if o.Drain <= 0 {
		o.Drain = 3 * time.Second
	}
	if o.Progress == nil {
		o.Progress = func(string) {}
	}
	return &Target{options: o, client: o.Client}, nil
}

// Up implements deploy.Target.
func (t *Target) Up(ctx context.Context, d deploy.Deployment) (deploy.Running, error) {
	if err := deploy.CheckName(d.Name); err != nil {
		return nil, err
	}
	s, err := t.Status(ctx, d.Name)
	if err != nil && !errors.Is(err, deploy.ErrNotFound) {
		return nil, err
	}
	if err == nil && s.State != deploy.Dead {
		return nil, fmt.Errorf("%w: %q in %s", deploy.ErrExists, d.Name, t.client)
	}
	return t.Apply(ctx, d)
}

// Apply brings d up, in the place of what there is of its name. See the package's
// comment for what it does with another plan; where plan, images and settings are
// the same, nothing is changed.
func (t *Target) Apply(ctx context.Context, d deploy.Deployment) (deploy.Running, error) {
	if t.options.Image == nil {
		return nil, fmt.Errorf("deploy %q: nothing says which images its bundles run as: set Options.Image", d.Name)
	}
	bundles, err := d.Check()
	if err != nil {
		return nil, err
	}
	w := Workload{Name: d.Name, Plan: d.Plan, Images: make(map[string]string), Functions: make(map[string][]string), Env: d.Env, Memory: d.Memory}
	for _, b := range bundles {
		if w.Images[b.Wrap], err = t.options.Image(ctx, b); err != nil {
			return nil, err
		}
		w.Functions[b.Wrap] = b.Functions
	}
	m, err := t.Manifest(w)
	if err != nil {
		return nil, err
	}
	if err := t.ApplyManifests(ctx, m); err != nil {
		return nil, err
	}
	return t.running(ctx, m)
}

// Manifest makes a workload's objects for the target's namespace.
func (t *Target) Manifest(w Workload) (*Manifests, error) { return Manifest(w, t.options.Settings) }

// selectorOf chooses a deployment's objects.
func selectorOf(deployment string, more ...string) string {
	all := []string{LabelDeployment + "=" + deployment, labelManagedBy + "=" + Manager}
	return strings.Join(append(all, more...), ",")
}

// there is what a namespace has of one deployment.
type there struct {
	service     *corev1.Service // of the workflow; nil: none
	services    map[string]int  // of other wraps, by revision
	deployments []appsv1.Deployment
	pods        []corev1.Pod
}

// state reads a deployment.
func (t *Target) state(ctx context.Context, name string) (*there, error) {
	all, err := t.states(ctx, selectorOf(name))
	if err != nil {
		return nil, err
	}
	if s := all[name]; s != nil {
		return s, nil
	}
	return &there{}, nil
}

// states reads all deployments that a selector chooses.
func (t *Target) states(ctx context.Context, selector string) (map[string]*there, error) {
	found := make(map[string]*there)
	of := func(o metav1.ObjectMeta) *there {
		name := o.Labels[LabelDeployment]
		if found[name] == nil {
			found[name] = &there{services: make(map[string]int)}
		}
		return found[name]
	}
	front, err := list[corev1.Service](ctx, t.client, services, selector)
	if err != nil {
		return nil, err
	}
	for i := range front {
		if s := of(front[i].ObjectMeta); front[i].Labels[LabelWrap] == "" {
			s.service = &front[i]
		} else {
			s.services[front[i].Labels[LabelRevision]]++
		}
	}
	wraps, err := list[appsv1.Deployment](ctx, t.client, deployments, selector)
	if err != nil {
		return nil, err
	}
	for _, d := range wraps {
		s := of(d.ObjectMeta)
		s.deployments = append(s.deployments, d)
	}
	running, err := list[corev1.Pod](ctx, t.client, pods, selector)
	if err != nil {
		return nil, err
	}
	for _, p := range running {
		s := of(p.ObjectMeta)
		s.pods = append(s.pods, p)
	}
	return found, nil
}

// List implements deploy.Target.
func (t *Target) List(ctx context.Context) ([]deploy.Status, error) {
	all, err := t.states(ctx, labelManagedBy+"="+Manager+","+LabelDeployment)
	if err != nil {
		return nil, err
	}
	list := []deploy.Status{}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		list = append(list, all[name].status(name, t.client.namespace))
	}
	if len(list) == 0 {
		return list, t.client.checkNamespace(ctx, "list deployments")
	}
	return list, nil
}

// Status implements deploy.Target.
func (t *Target) Status(ctx context.Context, name string) (deploy.Status, error) {
	if err := deploy.CheckName(name); err != nil {
		return deploy.Status{}, err
	}
	s, err := t.state(ctx, name)
	if err != nil {
		return deploy.Status{}, err
	}
	if s.empty() {
		left, err := t.left(ctx, name)
		if err != nil {
			return deploy.Status{}, err
		}
		if len(left) == 0 {
			return deploy.Status{}, t.notFound(ctx, "look at "+name, name)
		}
	}
	return s.status(name, t.client.namespace), nil
}

func (s *there) empty() bool { return s.service == nil && len(s.deployments) == 0 && len(s.pods) == 0 }

// notFound says that a deployment is not there, or not even the namespace.
func (t *Target) notFound(ctx context.Context, what, name string) error {
	if err := t.client.checkNamespace(ctx, what); err != nil {
		return err
	}
	return fmt.Errorf("%w: %q in %s", deploy.ErrNotFound, name, t.client)
}

// Down implements deploy.Target.
func (t *Target) Down(ctx context.Context, name string) error {
	if err := deploy.CheckName(name); err != nil {
		return err
	}
	left, err := t.left(ctx, name)
	if err != nil {
		return err
	}
	if len(left) == 0 {
		return t.notFound(ctx, "take down "+name, name)
	}
	if i := slices.IndexFunc(left, func(o object) bool { return o.owner != nil }); i >= 0 {
		return fmt.Errorf("take down %q: %w", name, t.owned(left[i].kind, left[i].name, left[i].owner))
	}
	if err := t.removeAll(ctx, name, ""); err != nil {
		return fmt.Errorf("take down %q: %w", name, err)
	}
	return nil
}

// object is one that there is.
type object struct {
	kind     kind
	name     string
	role     string
	revision string
	owner    *metav1.OwnerReference // who has it made; nil: nobody but users
}

// left are a deployment's objects, in the order in which they are removed.
func (t *Target) left(ctx context.Context, name string) ([]object, error) {
	var all []object
	for _, k := range made() {
		found, err := list[metav1.PartialObjectMetadata](ctx, t.client, k, selectorOf(name))
		if k == configMaps && apierrors.IsForbidden(err) {
			continue // who may not see them deploys images of plans, which need none
		}
		if err != nil {
			return nil, err
		}
		for _, o := range found {
			all = append(all, object{k, o.Name, o.Labels[LabelRole], o.Labels[LabelRevision], metav1.GetControllerOf(&o)})
		}
	}
	return all, nil
}

// removeAll removes the objects of a deployment, or those of all revisions but one,
// and returns when none of their pods is left.
func (t *Target) removeAll(ctx context.Context, name, keep string) error {
	return deploy.Poll(ctx, pollEvery, func() (bool, error) { return t.Remove(ctx, name, keep) })
}

// Remove removes the objects of a deployment, or those of all revisions but some, as
// far as that can be done now; true: none is left, and none of their pods. Wrap 1 goes
// first, and the others once it is gone: it may still call them.
func (t *Target) Remove(ctx context.Context, name string, keep ...string) (bool, error) {
	keep = slices.DeleteFunc(slices.Clone(keep), func(revision string) bool { return revision == "" })
	left, err := t.left(ctx, name)
	if err != nil {
		return false, err
	}
	left = slices.DeleteFunc(left, func(o object) bool {
		return len(keep) > 0 && (o.revision == "" || slices.Contains(keep, o.revision)) // what has no revision serves all of them
	})
	for _, front := range []bool{true, false} {
		for _, o := range left {
			if front == (o.role == Front) {
				if err := t.client.remove(ctx, o.kind, o.name); err != nil {
					return false, err
				}
			}
		}
		selector := []string{}
		if front {
			selector = append(selector, LabelRole+"="+Front)
		}
		if len(keep) > 0 {
			selector = append(selector, LabelRevision+" notin ("+strings.Join(keep, ",")+")")
		}
		if gone, err := t.gone(ctx, selectorOf(name, selector...)); !gone || err != nil {
			return false, err
		}
	}
	return true, nil
}

// gone says whether no pod, and nothing that makes pods, is left of what a selector
// chooses.
func (t *Target) gone(ctx context.Context, selector string) (bool, error) {
	for _, k := range []kind{deployments, replicaSets, pods} {
		found, err := list[metav1.PartialObjectMetadata](ctx, t.client, k, selector)
		if err != nil || len(found) > 0 {
			return false, err
		}
	}
	return true, nil
}

// pollEvery is how often something is asked that is waited for.
const pollEvery = 300 * time.Millisecond
