package controller

import (
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/google/go-cmp/cmp"

	"github.com/chiron-faas/chiron/deploy/kubernetes"
	"github.com/chiron-faas/chiron/deploy/kubernetes/v1alpha1"
)

// right is "patch apps/deployments": a verb, and a resource of a group.
func right(verb, group, resource string) string { return verb + " " + group + "/" + resource }

// given are the rights of the base's ClusterRole for the controller.
func given(t *testing.T) map[string]bool {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("..", "base", "roles.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var role rbacv1.ClusterRole
	if err := yaml.Unmarshal([]byte(strings.Split(string(data), "\n---\n")[0]), &role); err != nil || role.Kind != "ClusterRole" || role.Name != "chiron-controller" {
		t.Fatalf("%s: %v", role.Kind, err)
	}
	all := make(map[string]bool)
	for _, r := range role.Rules {
		for _, group := range r.APIGroups {
			for _, resource := range r.Resources {
				for _, verb := range r.Verbs {
					all[right(verb, group, resource)] = true
				}
			}
		}
	}
	return all
}

// asked is the right that a request needs.
func asked(req *http.Request) string {
	group := ""
	path := strings.TrimPrefix(req.URL.Path, "/")
	if rest, ok := strings.CutPrefix(path, "apis/"); ok {
		group, _, _ = strings.Cut(rest, "/")
	}
	_, object, _ := strings.Cut(path, "/namespaces/")
	parts := strings.Split(object, "/")[1:]
	verb := strings.ToLower(req.Method)
	if verb == "get" && len(parts) == 1 {
		verb = "list"
	}
	return right(verb, group, strings.Join(append(parts[:1], parts[min(2, len(parts)):]...), "/"))
}

// TestRights: what the base lets the controller do is what it does, no more and no
// less. What is asked of the cluster by the reconciler is seen here; what its libraries
// ask for is listed.
func TestRights(t *testing.T) {
	const ours = v1alpha1.Group
	used := map[string]bool{
		// Reader, as it is used by Reconcile and readInputs.
		right("get", ours, "workflows"): true, right("get", "", "configmaps"): true,
		// Writer.
		right("patch", ours, "workflows/status"): true,
		// Blocking owners, as admission asks for it.
		right("update", ours, "workflows/finalizers"): true,
		// Events.
		right("create", "events.k8s.io", "events"): true, right("patch", "events.k8s.io", "events"): true,
	}
	// The caches behind what Register watches.
	for _, watched := range [][2]string{{ours, "workflows"}, {"", "configmaps"}, {"", "services"}, {"apps", "deployments"}} {
		used[right("list", watched[0], watched[1])] = true
		used[right("watch", watched[0], watched[1])] = true
	}
	h := newHouse(t, flow(), profileMap(t))
	rights := given(t)
	h.cluster.Refuse = func(req *http.Request) *metav1.Status { // guarded by the cluster's mutex
		r := asked(req)
		used[r] = true
		if verb, what, _ := strings.Cut(r, " "); verb == "patch" {
			used["create "+what] = true // of what is applied where there is none
		}
		if rights[r] {
			return nil
		}
		return &metav1.Status{
			TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}, Status: metav1.StatusFailure, Code: http.StatusForbidden,
			Reason: metav1.StatusReasonForbidden, Message: fmt.Sprintf("the base gives no right to %s", r),
		}
	}
	// Autoscalers and budgets, several wraps, then another plan, one that does not come
	// up, one that cannot be, and what is removed.
	h.change(func(s *v1alpha1.WorkflowSpec) {
		s.Instances = &v1alpha1.Instances{Min: 1, Max: 3}
		s.Apart = [][]string{{"one", "two"}}
	})
	first := h.until(serving).Status.Plan.Revision
	h.change(func(s *v1alpha1.WorkflowSpec) { s.SLO.Latency = "78ms" })
	if second := h.until(serving).Status.Plan.Revision; second == first {
		t.Fatal("another objective gives the same plan")
	} else {
		first = second
	}
	h.pods(func(d *appsv1.Deployment) *corev1.PodStatus {
		if d.Labels[kubernetes.LabelRevision] != first {
			return waiting("ImagePullBackOff")
		}
		return nil
	})
	h.change(func(s *v1alpha1.WorkflowSpec) { s.Instances.Max, s.Apart = 2, nil })
	h.until(earlier)
	h.change(func(s *v1alpha1.WorkflowSpec) { s.SLO.Latency = "1ms" })
	h.until(earlier)
	h.cluster.Do(func() {})
	if diff := cmp.Diff(slices.Sorted(maps.Keys(rights)), slices.Sorted(maps.Keys(used))); diff != "" {
		t.Errorf("rights of the base (-) and those that are used (+):\n%s", diff)
	}
}
