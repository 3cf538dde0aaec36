package kubernetes

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/chiron-faas/chiron/plan"
)

func (f *fakeCluster) planned(target *Target, p *plan.Plan, definition string) *Manifests {
	f.t.Helper()
	m, err := target.Manifest(planned(p, definition))
	if err != nil {
		f.t.Fatal(err)
	}
	return m
}

// TestPlanFiles: pods that are brought their plan find it before they start, and it
// goes with its revision.
func TestPlanFiles(t *testing.T) {
	f := newFakeCluster(t)
	target := f.target(Options{})
	one := f.planned(target, twoWraps(0), flowDefinition)
	sum := sha256.Sum256([]byte(one.Plan.Data["plan.json"]))
	if got := hex.EncodeToString(sum[:]); got != one.PlanID || one.Plan.Data["workflow.asl.json"] != flowDefinition || !*one.Plan.Immutable {
		t.Errorf("plan %s, digest %s: %+v", one.PlanID, got, one.Plan)
	}
	if err := target.ApplyManifests(t.Context(), one); err != nil {
		t.Fatal(err)
	}
	did := f.Did()
	brought := slices.Index(did, "PATCH configmaps/"+one.Plan.Name)
	for i := range one.Wraps {
		w := &one.Wraps[i]
		if at := slices.Index(did, "PATCH deployments/"+w.Deployment.Name); brought < 0 || at < brought {
			t.Errorf("%s is made at %d, its plan at %d: %v", w.Wrap, at, brought, did)
		}
		args := strings.Join(w.Deployment.Spec.Template.Spec.Containers[0].Args, " ")
		if !strings.Contains(args, "--plan /etc/chiron/plan --wrap "+w.Wrap) {
			t.Errorf("%s: arguments %s", w.Wrap, args)
		}
	}

	// The same plan of a definition that does something else is another revision.
	two := f.planned(target, twoWraps(0), strings.Replace(flowDefinition, `"End":true`, `"End":true,"TimeoutSeconds":7`, 1))
	if two.PlanID != one.PlanID || two.Plan.Name == one.Plan.Name {
		t.Errorf("plans %s and %s, their maps %s and %s", one.PlanID, two.PlanID, one.Plan.Name, two.Plan.Name)
	}
	if err := target.ApplyManifests(t.Context(), two); err != nil {
		t.Fatal(err)
	}
	if left := f.Left(); !slices.Contains(left, "configmaps/"+two.Plan.Name) || slices.Contains(left, "configmaps/"+one.Plan.Name) {
		t.Errorf("left %v", left)
	}

	// One that does not come up goes without a trace.
	before := f.Left()
	f.Do(func() {
		f.Pod = func(*appsv1.Deployment) corev1.PodStatus { return waiting("ErrImageNeverPull", "") }
	})
	if err := target.ApplyManifests(t.Context(), f.planned(target, twoWraps(64<<20), flowDefinition)); err == nil {
		t.Error("a plan whose images are missing came up")
	}
	if left := f.Left(); !slices.Equal(left, before) {
		t.Errorf("left %v, before there was %v", left, before)
	}
	f.Do(func() { f.Pod = nil })

	// Images that hold their plan need none.
	if err := target.ApplyManifests(t.Context(), f.manifest(target, twoWraps(0))); err != nil {
		t.Fatal(err)
	}
	if left := f.Left(); slices.ContainsFunc(left, func(o string) bool { return strings.HasPrefix(o, "configmaps/") }) {
		t.Errorf("left %v", left)
	}
	if err := target.ApplyManifests(t.Context(), two); err != nil {
		t.Fatal(err)
	}
	if err := target.Down(t.Context(), "flow"); err != nil {
		t.Fatal(err)
	}
	if left := f.Left(); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// TestPlanFilesUnseen: who has no right to ConfigMaps deploys images of plans as
// before, and is told where a plan is to be brought.
func TestPlanFilesUnseen(t *testing.T) {
	f := newFakeCluster(t)
	target := f.target(Options{})
	f.Refuse = func(req *http.Request) *metav1.Status {
		if !strings.Contains(req.URL.Path, "/configmaps") {
			return nil
		}
		return &metav1.Status{
			TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}, Status: metav1.StatusFailure, Code: http.StatusForbidden, Reason: metav1.StatusReasonForbidden,
			Message: `configmaps is forbidden: User "ada" cannot use resource "configmaps" in API group "" in the namespace "here"`,
		}
	}
	for _, memory := range []int64{0, 64 << 20} {
		if err := target.ApplyManifests(t.Context(), f.manifest(target, twoWraps(memory))); err != nil {
			t.Fatal(err)
		}
	}
	before := f.Left()
	err := target.ApplyManifests(t.Context(), f.planned(target, twoWraps(0), flowDefinition))
	if err == nil || !strings.Contains(err.Error(), `apply configmap flow-plan-`) || !strings.Contains(err.Error(), "docs/kubernetes.md") {
		t.Errorf("error %v", err)
	}
	if left := f.Left(); !slices.Equal(left, before) {
		t.Errorf("left %v, before there was %v", left, before)
	}
	if err := target.Down(t.Context(), "flow"); err != nil {
		t.Fatal(err)
	}
	if left := f.Left(); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}
