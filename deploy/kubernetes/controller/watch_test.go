package controller

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/chiron-faas/chiron/deploy/kubernetes/v1alpha1"
)

// TestUsers: a ConfigMap wakes up who is planned with it, in its namespace.
func TestUsers(t *testing.T) {
	measured, calibrated, elsewhere := flow(), flow(), flow()
	calibrated.Name, elsewhere.Namespace = "calibrated", "other"
	calibrated.Spec.Calibration = &v1alpha1.Source{ConfigMap: "nodes", Key: "calibration.json"}
	h := newHouse(t, measured, calibrated, elsewhere)
	for name, want := range map[string]int{"audit-profile": 2, "nodes": 1, "another": 0} {
		m := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "team"}}
		got := usersOf(t.Context(), h.api, m)
		if len(got) != want {
			t.Errorf("%s wakes up %v, want %d", name, got, want)
		}
		for _, r := range got {
			if r.Namespace != "team" || name == "nodes" && r.Name != "calibrated" {
				t.Errorf("%s wakes up %v", name, r)
			}
		}
	}
}
