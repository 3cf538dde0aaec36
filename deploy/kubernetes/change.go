package kubernetes

import (
	"context"
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// change brings a deployment from what there is to one revision.
type change struct {
	target    *Target
	manifests *Manifests
	// served is the revision that takes requests before; empty: none does. before are
	// all Deployments that there are of the name.
	served string
	before []appsv1.Deployment
	// switched says that requests go to the new revision: from then on there is no
	// way back.
	switched bool
}

// look reads what there is, and refuses to take over what is none of ours.
func (c *change) look(ctx context.Context) error {
	m := c.manifests
	for _, own := range []struct {
		kind kind
		name string
	}{{services, m.Service.Name}, {accounts, m.Account.Name}, {policies, m.Entrance.Name}} {
		var o metav1.PartialObjectMetadata
		found, err := c.target.client.get(ctx, own.kind, own.name, &o)
		if err != nil {
			return err
		}
		if found && foreign(o.ObjectMeta, m.Deployment) {
			return fmt.Errorf("%s has a %s %q that is no deployment of ours: name the project otherwise, or choose another namespace", c.target.client, own.kind.name, own.name)
		}
	}
	s, err := c.target.state(ctx, m.Deployment)
	if err != nil {
		return err
	}
	c.before = s.deployments
	if s.service != nil {
		c.served = s.service.Spec.Selector[LabelRevision]
	}
	return nil
}

// run does it: everything of the revision, the switch, and then what is left of
// others.
func (c *change) run(ctx context.Context) error {
	t, m := c.target, c.manifests
	t.options.Progress("applying the manifests of revision " + m.Revision)
	objects := m.Objects()
	for _, o := range objects[:len(objects)-1] { // all but the workflow's Service
		if err := t.client.apply(ctx, c.sized(o)); err != nil {
			return fmt.Errorf("deploy %q: %w", m.Deployment, err)
		}
	}
	if err := c.ready(ctx); err != nil {
		return err
	}
	if err := t.client.apply(ctx, &m.Service); err != nil {
		return fmt.Errorf("deploy %q: %w", m.Deployment, err)
	}
	c.switched = true
	if !c.others() {
		return nil
	}
	// What fails from here on leaves something over, which the next deployment removes.
	t.options.Progress("waiting for requests of the plan before")
	select {
	case <-ctx.Done():
		return nil
	case <-time.After(t.options.Drain):
	}
	if err := t.removeAll(ctx, m.Deployment, m.Revision); err != nil {
		t.options.Progress(fmt.Sprintf("could not remove the plan before: %v; the next deployment does", err))
	}
	return nil
}

// others says whether there are other revisions.
func (c *change) others() bool {
	for i := range c.before {
		if c.before[i].Labels[LabelRevision] != c.manifests.Revision {
			return true
		}
	}
	return false
}

// undo removes the new revision, or all of the deployment where nothing of it took
// requests before.
func (c *change) undo(ctx context.Context) error {
	if c.served == c.manifests.Revision {
		return nil // it still takes requests
	}
	if err := c.target.removeAll(ctx, c.manifests.Deployment, c.served); err != nil {
		return fmt.Errorf("deploy %q: it is left half done; deploy again, or take it down: %w", c.manifests.Deployment, err)
	}
	return nil
}

// sized is an object, where it is a Deployment with the number of replicas that it
// has now or, where it is new, that the same wrap of the plan before has: an
// autoscaler's, which must not fall back while requests go on.
func (c *change) sized(o runtime.Object) runtime.Object {
	d, ok := o.(*appsv1.Deployment)
	if !ok || d.Spec.Replicas != nil {
		return o
	}
	s := c.target.options.Settings
	n := s.Min
	for _, was := range c.before {
		if was.Spec.Replicas == nil || was.Labels[LabelWrap] != d.Labels[LabelWrap] {
			continue
		}
		if was.Name == d.Name {
			n = *was.Spec.Replicas
			break
		}
		if was.Labels[LabelRevision] == c.served {
			n = *was.Spec.Replicas
		}
	}
	d = d.DeepCopy()
	d.Spec.Replicas = new(min(max(n, s.Min), s.Max))
	return d
}

// podsOf are the pods of a Deployment of ours.
func podsOf(all []corev1.Pod, d *appsv1.Deployment) (pods []corev1.Pod) {
	for _, p := range all {
		if p.Labels[LabelWrap] == d.Labels[LabelWrap] && p.Labels[LabelRevision] == d.Labels[LabelRevision] && p.DeletionTimestamp == nil {
			pods = append(pods, p)
		}
	}
	return pods
}
