package kubernetes

import (
	"fmt"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Own has all objects of the revision belong to what a reference names, such as a
// Workflow: they are removed with it, and only who owns them changes them.
func (m *Manifests) Own(owner metav1.OwnerReference) {
	m.owner = &owner
	for _, o := range m.Objects() {
		o.(metav1.Object).SetOwnerReferences([]metav1.OwnerReference{owner})
	}
}

// ForeignError says that what a deployment would take over belongs to somebody else.
type ForeignError struct {
	// Object that it is about: `Service "flow"`.
	Object string
	// Message in one line.
	Message string
}

// Error is the message.
func (e *ForeignError) Error() string { return e.Message }

// foreign says whether an object that is there is none of the rollout's.
func (r *Rollout) foreign(k kind, o *metav1.PartialObjectMetadata) error {
	m, owner := r.manifests, metav1.GetControllerOf(o)
	switch {
	case o.Labels[labelManagedBy] != Manager || o.Labels[LabelDeployment] != m.Deployment:
		return &ForeignError{shownObject(k, o.Name), fmt.Sprintf("%s has a %s %q that is no deployment of ours: name the project otherwise, or choose another namespace", r.target.client, k.name, o.Name)}
	case m.owner == nil && owner != nil:
		return r.target.owned(k, o.Name, owner)
	case m.owner != nil && owner == nil:
		return &ForeignError{shownObject(k, o.Name), fmt.Sprintf("%s has a %s %q that chiron deploy has made: take that down (chiron down), or name the %s otherwise", r.target.client, k.name, o.Name, m.owner.Kind)}
	case m.owner != nil && owner.UID != m.owner.UID:
		return &ForeignError{shownObject(k, o.Name), fmt.Sprintf("%s has a %s %q that belongs to another %s %q: wait where that is being removed, else choose another name", r.target.client, k.name, o.Name, owner.Kind, owner.Name)}
	}
	return nil
}

// owned says that somebody else looks after an object.
func (t *Target) owned(k kind, name string, owner *metav1.OwnerReference) error {
	return &ForeignError{shownObject(k, name), fmt.Sprintf("%s has a %s %q that %s %q runs: change or delete that (kubectl delete %s %s)",
		t.client, k.name, name, owner.Kind, owner.Name, strings.ToLower(owner.Kind), owner.Name)}
}

func shownObject(k kind, name string) string { return fmt.Sprintf("%s %q", k.name, name) }
