package kubernetes

import (
	"context"
	"fmt"
	"slices"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"

	"github.com/chiron-faas/chiron/deploy"
)

// Rollout brings a deployment from what there is to one revision, step by step:
//
//	Look    what is there, and what the revision waits for
//	Apply   everything of the revision, beside what serves
//	Switch  requests go to it, once it waits for nothing: no way back from here
//	Remove  the others, once callers have heard of it; or the revision itself, where
//	        it does not come up
//
// No step waits, and none remembers anything: how far it has come is read from the
// cluster, so that whoever was ended in the middle, or somebody else, goes on with
// Look. ApplyManifests takes the steps and waits between them; a controller takes the
// one that is due and comes back.
type Rollout struct {
	target    *Target
	manifests *Manifests
}

// Rollout to a revision.
func (t *Target) Rollout(m *Manifests) *Rollout { return &Rollout{target: t, manifests: m} }

// Standing is how far a rollout has come.
type Standing struct {
	// Serves is the revision that takes requests; empty: none does.
	Serves string
	// Missing says that the revision lacks a Deployment or a Service.
	Missing bool
	// Begun says when the last of its Deployments was made; zero: it has none.
	Begun time.Time
	// Waits are what the revision's wraps wait for, in the plan's order; empty: all of
	// them are ready.
	Waits []Hindrance
	// Others are the other revisions that have Deployments.
	Others []string
	// Status of what takes requests, whichever revision that is.
	Status deploy.Status

	there *there
}

// Look reads what there is, and refuses to take over what is none of ours: the error
// is a *ForeignError.
func (r *Rollout) Look(ctx context.Context) (*Standing, error) {
	m := r.manifests
	for _, own := range []struct {
		kind kind
		name string
	}{{services, m.Service.Name}, {accounts, m.Account.Name}, {policies, m.Entrance.Name}} {
		var o metav1.PartialObjectMetadata
		found, err := r.target.client.get(ctx, own.kind, own.name, &o)
		if err != nil {
			return nil, err
		}
		if found {
			if err := r.foreign(own.kind, &o); err != nil {
				return nil, err
			}
		}
	}
	return r.stand(ctx)
}

// Serving is how a deployment of an owner's stands, for who has no revision to bring
// up: Others are those beside the one that takes requests.
func (t *Target) Serving(ctx context.Context, deployment string, owner types.UID) (*Standing, error) {
	there, err := t.state(ctx, deployment)
	if err != nil {
		return nil, err
	}
	if there.service == nil || !metav1.IsControlledBy(there.service, &metav1.ObjectMeta{UID: owner}) {
		return &Standing{}, nil
	}
	serves := there.service.Spec.Selector[LabelRevision]
	return &Standing{there: there, Status: there.status(deployment, t.client.namespace), Serves: serves, Others: there.others(serves)}, nil
}

// others are the revisions but one that have Deployments.
func (s *there) others(but string) (revisions []string) {
	for i := range s.deployments {
		if r := s.deployments[i].Labels[LabelRevision]; r != but && !slices.Contains(revisions, r) {
			revisions = append(revisions, r)
		}
	}
	return revisions
}

// stand is Look without the question whose it is.
func (r *Rollout) stand(ctx context.Context) (*Standing, error) {
	m := r.manifests
	there, err := r.target.state(ctx, m.Deployment)
	if err != nil {
		return nil, err
	}
	s := &Standing{there: there, Status: there.status(m.Deployment, r.target.client.namespace), Others: there.others(m.Revision)}
	if there.service != nil {
		s.Serves = there.service.Spec.Selector[LabelRevision]
	}
	made := 0
	for i := range there.deployments {
		d := &there.deployments[i]
		if d.Labels[LabelRevision] != m.Revision {
			continue
		}
		made++
		if at := d.CreationTimestamp.Time; at.After(s.Begun) {
			s.Begun = at
		}
	}
	// Wrap 1 has no Service of its revision's.
	s.Missing = made < len(m.Wraps) || there.services[m.Revision] < len(m.Wraps)-1
	for i := range m.Wraps {
		if h := hindered(there, &m.Wraps[i].Deployment); h.Message != "" {
			h.Wrap = m.Wraps[i].Wrap
			s.Waits = append(s.Waits, h)
		}
	}
	return s, nil
}

// Apply makes everything of the revision but what sends requests to it, or changes it
// to what is asked for now.
func (r *Rollout) Apply(ctx context.Context, s *Standing) error {
	m := r.manifests
	objects := m.Objects()
	for _, o := range objects[:len(objects)-1] { // all but the workflow's Service
		if err := r.target.client.apply(ctx, r.sized(o, s)); err != nil {
			return fmt.Errorf("deploy %q: %w", m.Deployment, err)
		}
	}
	return nil
}

// Switch sends requests to the revision.
func (r *Rollout) Switch(ctx context.Context) error {
	if err := r.target.client.apply(ctx, &r.manifests.Service); err != nil {
		return fmt.Errorf("deploy %q: %w", r.manifests.Deployment, err)
	}
	return nil
}

// sized is an object, where it is a Deployment with the number of replicas that it
// has now or, where it is new, that the same wrap of the plan before has: an
// autoscaler's, which must not fall back while requests go on.
func (r *Rollout) sized(o runtime.Object, now *Standing) runtime.Object {
	d, ok := o.(*appsv1.Deployment)
	if !ok || d.Spec.Replicas != nil {
		return o
	}
	s := r.target.options.Settings
	n := s.Min
	for _, was := range now.there.deployments {
		if was.Spec.Replicas == nil || was.Labels[LabelWrap] != d.Labels[LabelWrap] {
			continue
		}
		if was.Name == d.Name {
			n = *was.Spec.Replicas
			break
		}
		if was.Labels[LabelRevision] == now.Serves {
			n = *was.Spec.Replicas
		}
	}
	d = d.DeepCopy()
	d.Spec.Replicas = new(min(max(n, s.Min), s.Max))
	return d
}
