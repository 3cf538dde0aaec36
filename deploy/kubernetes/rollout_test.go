package kubernetes

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/chiron-faas/chiron/deploy"
)

// TestSteps: each step of a rollout by somebody who knows nothing of those before.
func TestSteps(t *testing.T) {
	f := newFakeCluster(t)
	f.Slow = 30 * time.Millisecond
	one, two := f.manifest(f.target(Options{}), twoWraps(0)), f.manifest(f.target(Options{}), twoWraps(64<<20))
	look := func(m *Manifests) *Standing {
		t.Helper()
		s, err := f.target(Options{}).Rollout(m).Look(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	step := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	if s := look(one); s.Serves != "" || !s.Missing || !s.Begun.IsZero() || len(s.Waits) != 2 || s.Waits[0].Wrap != "wrap-1" || s.Others != nil {
		t.Errorf("of nothing: %+v", s)
	}
	step(f.target(Options{}).Rollout(one).Apply(t.Context(), look(one)))
	if s := look(one); s.Serves != "" || s.Missing || s.Begun.IsZero() || len(s.Waits) != 0 {
		t.Errorf("applied: %+v", s)
	}
	step(f.target(Options{}).Rollout(one).Switch(t.Context()))
	f.Do(func() {
		f.Pod = func(d *appsv1.Deployment) corev1.PodStatus {
			if d.Labels[LabelRevision] == two.Revision && d.Labels[LabelWrap] == "wrap-2" {
				return waiting("ImagePullBackOff", "Back-off")
			}
			return corev1.PodStatus{Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}}
		}
	})
	if s := look(two); s.Serves != one.Revision || !slices.Equal(s.Others, []string{one.Revision}) {
		t.Errorf("before another: %+v", s)
	}
	step(f.target(Options{}).Rollout(two).Apply(t.Context(), look(two)))
	s := look(two)
	if s.Serves != one.Revision || s.Begun.IsZero() || len(s.Waits) != 1 || s.Waits[0].Wrap != "wrap-2" || s.Waits[0].Cause != ImagePull || !s.Waits[0].Lasting {
		t.Errorf("beside the other: %+v", s)
	}
	f.Do(func() {
		f.Pod = nil
		f.Reconcile("deployments/" + two.Wraps[1].Deployment.Name)
	})
	step(f.target(Options{}).Rollout(two).Switch(t.Context()))
	if s := look(two); s.Serves != two.Revision || len(s.Waits) != 0 || !slices.Equal(s.Others, []string{one.Revision}) {
		t.Errorf("switched: %+v", s)
	}
	passes := 0
	for done := false; !done; passes++ {
		var err error
		if done, err = f.target(Options{}).Remove(t.Context(), "flow", two.Revision); err != nil {
			t.Fatal(err)
		}
		for _, left := range f.Left() {
			if done && strings.Contains(left, one.Revision) {
				t.Errorf("removed, and there is %s", left)
			}
		}
		time.Sleep(5 * time.Millisecond)
	}
	if passes < 3 { // wrap 1, then the others, each goes in its time
		t.Errorf("removed in %d steps", passes)
	}
	if s := look(two); s.Serves != two.Revision || s.Missing || s.Others != nil || s.Status.State != deploy.Up || s.Status.PlanID != two.PlanID {
		t.Errorf("done: %+v", s)
	}
	f.Do(func() { delete(f.Objects, "services/"+two.Wraps[1].Service.Name) })
	if s := look(two); !s.Missing {
		t.Errorf("without a Service: %+v", s)
	}
}

// TestCauses of what a rollout waits for.
func TestCauses(t *testing.T) {
	unschedulable := corev1.PodStatus{Conditions: []corev1.PodCondition{{
		Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: corev1.PodReasonUnschedulable,
	}}}
	crashing := waiting("CrashLoopBackOff", "back-off")
	crashing.ContainerStatuses[0].LastTerminationState.Terminated = &corev1.ContainerStateTerminated{ExitCode: 1}
	for want, status := range map[Cause]corev1.PodStatus{
		Starting: waiting("ContainerCreating", ""), Unschedulable: unschedulable, ImagePull: waiting("ErrImagePull", ""),
		Crashing: crashing, Refused: waiting("CreateContainerConfigError", "no secret"),
	} {
		m, err := Manifest(workload(twoWraps(0)), Settings{})
		if err != nil {
			t.Fatal(err)
		}
		p := corev1.Pod{Spec: m.Wraps[0].Deployment.Spec.Template.Spec, Status: status}
		if got := podHindered(&p); got.Cause != want || got.Message == "" {
			t.Errorf("%+v, want cause %q", got, want)
		}
	}
}

// TestOwned: who owns a deployment changes it, nobody else.
func TestOwned(t *testing.T) {
	f := newFakeCluster(t)
	target := f.target(Options{})
	owner := func(uid string) metav1.OwnerReference {
		return metav1.OwnerReference{APIVersion: "chiron-faas.github.io/v1alpha1", Kind: "Workflow", Name: "flow", UID: types.UID(uid), Controller: new(true)}
	}
	ours, theirs, nobodys := f.manifest(target, twoWraps(0)), f.manifest(target, twoWraps(0)), f.manifest(target, twoWraps(0))
	ours.Own(owner("uid-1"))
	theirs.Own(owner("uid-2"))
	for _, o := range ours.Objects() {
		if refs := o.(metav1.Object).GetOwnerReferences(); len(refs) != 1 || refs[0].UID != "uid-1" {
			t.Errorf("%T is owned by %v", o, refs)
		}
	}
	if ours.Revision != nobodys.Revision {
		t.Error("another owner is another revision")
	}
	if err := target.ApplyManifests(t.Context(), ours); err != nil {
		t.Fatal(err)
	}
	if err := target.ApplyManifests(t.Context(), ours); err != nil {
		t.Errorf("again: %v", err)
	}
	before := f.Left()
	refused := func(err error, want string) {
		t.Helper()
		if _, foreign := errors.AsType[*ForeignError](err); !foreign || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q in it", err, want)
		}
		if left := f.Left(); !slices.Equal(left, before) {
			t.Errorf("left %v, before there was %v", left, before)
		}
	}
	refused(target.ApplyManifests(t.Context(), nobodys), "kubectl delete workflow flow")
	refused(target.ApplyManifests(t.Context(), theirs), "another Workflow")
	refused(target.Down(t.Context(), "flow"), "kubectl delete workflow flow")
	for done := false; !done; {
		var err error
		if done, err = target.Remove(t.Context(), "flow", ""); err != nil {
			t.Fatal(err)
		}
	}
	if err := target.ApplyManifests(t.Context(), nobodys); err != nil {
		t.Fatal(err)
	}
	before = f.Left()
	refused(target.ApplyManifests(t.Context(), ours), "chiron down")
}
