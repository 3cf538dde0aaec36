package controller

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/chiron-faas/chiron/deploy/kubernetes"
	"github.com/chiron-faas/chiron/deploy/kubernetes/clustertest"
	"github.com/chiron-faas/chiron/deploy/kubernetes/v1alpha1"
)

// house is a cluster with Workflows, and who reconciles them.
type house struct {
	t           *testing.T
	cluster     *clustertest.Cluster
	access      *kubernetes.Client
	api         client.Client
	calibration string
	controller  *Reconciler
	now         time.Time
	events      []string
	// restarts has a new controller for every step.
	restarts bool
}

func newHouse(t *testing.T, objects ...client.Object) *house {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := corev1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	h := &house{t: t, cluster: clustertest.New(t, "team"), calibration: constantsFile(t), now: time.Now()}
	h.cluster.Now = func() time.Time { return h.now }
	h.api = fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).WithStatusSubresource(&v1alpha1.Workflow{}).Build()
	var err error
	if h.access, err = kubernetes.ClientFor(&rest.Config{Host: h.cluster.URL}, ""); err != nil {
		t.Fatal(err)
	}
	h.restart()
	return h
}

// restart ends the controller and starts another, which remembers nothing.
func (h *house) restart() {
	h.controller = New(Options{
		Reader: h.api, Writer: h.api, Cluster: h.access, Events: h, CalibrationFile: h.calibration,
		StartTimeout: time.Minute, RetryAfter: 10 * time.Minute, Drain: 3 * time.Second, Now: func() time.Time { return h.now },
	})
}

// Eventf implements events.EventRecorder.
func (h *house) Eventf(regarding, _ runtime.Object, kind, reason, _, note string, args ...any) {
	if regarding.(*v1alpha1.Workflow).Name != "audit" {
		h.t.Errorf("an event about %v", regarding)
	}
	h.events = append(h.events, kind+" "+reason+" "+fmt.Sprintf(note, args...))
}

// heard are the reasons of the events since the last call.
func (h *house) heard() (reasons []string) {
	for _, e := range h.events {
		reasons = append(reasons, strings.Fields(e)[1])
	}
	h.events = nil
	return reasons
}

// step reconciles once, and has the time pass until it is to be done again, where that
// is soon.
func (h *house) step() (*v1alpha1.Workflow, reconcile.Result, error) {
	h.t.Helper()
	if h.restarts {
		h.restart()
	}
	key := client.ObjectKey{Namespace: "team", Name: "audit"}
	result, err := h.controller.Reconcile(h.t.Context(), reconcile.Request{NamespacedName: key})
	if result.RequeueAfter <= time.Minute {
		h.now = h.now.Add(result.RequeueAfter)
	}
	var w v1alpha1.Workflow
	if err := h.api.Get(h.t.Context(), key, &w); err != nil {
		h.t.Fatal(err)
	}
	return &w, result, err
}

// until reconciles until a Workflow is as it should be, and nothing is in a hurry.
func (h *house) until(is func(w *v1alpha1.Workflow) bool) *v1alpha1.Workflow {
	h.t.Helper()
	for range 50 {
		w, result, err := h.step()
		if err != nil {
			h.t.Fatal(err)
		}
		if is(w) && result.RequeueAfter > time.Minute {
			return w
		}
	}
	var w v1alpha1.Workflow
	_ = h.api.Get(h.t.Context(), client.ObjectKey{Namespace: "team", Name: "audit"}, &w)
	did := h.cluster.Did()
	h.t.Fatalf("it never came: %+v\n%q", w.Status, did[max(0, len(did)-20):])
	return nil
}

// change changes the Workflow's spec as a user does.
func (h *house) change(change func(s *v1alpha1.WorkflowSpec)) {
	h.t.Helper()
	var w v1alpha1.Workflow
	if err := h.api.Get(h.t.Context(), client.ObjectKey{Namespace: "team", Name: "audit"}, &w); err != nil {
		h.t.Fatal(err)
	}
	change(&w.Spec)
	w.Generation++
	if err := h.api.Update(h.t.Context(), &w); err != nil {
		h.t.Fatal(err)
	}
}

// pods has those of some Deployments be in a state; nil: they are ready.
func (h *house) pods(state func(d *appsv1.Deployment) *corev1.PodStatus) {
	h.cluster.Do(func() {
		h.cluster.Pod = func(d *appsv1.Deployment) corev1.PodStatus {
			if s := state(d); s != nil {
				return *s
			}
			return corev1.PodStatus{Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}}
		}
		for _, key := range slices.Collect(maps.Keys(h.cluster.Objects)) {
			if strings.HasPrefix(key, "deployments/") {
				h.cluster.Reconcile(key)
			}
		}
	})
}

func (h *house) healthy() { h.pods(func(*appsv1.Deployment) *corev1.PodStatus { return nil }) }

// of are the names of all objects of a revision.
func (h *house) of(revision string) (names []string) {
	for _, name := range h.cluster.Left() {
		if strings.Contains(name, revision) {
			names = append(names, name)
		}
	}
	return names
}

func is(kind string, status metav1.ConditionStatus, reason string) func(w *v1alpha1.Workflow) bool {
	return func(w *v1alpha1.Workflow) bool {
		c := meta.FindStatusCondition(w.Status.Conditions, kind)
		return c != nil && c.Status == status && c.Reason == reason && c.ObservedGeneration == w.Generation
	}
}

var (
	serving = is(v1alpha1.Ready, metav1.ConditionTrue, v1alpha1.ReasonServing)
	earlier = is(v1alpha1.Ready, metav1.ConditionTrue, v1alpha1.ReasonServingEarlier)
)

func message(w *v1alpha1.Workflow, kind string) string {
	if c := meta.FindStatusCondition(w.Status.Conditions, kind); c != nil {
		return c.Message
	}
	return ""
}

func waiting(reason string) *corev1.PodStatus {
	return &corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{{State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason}}}}}
}

// TestServes: from a Workflow to one that takes requests, with what users see of it,
// whether or not the controller goes on remembering.
func TestServes(t *testing.T) {
	for name, restarts := range map[string]bool{"one controller": false, "a new one each time": true} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t, flow(), profileMap(t))
			h.restarts = restarts
			w := h.until(serving)
			s := w.Status
			if !is(v1alpha1.Planned, metav1.ConditionTrue, v1alpha1.ReasonSearched)(w) || s.ObservedGeneration != 1 || s.URL != "http://audit.team" || s.Failed != nil {
				t.Errorf("status %+v", s)
			}
			if p := s.Plan; p == nil || p.CPUs != 1 || p.Wraps != 1 || p.Predicted == "" || p.Percentile.String() != "95" || !strings.HasPrefix(p.Revision, p.ID[:8]) {
				t.Errorf("plan %+v", p)
			}
			if got := h.heard(); !slices.Equal(got, []string{"Planned", "RollingOut", "Serving"}) {
				t.Errorf("events %q", got)
			}
			h.cluster.Do(func() {
				for key := range h.cluster.Objects {
					var o metav1.PartialObjectMetadata
					h.cluster.Read(key, &o)
					if !strings.HasPrefix(key, "pods/") && !metav1.IsControlledBy(&o, w) {
						t.Errorf("%s does not go with the Workflow", key)
					}
				}
			})
			did := len(h.cluster.Did())
			if _, _, err := h.step(); err != nil {
				t.Fatal(err)
			}
			for _, e := range h.cluster.Did()[did:] {
				if !restarts || strings.HasPrefix(e, "DELETE") {
					t.Errorf("looked at again, and did %s", e)
				}
			}
			if got := h.heard(); got != nil {
				t.Errorf("looked at again, and told %q", got)
			}
		})
	}
}

// TestAnotherObjective: a tighter SLO is another plan, in the place of the one before.
func TestAnotherObjective(t *testing.T) {
	for name, restarts := range map[string]bool{"one controller": false, "a new one each time": true} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t, flow(), profileMap(t))
			h.restarts = restarts
			first := h.until(serving).Status.Plan.Revision
			h.heard()
			h.pods(func(d *appsv1.Deployment) *corev1.PodStatus {
				if d.Labels[kubernetes.LabelRevision] != first {
					return waiting("ContainerCreating")
				}
				return nil
			})
			h.change(func(s *v1alpha1.WorkflowSpec) { s.SLO.Latency = "70ms" })
			var w *v1alpha1.Workflow
			for range 5 {
				var err error
				if w, _, err = h.step(); err != nil {
					t.Fatal(err)
				}
				if !earlier(w) || w.Status.Plan.Revision != first || w.Status.URL == "" || !strings.Contains(message(w, v1alpha1.Ready), "is being brought up") {
					t.Fatalf("while the new one comes up: %+v", w.Status)
				}
			}
			if got := h.heard(); !slices.Equal(got, []string{"Planned", "RollingOut"}) {
				t.Errorf("events %q", got)
			}
			if slices.Contains(h.cluster.Did()[len(h.cluster.Did())-5:], "PATCH services/audit") || len(h.of(first)) == 0 {
				t.Error("requests go to what is not ready")
			}
			h.healthy()
			w = h.until(serving)
			if p := w.Status.Plan; p.Revision == first || p.CPUs != 3 {
				t.Errorf("plan %+v", p)
			}
			if left := h.of(first); left != nil {
				t.Errorf("of the plan before there is %q", left)
			}
			if got := h.heard(); !slices.Equal(got, []string{"Serving"}) {
				t.Errorf("events %q", got)
			}
			did := h.cluster.Did()
			switched := slices.Index(did[1:], "PATCH services/audit") + 1
			for i, e := range did {
				if strings.HasPrefix(e, "DELETE") && strings.Contains(e, first) && i < switched {
					t.Errorf("%s comes before the switch", e)
				}
			}
		})
	}
}

// TestUnreachable: where no plan keeps the SLO, what serves goes on; where nothing
// does, nothing is begun.
func TestUnreachable(t *testing.T) {
	h := newHouse(t, flow(), profileMap(t))
	refused := is(v1alpha1.Planned, metav1.ConditionFalse, v1alpha1.ReasonObjectiveUnreachable)
	h.change(func(s *v1alpha1.WorkflowSpec) { s.SLO.Latency = "20ms" })
	w := h.until(refused)
	if !is(v1alpha1.Ready, metav1.ConditionFalse, v1alpha1.ReasonNotPlanned)(w) || w.Status.Plan != nil || len(h.cluster.Left()) != 0 {
		t.Errorf("status %+v, made %q", w.Status, h.cluster.Left())
	}
	h.change(func(s *v1alpha1.WorkflowSpec) { s.SLO.Latency = "200ms" })
	first := h.until(serving).Status.Plan
	before := h.cluster.Left()
	h.heard()
	h.change(func(s *v1alpha1.WorkflowSpec) { s.SLO.Latency = "20ms" })
	w = h.until(refused)
	if !earlier(w) || w.Status.Plan.Revision != first.Revision || w.Status.Plan.Predicted != first.Predicted || !strings.Contains(message(w, v1alpha1.Ready), "no plan keeps p95 within 20ms") {
		t.Errorf("status %+v", w.Status)
	}
	h.until(refused)
	if got := h.heard(); !slices.Equal(got, []string{"PlanFailed"}) {
		t.Errorf("events %q", got)
	}
	if left := h.cluster.Left(); !slices.Equal(left, before) {
		t.Errorf("left %q, before there was %q", left, before)
	}
	did := len(h.cluster.Did())
	h.change(func(s *v1alpha1.WorkflowSpec) { s.SLO.Latency = "200ms" })
	if w = h.until(serving); w.Status.Plan.Revision != first.Revision {
		t.Errorf("back to what was asked for first, there is %+v", w.Status.Plan)
	}
	for _, e := range h.cluster.Did()[did:] {
		if strings.HasPrefix(e, "DELETE") {
			t.Errorf("back to what was asked for first: %s", e)
		}
	}
}

// TestDoesNotComeUp: it is removed, what serves goes on, and it is tried again later.
func TestDoesNotComeUp(t *testing.T) {
	for name, c := range map[string]struct {
		state   string
		message string
	}{
		"lasting": {"ImagePullBackOff", "cannot be pulled"},
		"late":    {"ContainerCreating", "not ready within 1m0s"},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t, flow(), profileMap(t))
			first := h.until(serving).Status.Plan.Revision
			before := h.cluster.Left()
			h.heard()
			fails := func(d *appsv1.Deployment) *corev1.PodStatus {
				if d.Labels[kubernetes.LabelRevision] != first {
					return waiting(c.state)
				}
				return nil
			}
			h.pods(fails)
			h.change(func(s *v1alpha1.WorkflowSpec) { s.SLO.Latency = "70ms" })
			w := h.until(earlier)
			f := w.Status.Failed
			if f == nil || f.Attempts != 1 || !strings.Contains(f.Message, c.message) || w.Status.Plan.Revision != first || !strings.Contains(message(w, v1alpha1.Ready), "did not come up") {
				t.Errorf("status %+v, %+v", w.Status, f)
			}
			if left := h.cluster.Left(); !slices.Equal(left, before) {
				t.Errorf("left %q, before there was %q", left, before)
			}
			if got := h.heard(); !slices.Equal(got, []string{"Planned", "RollingOut", "RolloutFailed"}) {
				t.Errorf("events %q", got)
			}
			// Who starts anew knows of it.
			h.now = f.RetryAfter.Add(-2 * time.Minute)
			h.restart()
			did := len(h.cluster.Did())
			if w, _, err := h.step(); err != nil || w.Status.Failed == nil {
				t.Errorf("anew: %+v, %v", w.Status, err)
			}
			if now := h.cluster.Did(); len(now) != did {
				t.Errorf("tried again too early: %q", now[did:])
			}
			h.now = f.RetryAfter.Time
			if w = h.until(earlier); w.Status.Failed.Attempts != 2 || w.Status.Failed.RetryAfter.Sub(h.now) < 15*time.Minute {
				t.Errorf("tried again: %+v at %v", w.Status.Failed, h.now)
			}
			h.now = w.Status.Failed.RetryAfter.Time
			h.healthy()
			if w = h.until(serving); w.Status.Failed != nil || w.Status.Plan.CPUs != 3 {
				t.Errorf("at last: %+v", w.Status)
			}
		})
	}
}

// TestFirstWaits: what has nothing to put in its place stays, and serves when it can.
func TestFirstWaits(t *testing.T) {
	h := newHouse(t, flow(), profileMap(t))
	h.pods(func(*appsv1.Deployment) *corev1.PodStatus {
		return &corev1.PodStatus{Conditions: []corev1.PodCondition{{
			Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: corev1.PodReasonUnschedulable, Message: "0/1 nodes are available",
		}}}
	})
	var w *v1alpha1.Workflow
	for range 50 { // far over its time
		var err error
		if w, _, err = h.step(); err != nil {
			t.Fatal(err)
		}
	}
	if !is(v1alpha1.Ready, metav1.ConditionFalse, v1alpha1.ReasonUnschedulable)(w) || w.Status.URL != "" || w.Status.Plan == nil || !strings.Contains(message(w, v1alpha1.Ready), "0/1 nodes") {
		t.Errorf("status %+v", w.Status)
	}
	if got := h.heard(); !slices.Equal(got, []string{"Planned", "RollingOut", "Unschedulable"}) {
		t.Errorf("events %q", got)
	}
	h.healthy()
	h.until(serving)
	// A pod that goes is told, and that it is back.
	h.heard()
	h.pods(func(*appsv1.Deployment) *corev1.PodStatus { return waiting("ContainerCreating") })
	if w, _, err := h.step(); err != nil || !is(v1alpha1.Ready, metav1.ConditionFalse, v1alpha1.ReasonDegraded)(w) {
		t.Errorf("without a pod: %+v, %v", w.Status, err)
	}
	h.healthy()
	h.until(serving)
	if got := h.heard(); !slices.Equal(got, []string{"Degraded", "Serving"}) {
		t.Errorf("events %q", got)
	}
}

// TestChangedMidway: what was on its way when the spec changed makes room.
func TestChangedMidway(t *testing.T) {
	h := newHouse(t, flow(), profileMap(t))
	first := h.until(serving).Status.Plan.Revision
	h.pods(func(d *appsv1.Deployment) *corev1.PodStatus {
		if d.Labels[kubernetes.LabelRevision] != first {
			return waiting("ContainerCreating")
		}
		return nil
	})
	h.change(func(s *v1alpha1.WorkflowSpec) { s.SLO.Latency = "70ms" })
	for range 3 {
		if _, _, err := h.step(); err != nil {
			t.Fatal(err)
		}
	}
	revisions := func() (all []string) {
		h.cluster.Do(func() {
			for key := range h.cluster.Objects {
				if strings.HasPrefix(key, "deployments/") {
					var d appsv1.Deployment
					h.cluster.Read(key, &d)
					all = append(all, d.Labels[kubernetes.LabelRevision])
				}
			}
		})
		slices.Sort(all)
		return all
	}
	second := slices.DeleteFunc(revisions(), func(r string) bool { return r == first })
	if len(second) != 1 {
		t.Fatalf("revisions %q", revisions())
	}
	h.change(func(s *v1alpha1.WorkflowSpec) { s.SLO.Latency = "100ms" })
	for range 3 {
		if _, _, err := h.step(); err != nil {
			t.Fatal(err)
		}
	}
	if now := revisions(); len(now) != 2 || !slices.Contains(now, first) || slices.Contains(now, second[0]) {
		t.Errorf("revisions %q, the first is %s, the second was %s", now, first, second[0])
	}
	h.healthy()
	if w := h.until(serving); w.Status.Plan.CPUs != 2 || len(revisions()) != 1 {
		t.Errorf("plan %+v, revisions %q", w.Status.Plan, revisions())
	}
}

// TestConflict: what is somebody else's is left alone.
func TestConflict(t *testing.T) {
	h := newHouse(t, flow(), profileMap(t))
	h.cluster.Write("services/audit", &corev1.Service{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Service"}, ObjectMeta: metav1.ObjectMeta{Name: "audit"},
	})
	for range 3 {
		w, _, err := h.step()
		if err != nil || !is(v1alpha1.Ready, metav1.ConditionFalse, v1alpha1.ReasonConflict)(w) || w.Status.Plan != nil {
			t.Errorf("status %+v, %v", w.Status, err)
		}
	}
	if left := h.cluster.Left(); !slices.Equal(left, []string{"services/audit"}) || len(h.cluster.Did()) > 0 {
		t.Errorf("left %q, done %q", left, h.cluster.Did())
	}
	if got := h.heard(); !slices.Equal(got, []string{"Planned", "Conflict"}) {
		t.Errorf("events %q", got)
	}
	// The same where there is no plan, which would let go of what serves.
	h.change(func(s *v1alpha1.WorkflowSpec) { s.SLO.Latency = "20ms" })
	if w, _, err := h.step(); err != nil || !is(v1alpha1.Ready, metav1.ConditionFalse, v1alpha1.ReasonNotPlanned)(w) || w.Status.URL != "" {
		t.Errorf("status %+v, %v", w.Status, err)
	}
}

// TestRefusedByTheCluster: a right that is missing is an error that is tried again, and
// told.
func TestRefusedByTheCluster(t *testing.T) {
	h := newHouse(t, flow(), profileMap(t))
	h.cluster.Refuse = func(req *http.Request) *metav1.Status {
		if req.Method != http.MethodPatch || !strings.Contains(req.URL.Path, "/deployments/") {
			return nil
		}
		return &metav1.Status{
			TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}, Status: metav1.StatusFailure, Code: http.StatusForbidden,
			Reason: metav1.StatusReasonForbidden, Message: "exceeded quota",
		}
	}
	for range 3 {
		w, _, err := h.step()
		if err == nil || !is(v1alpha1.Ready, metav1.ConditionFalse, v1alpha1.ReasonRefused)(w) || !strings.Contains(message(w, v1alpha1.Ready), "exceeded quota") {
			t.Errorf("status %+v, %v", w.Status, err)
		}
	}
	if got := h.heard(); !slices.Equal(got, []string{"Planned", "Refused"}) {
		t.Errorf("events %q", got)
	}
	h.cluster.Do(func() { h.cluster.Refuse = nil })
	h.until(serving)
}

// TestRepairs: what is missing is made again, and what has changed by the next resync.
func TestRepairs(t *testing.T) {
	h := newHouse(t, flow(), profileMap(t))
	h.until(serving)
	var deployment string
	h.cluster.Do(func() {
		for key := range h.cluster.Objects {
			if strings.HasPrefix(key, "deployments/") {
				deployment = key
			}
		}
		delete(h.cluster.Objects, deployment)
	})
	h.until(serving)
	if !slices.Contains(h.cluster.Left(), deployment) {
		t.Error("a Deployment that was deleted is not made again")
	}
	did := len(h.cluster.Did())
	h.now = h.now.Add(resync)
	if _, _, err := h.step(); err != nil {
		t.Fatal(err)
	}
	if did := h.cluster.Did()[did:]; !slices.Contains(did, "PATCH "+deployment) || !slices.Contains(did, "PATCH services/audit") {
		t.Errorf("at the resync: %q", did)
	}
}

// TestForgets a Workflow that is gone, and one that is another of its name.
func TestForgets(t *testing.T) {
	h := newHouse(t, flow(), profileMap(t))
	h.until(serving)
	var w v1alpha1.Workflow
	key := client.ObjectKey{Namespace: "team", Name: "audit"}
	if err := h.api.Get(t.Context(), key, &w); err != nil {
		t.Fatal(err)
	}
	if err := h.api.Delete(t.Context(), &w); err != nil {
		t.Fatal(err)
	}
	other := flow()
	other.UID = "uid-2"
	if err := h.api.Create(t.Context(), other); err != nil {
		t.Fatal(err)
	}
	// What the first has left is not its own.
	if w, _, err := h.step(); err != nil || !is(v1alpha1.Ready, metav1.ConditionFalse, v1alpha1.ReasonConflict)(w) {
		t.Errorf("status %+v, %v", w.Status, err)
	}
	if err := h.api.Delete(t.Context(), other); err != nil {
		t.Fatal(err)
	}
	if _, err := h.controller.Reconcile(t.Context(), reconcile.Request{NamespacedName: key}); err != nil {
		t.Fatal(err)
	}
	if c := h.controller; len(c.memories)+len(c.names)+len(c.planner.known) != 0 {
		t.Errorf("of nobody there is %v, %v, %v", c.memories, c.names, c.planner.known)
	}
}

func TestBackoff(t *testing.T) {
	for attempts, want := range map[int32]time.Duration{1: 5 * time.Minute, 2: 10 * time.Minute, 4: 40 * time.Minute, 5: time.Hour, 1000: time.Hour} {
		if got := backoff(5*time.Minute, attempts); got != want {
			t.Errorf("after %d: %v, want %v", attempts, got, want)
		}
	}
	if got := backoff(2*time.Hour, 3); got != 2*time.Hour {
		t.Errorf("of more than the most: %v", got)
	}
}
