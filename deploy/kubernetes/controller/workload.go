package controller

import (
	"context"
	"encoding/json"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/chiron-faas/chiron/deploy/kubernetes"
	"github.com/chiron-faas/chiron/deploy/kubernetes/v1alpha1"
	"github.com/chiron-faas/chiron/plan"
)

// AnnotationInputs of a plan's ConfigMap is the digest of what the plan was made
// from: who starts anew finds it by that.
const AnnotationInputs = "chiron-faas.github.io/inputs"

// manifests are the objects of a plan, which belong to the Workflow.
func manifests(w *v1alpha1.Workflow, r *request, p *plan.Plan, digest string) (*kubernetes.Manifests, error) {
	load := kubernetes.Workload{
		Name: r.name, Plan: p, Images: make(map[string]string), Functions: make(map[string][]string), Env: r.env,
	}
	var err error
	if load.Definition, err = json.Marshal(r.definition); err != nil {
		return nil, fmt.Errorf("write the definition: %w", err)
	}
	for i := range p.Wraps {
		wrap := &p.Wraps[i]
		functions, err := wrap.Functions(r.definition)
		if err != nil {
			return nil, err
		}
		load.Functions[wrap.Name] = functions
		// The plan keeps apart what is in two images.
		load.Images[wrap.Name] = r.images[r.imageOf[functions[0]]].Image
	}
	m, err := kubernetes.Manifest(load, r.settings)
	if err != nil {
		return nil, refuse(v1alpha1.ReasonInvalidSpec, "%v", err)
	}
	m.Plan.Annotations = map[string]string{AnnotationInputs: digest}
	m.Own(*metav1.NewControllerRef(w, v1alpha1.GroupVersion().WithKind(v1alpha1.Kind)))
	return m, nil
}

// keptPlans are the plans of a Workflow's revisions, as the cluster has them.
type keptPlans struct {
	byDigest, byRevision map[string]*plan.Plan
}

// readKept reads them. What cannot be read as a plan is none.
func readKept(ctx context.Context, t *kubernetes.Target, w *v1alpha1.Workflow) (*keptPlans, error) {
	maps, err := t.PlanMaps(ctx, w.Name)
	if err != nil {
		return nil, err
	}
	kept := &keptPlans{make(map[string]*plan.Plan), make(map[string]*plan.Plan)}
	for i := range maps {
		m := &maps[i]
		p := decodeKept(m)
		if p == nil || !metav1.IsControlledBy(m, w) {
			continue
		}
		kept.byRevision[m.Labels[kubernetes.LabelRevision]] = p
		if digest := m.Annotations[AnnotationInputs]; digest != "" {
			kept.byDigest[digest] = p
		}
	}
	return kept, nil
}

func decodeKept(m *corev1.ConfigMap) *plan.Plan {
	p, err := plan.Decode([]byte(m.Data[plan.PlanFile]))
	if err != nil {
		return nil
	}
	return p
}
