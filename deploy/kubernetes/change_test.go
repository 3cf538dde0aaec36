package kubernetes

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/chiron-faas/chiron/deploy"
	"github.com/chiron-faas/chiron/deploy/kubernetes/clustertest"
)

func TestApplyStatusDown(t *testing.T) {
	f := newFakeCluster(t)
	target := f.target(Options{})
	m := f.manifest(target, twoWraps(0))
	if err := target.ApplyManifests(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	if did := f.Did(); did[len(did)-1] != "PATCH services/flow" {
		t.Errorf("the workflow's Service is not the last that was made: %v", did)
	}
	s, err := target.Status(t.Context(), "flow")
	if err != nil || s.State != deploy.Up || len(s.Wraps) != 2 || s.PlanID != m.PlanID || len(s.Notes) != 0 || s.Gateway != "http://flow.here" {
		t.Errorf("status %+v, %v", s, err)
	}
	if w := s.Wraps[1]; w.Name != "wrap-2" || w.State != deploy.WrapReady || !slices.Equal(w.Functions, []string{"b", "c"}) || w.Address != "10.1.0.1:8080" || w.MemoryLimit != DefaultMemory {
		t.Errorf("wrap %+v", w)
	}
	before := len(f.Did())
	if err := target.ApplyManifests(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	for _, e := range f.Did()[before:] {
		if strings.HasPrefix(e, "DELETE") {
			t.Errorf("applied again, the same removes something: %s", e)
		}
	}
	list, err := target.List(t.Context())
	if err != nil || len(list) != 1 || list[0].Name != "flow" {
		t.Errorf("list %+v, %v", list, err)
	}
	if err := target.Down(t.Context(), "flow"); err != nil {
		t.Fatal(err)
	}
	if left := f.Left(); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	if err := target.Down(t.Context(), "flow"); !errors.Is(err, deploy.ErrNotFound) {
		t.Errorf("down again: %v", err)
	}
}

// TestAnotherPlan: requests go to the new plan when all of it is ready, and what they
// still need of the old one goes after them.
func TestAnotherPlan(t *testing.T) {
	f := newFakeCluster(t)
	f.Slow = 50 * time.Millisecond
	target := f.target(Options{})
	one, two := f.manifest(target, twoWraps(0)), f.manifest(target, twoWraps(64<<20))
	if err := target.ApplyManifests(t.Context(), one); err != nil {
		t.Fatal(err)
	}
	f.Do(func() { // the second plan's wrap 2 takes its time
		f.Events = nil
		f.Pod = func(d *appsv1.Deployment) corev1.PodStatus {
			if d.Labels[LabelRevision] == two.Revision && d.Labels[LabelWrap] == "wrap-2" {
				return corev1.PodStatus{}
			}
			return corev1.PodStatus{Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}}
		}
	})
	ended := make(chan error, 1)
	go func() { ended <- target.ApplyManifests(t.Context(), two) }()
	made := "PATCH poddisruptionbudgets/" + two.Wraps[1].Budget.Name
	for !slices.Contains(f.Did(), made) {
		time.Sleep(time.Millisecond)
	}
	time.Sleep(2 * pollEvery) // it has looked, and found wrap 2 not ready
	if slices.Contains(f.Did(), "PATCH services/flow") {
		t.Error("requests go to a plan that is not ready")
	}
	f.Do(func() {
		f.Pod = nil
		f.Reconcile("deployments/" + two.Wraps[1].Deployment.Name)
	})
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	order := []string{
		"PATCH services/flow", "DELETE deployments/" + one.Wraps[0].Deployment.Name, "GONE " + one.Wraps[0].Deployment.Name,
		"DELETE deployments/" + one.Wraps[1].Deployment.Name,
	}
	at := -1
	did := f.Did()
	for _, e := range order {
		i := slices.Index(did, e)
		if i <= at {
			t.Fatalf("%q comes at %d, after %d: %v", e, i, at, did)
		}
		at = i
	}
	for _, left := range f.Left() {
		if strings.Contains(left, one.Revision) {
			t.Errorf("of the plan before there is %s", left)
		}
	}
	s, err := target.Status(t.Context(), "flow")
	if err != nil || s.State != deploy.Up || s.PlanID != two.PlanID || len(s.Wraps) != 2 {
		t.Errorf("status %+v, %v", s, err)
	}
}

// TestWhatFailsIsPutBack: a plan that does not come up leaves the one before alone,
// and nothing of itself.
func TestWhatFailsIsPutBack(t *testing.T) {
	f := newFakeCluster(t)
	target := f.target(Options{})
	one, two := f.manifest(target, twoWraps(0)), f.manifest(target, twoWraps(64<<20))
	f.Pod = func(d *appsv1.Deployment) corev1.PodStatus {
		if d.Labels[LabelWrap] == "wrap-2" {
			return waiting("ImagePullBackOff", "Back-off pulling image: not found")
		}
		return corev1.PodStatus{}
	}
	var failed *deploy.StartError
	err := target.ApplyManifests(t.Context(), one)
	if !errors.As(err, &failed) || failed.Wrap != "wrap-2" || !strings.Contains(failed.Message, "flow-wrap-2:v1 cannot be pulled: Back-off pulling image: not found") {
		t.Errorf("error %v", err)
	}
	if left := f.Left(); len(left) > 0 {
		t.Errorf("of a first deployment that failed there is %v", left)
	}
	fails := f.Pod
	f.Do(func() { f.Pod = nil })
	if err := target.ApplyManifests(t.Context(), one); err != nil {
		t.Fatal(err)
	}
	before := f.Left()
	f.Do(func() { f.Pod = fails })
	if err := target.ApplyManifests(t.Context(), two); !errors.As(err, &failed) {
		t.Errorf("error %v", err)
	}
	if left := f.Left(); !slices.Equal(left, before) {
		t.Errorf("left %v, before there was %v", left, before)
	}
	s, err := target.Status(t.Context(), "flow")
	if err != nil || s.State != deploy.Up || s.PlanID != one.PlanID {
		t.Errorf("status %+v, %v", s, err)
	}
	// Interrupted, the same.
	ctx, cancel := context.WithCancel(t.Context())
	f.Do(func() {
		f.Pod = func(d *appsv1.Deployment) corev1.PodStatus { cancel(); return corev1.PodStatus{} }
	})
	if err := target.ApplyManifests(ctx, two); !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted: %v", err)
	}
	if left := f.Left(); !slices.Equal(left, before) {
		t.Errorf("interrupted: left %v, before there was %v", left, before)
	}
}

// TestHalfDone: what a killed deployment has left is finished by the next, or taken
// down.
func TestHalfDone(t *testing.T) {
	f := newFakeCluster(t)
	target := f.target(Options{})
	one, two := f.manifest(target, twoWraps(0)), f.manifest(target, twoWraps(64<<20))
	for _, o := range one.Objects()[:5] {
		if err := target.client.apply(t.Context(), o); err != nil {
			t.Fatal(err)
		}
	}
	s, err := target.Status(t.Context(), "flow")
	if err != nil || s.State != deploy.Dead || len(s.Notes) != 1 {
		t.Errorf("status %+v, %v", s, err)
	}
	if err := target.ApplyManifests(t.Context(), two); err != nil {
		t.Fatal(err)
	}
	for _, left := range f.Left() {
		if strings.Contains(left, one.Revision) {
			t.Errorf("what was half done is still there: %s", left)
		}
	}
	for _, o := range one.Objects()[:5] {
		if err := target.client.apply(t.Context(), o); err != nil {
			t.Fatal(err)
		}
	}
	s, err = target.Status(t.Context(), "flow")
	if err != nil || s.State != deploy.Up || s.PlanID != two.PlanID || len(s.Notes) != 1 || len(s.Wraps) != 2 {
		t.Errorf("status %+v, %v", s, err)
	}
	if err := target.Down(t.Context(), "flow"); err != nil {
		t.Fatal(err)
	}
	if left := f.Left(); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// TestReplicasAreTheAutoscalers: neither the next plan nor the same again takes away
// what the autoscaler has made.
func TestReplicasAreTheAutoscalers(t *testing.T) {
	f := newFakeCluster(t)
	target := f.target(Options{Settings: Settings{Min: 2, Max: 5}})
	one, two := f.manifest(target, twoWraps(0)), f.manifest(target, twoWraps(64<<20))
	apply := func(m *Manifests) {
		t.Helper()
		if err := target.ApplyManifests(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
	replicas := func(m *Manifests, i int) int32 {
		var d appsv1.Deployment
		f.Do(func() { f.Read("deployments/"+m.Wraps[i].Deployment.Name, &d) })
		return *d.Spec.Replicas
	}
	scale := func(m *Manifests, i int, n int32) {
		var d appsv1.Deployment
		f.Do(func() {
			key := "deployments/" + m.Wraps[i].Deployment.Name
			f.Read(key, &d)
			d.Spec.Replicas = &n
			f.Write(key, &d)
			f.Reconcile(key)
		})
	}
	apply(one)
	scale(one, 0, 4)
	scale(one, 1, 9) // more than what is now allowed
	apply(one)
	if a, b := replicas(one, 0), replicas(one, 1); a != 4 || b != 5 {
		t.Errorf("the same plan again: %d and %d replicas, want 4 and 5", a, b)
	}
	apply(two)
	if a, b := replicas(two, 0), replicas(two, 1); a != 4 || b != 5 {
		t.Errorf("the next plan: %d and %d replicas, want 4 and 5", a, b)
	}
}

// TestForeign: what is none of ours is not taken over, and not removed.
func TestForeign(t *testing.T) {
	for _, key := range []string{"services/flow", "serviceaccounts/flow", "networkpolicies/flow-entrance"} {
		f := newFakeCluster(t)
		target := f.target(Options{})
		f.Write(key, &metav1.PartialObjectMetadata{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Any"}, ObjectMeta: metav1.ObjectMeta{Name: strings.Split(key, "/")[1], Labels: map[string]string{"app": "theirs"}}})
		err := target.ApplyManifests(t.Context(), f.manifest(target, twoWraps(0)))
		if err == nil || !strings.Contains(err.Error(), "no deployment of ours") {
			t.Errorf("%s: error %v", key, err)
		}
		if left := f.Left(); !slices.Equal(left, []string{key}) {
			t.Errorf("left %v", left)
		}
		if err := target.Down(t.Context(), "flow"); !errors.Is(err, deploy.ErrNotFound) {
			t.Errorf("down: %v", err)
		}
	}
}

// TestTimeout: a wrap that no node has room for is named with what it asks for, and
// what the scheduler said.
func TestTimeout(t *testing.T) {
	f := newFakeCluster(t)
	var said []string
	target := f.target(Options{StartTimeout: time.Second, Progress: func(what string) { said = append(said, what) }})
	f.Pod = func(*appsv1.Deployment) corev1.PodStatus {
		return corev1.PodStatus{Conditions: []corev1.PodCondition{{
			Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: corev1.PodReasonUnschedulable, Message: "0/3 nodes are available: 3 Insufficient cpu.",
		}}}
	}
	err := target.ApplyManifests(t.Context(), f.manifest(target, twoWraps(64<<20)))
	var failed *deploy.StartError
	want := "no node has room for it: it asks for 1 CPU and 64 MiB of memory; the scheduler says: 0/3 nodes are available: 3 Insufficient cpu."
	if !errors.As(err, &failed) || failed.Wrap != "wrap-1" || !strings.Contains(failed.Message, "not ready within 1s: "+want) {
		t.Errorf("error %v", err)
	}
	if !slices.Contains(said, "wrap-1: "+want) {
		t.Errorf("nobody was told while it waited: %q", said)
	}
	if left := f.Left(); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// TestRefusals of the API: each says what was asked, and what to do.
func TestRefusals(t *testing.T) {
	refused := func(code int32, reason metav1.StatusReason, message string) *metav1.Status {
		return &metav1.Status{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}, Status: metav1.StatusFailure, Code: code, Reason: reason, Message: message}
	}
	for name, c := range map[string]struct {
		status *metav1.Status
		want   []string
	}{
		"no rights": {
			refused(http.StatusForbidden, metav1.StatusReasonForbidden, `deployments.apps is forbidden: User "ada" cannot patch resource "deployments" in API group "apps" in the namespace "here"`),
			[]string{"apply deployment flow-wrap-2-", `cannot patch resource "deployments"`, "docs/kubernetes.md"},
		},
		"wrong password": {
			refused(http.StatusUnauthorized, metav1.StatusReasonUnauthorized, "Unauthorized"), []string{"refuses the credentials", "--context"},
		},
		"no namespace": {
			clustertest.NotFound("namespaces", "here"), []string{`no namespace "here"`, "kubectl create namespace here"},
		},
		"refused by a policy": {
			refused(http.StatusUnprocessableEntity, metav1.StatusReasonInvalid, "admission webhook says no"), []string{"refuses it", "admission webhook says no"},
		},
		"broken": {
			refused(http.StatusInternalServerError, metav1.StatusReasonInternalError, "etcdserver: no leader"), []string{"etcdserver: no leader"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFakeCluster(t)
			target := f.target(Options{})
			f.Refuse = func(req *http.Request) *metav1.Status {
				if req.Method == http.MethodPatch && strings.Contains(req.URL.Path, "/deployments/") {
					return c.status
				}
				return nil
			}
			err := target.ApplyManifests(t.Context(), f.manifest(target, twoWraps(0)))
			for _, want := range c.want {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("error %v, want %q in it", err, want)
				}
			}
			if left := f.Left(); len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}
