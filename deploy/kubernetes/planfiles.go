package kubernetes

import (
	"bytes"
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/chiron-faas/chiron/plan"
)

const (
	// planMount is where pods find the plan that their images do not hold.
	planMount  = "/etc/chiron/plan"
	planVolume = "plan"
	// maxConfigMap is the most that a ConfigMap's values may have, bytes (the API's
	// MaxSecretSize).
	maxConfigMap = 1 << 20
)

// planFiles are what the agent's --plan reads, by their names; nil where the images
// hold the plan.
func planFiles(w *Workload) (map[string]string, error) {
	if w.Definition == nil {
		return nil, nil
	}
	var text bytes.Buffer
	if err := w.Plan.Placement().Encode(&text); err != nil {
		return nil, fmt.Errorf("deploy %q: %w", w.Name, err)
	}
	if size := text.Len() + len(w.Definition); size > maxConfigMap {
		return nil, fmt.Errorf("deploy %q: its plan and its definition have %d bytes, and a cluster's ConfigMap holds %d: deploy images of the plan (chiron deploy), or divide the workflow",
			w.Name, size, maxConfigMap)
	}
	return map[string]string{plan.PlanFile: text.String(), plan.DefinitionFile: string(w.Definition)}, nil
}

// planMap brings the plan to the pods of its revision. It is never changed: another
// plan is another revision.
func (m *maker) planMap() *corev1.ConfigMap {
	if m.files == nil {
		return nil
	}
	return &corev1.ConfigMap{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "ConfigMap"},
		ObjectMeta: m.meta(m.planMapName(), map[string]string{LabelRevision: m.revision, LabelPlan: shortPlan(m.planID)}),
		Data:       m.files,
		Immutable:  new(true),
	}
}

func (m *maker) planMapName() string {
	return objectName(m.workload.Name, planVolume, m.revision)
}

// planArguments have the agent of wrap i run the plan that it is brought.
func (m *maker) planArguments(i int) []string {
	if m.files == nil {
		return nil
	}
	return []string{"--plan", planMount, "--wrap", m.workload.Plan.Wraps[i].Name}
}

// mountPlan adds the plan to a pod.
func (m *maker) mountPlan(p *corev1.PodSpec) {
	if m.files == nil {
		return
	}
	p.Volumes = append(p.Volumes, corev1.Volume{Name: planVolume, VolumeSource: corev1.VolumeSource{
		ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: corev1.LocalObjectReference{Name: m.planMapName()}},
	}})
	c := &p.Containers[0]
	c.VolumeMounts = append(c.VolumeMounts, corev1.VolumeMount{Name: planVolume, MountPath: planMount, ReadOnly: true})
}

// PlanMaps are the ConfigMaps that bring plans to the pods of a deployment: one of
// each revision that there is.
func (t *Target) PlanMaps(ctx context.Context, deployment string) ([]corev1.ConfigMap, error) {
	return list[corev1.ConfigMap](ctx, t.client, configMaps, selectorOf(deployment))
}
