package v1alpha1

import (
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// DeepCopyObject implements runtime.Object.
func (w *Workflow) DeepCopyObject() runtime.Object { return w.DeepCopy() }

// DeepCopy returns a copy that shares nothing with w.
func (w *Workflow) DeepCopy() *Workflow {
	if w == nil {
		return nil
	}
	c := *w
	c.ObjectMeta = *w.ObjectMeta.DeepCopy()
	c.Spec = w.Spec.deepCopy()
	c.Status = w.Status.deepCopy()
	return &c
}

// DeepCopyObject implements runtime.Object.
func (l *WorkflowList) DeepCopyObject() runtime.Object {
	if l == nil {
		return nil
	}
	c := *l
	c.ListMeta = *l.ListMeta.DeepCopy()
	if l.Items != nil {
		c.Items = make([]Workflow, len(l.Items))
		for i := range l.Items {
			c.Items[i] = *l.Items[i].DeepCopy()
		}
	}
	return &c
}

func (s *WorkflowSpec) deepCopy() WorkflowSpec {
	c := *s
	c.Definition = *s.Definition.DeepCopy()
	c.Images = slices.Clone(s.Images)
	for i := range c.Images {
		c.Images[i].Functions = slices.Clone(s.Images[i].Functions)
	}
	c.SLO = clone(s.SLO)
	if c.SLO != nil {
		c.SLO.Percentile = clone(s.SLO.Percentile)
	}
	c.Calibration = clone(s.Calibration)
	c.Apart, c.Together = copyLists(s.Apart), copyLists(s.Together)
	c.Limits = clone(s.Limits)
	if c.Limits != nil && c.Limits.Memory != nil {
		c.Limits.Memory = new(s.Limits.Memory.DeepCopy())
	}
	c.Instances = clone(s.Instances)
	c.PullSecrets, c.AllowFrom = slices.Clone(s.PullSecrets), slices.Clone(s.AllowFrom)
	c.Env = slices.Clone(s.Env)
	return c
}

func (s *WorkflowStatus) deepCopy() WorkflowStatus {
	c := *s
	if s.Conditions != nil {
		c.Conditions = make([]metav1.Condition, len(s.Conditions))
		for i := range s.Conditions {
			s.Conditions[i].DeepCopyInto(&c.Conditions[i])
		}
	}
	c.Plan = clone(s.Plan)
	if c.Plan != nil {
		c.Plan.Percentile, c.Plan.Since = clone(s.Plan.Percentile), s.Plan.Since.DeepCopy()
	}
	c.Failed = clone(s.Failed)
	return c
}

// clone copies what a pointer leads to, which holds no pointers but those that the
// caller looks after.
func clone[T any](p *T) *T {
	if p == nil {
		return nil
	}
	return new(*p)
}

func copyLists(lists [][]string) [][]string {
	c := slices.Clone(lists)
	for i := range c {
		c[i] = slices.Clone(lists[i])
	}
	return c
}
