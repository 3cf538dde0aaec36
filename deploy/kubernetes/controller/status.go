package controller

import (
	"cmp"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/chiron-faas/chiron/deploy/kubernetes"
	"github.com/chiron-faas/chiron/deploy/kubernetes/v1alpha1"
	"github.com/chiron-faas/chiron/plan"
)

// report is what a reconcile has found: the status that the Workflow is to have, and
// what has happened.
type report struct {
	generation int64
	status     *v1alpha1.WorkflowStatus
	events     []event
}

// event is one that users see.
type event struct {
	kind, reason, message string
}

// Reasons of events that are none of a condition.
const (
	eventPlanned       = "Planned"
	eventPlanFailed    = "PlanFailed"
	eventRollingOut    = "RollingOut"
	eventRolloutFailed = "RolloutFailed"
)

func newReport(w *v1alpha1.Workflow) *report {
	r := &report{generation: w.Generation, status: &w.DeepCopy().Status}
	r.status.ObservedGeneration = w.Generation
	return r
}

func (r *report) tell(kind, reason, message string) {
	r.events = append(r.events, event{kind, reason, message})
}

func (r *report) condition(kind string, is bool, reason, message string) (changed bool) {
	before := meta.FindStatusCondition(r.status.Conditions, kind)
	status := metav1.ConditionFalse
	if is {
		status = metav1.ConditionTrue
	}
	changed = before == nil || before.Status != status || before.Reason != reason
	meta.SetStatusCondition(&r.status.Conditions, metav1.Condition{
		Type: kind, Status: status, Reason: reason, Message: message, ObservedGeneration: r.generation,
	})
	return changed
}

// planned says that there is a plan.
func (r *report) planned(p *plan.Plan) {
	message := plannedText(p)
	before := meta.FindStatusCondition(r.status.Conditions, v1alpha1.Planned)
	other := before == nil || before.Message != message
	if r.condition(v1alpha1.Planned, true, v1alpha1.ReasonSearched, message) || other {
		r.tell(corev1.EventTypeNormal, eventPlanned, message)
	}
}

// plannedText says of a plan what it needs, and what is predicted of it.
func plannedText(p *plan.Plan) string {
	text := shapeOf(p)
	o := p.Objective
	if o == nil {
		return text
	}
	text += ", " + o.At() + " predicted to be " + shown(o.Predicted).String()
	if o.SLO > 0 {
		text += " of " + o.SLO.String()
	}
	return text
}

// refused says that there is none.
func (r *report) refused(why *Refusal) {
	before := meta.FindStatusCondition(r.status.Conditions, v1alpha1.Planned)
	other := before == nil || before.Message != why.Message
	if r.condition(v1alpha1.Planned, false, why.Reason, why.Message) || other {
		r.tell(corev1.EventTypeWarning, eventPlanFailed, why.Reason+": "+why.Message)
	}
}

// ready says whether requests are taken. Events of what has one of its own are told
// where it happens.
func (r *report) ready(is bool, reason, message string) {
	if !r.condition(v1alpha1.Ready, is, reason, message) {
		return
	}
	switch reason {
	case v1alpha1.ReasonNotPlanned, v1alpha1.ReasonRollingOut, v1alpha1.ReasonServingEarlier:
	case v1alpha1.ReasonServing:
		r.tell(corev1.EventTypeNormal, reason, message)
	default:
		r.tell(corev1.EventTypeWarning, reason, message)
	}
}

// serves describes the plan that takes requests; nil: it is known from before, or not
// any more.
func (r *report) serves(revision string, p *plan.Plan, url string, now time.Time) {
	r.status.URL = url
	was := r.status.Plan
	if was == nil || was.Revision != revision || was.Since == nil {
		r.status.Plan = planStatus(revision, p)
		r.status.Plan.Since = new(metav1.NewTime(now.Truncate(time.Second)))
		return
	}
	if p != nil {
		r.status.Plan = planStatus(revision, p)
		r.status.Plan.Since = was.Since
	}
}

// brings describes the plan that is brought up where none takes requests.
func (r *report) brings(revision string, p *plan.Plan) {
	r.status.URL, r.status.Plan = "", planStatus(revision, p)
}

// nothing says that there is neither.
func (r *report) nothing() { r.status.URL, r.status.Plan = "", nil }

func planStatus(revision string, p *plan.Plan) *v1alpha1.PlanStatus {
	if p == nil {
		return &v1alpha1.PlanStatus{Revision: revision}
	}
	s := &v1alpha1.PlanStatus{ID: p.Digest(), Revision: revision, CPUs: int32(p.CPUs()), Wraps: int32(len(p.Wraps))}
	if o := p.Objective; o != nil {
		s.Predicted = shown(o.Predicted).String()
		s.Percentile = new(v1alpha1.Percentile(o.Percentile))
	}
	return s
}

// failed says that a revision did not come up, and when it is tried again.
func (r *report) failed(revision, why string, now time.Time, retry time.Duration) {
	f := &v1alpha1.FailedStatus{Revision: revision, Message: brief(why), Attempts: 1}
	if was := r.status.Failed; was != nil && was.Revision == revision {
		f.Attempts = was.Attempts + 1
	}
	f.RetryAfter = metav1.NewTime(now.Add(backoff(retry, f.Attempts)).Truncate(time.Second))
	r.status.Failed = f
	r.tell(corev1.EventTypeWarning, eventRolloutFailed, "revision "+revision+" did not come up and is removed: "+f.Message)
}

// maxBackoff is the longest time until a revision is tried again.
const maxBackoff = time.Hour

// backoff doubles with each attempt.
func backoff(first time.Duration, attempts int32) time.Duration {
	d := first
	for range attempts - 1 {
		if d *= 2; d >= maxBackoff {
			return max(first, maxBackoff)
		}
	}
	return d
}

// waitsFor is the reason and the text of what a revision waits for.
func waitsFor(waits []kubernetes.Hindrance) (reason, message string) {
	if len(waits) == 0 {
		return v1alpha1.ReasonRollingOut, "all wraps are ready"
	}
	h := waits[0]
	for _, other := range waits {
		if other.Lasting && !h.Lasting || other.Cause != kubernetes.Starting && h.Cause == kubernetes.Starting {
			h = other
		}
	}
	reason = map[kubernetes.Cause]string{
		kubernetes.Unschedulable: v1alpha1.ReasonUnschedulable, kubernetes.ImagePull: v1alpha1.ReasonImagePull,
		kubernetes.Crashing: v1alpha1.ReasonCrashing, kubernetes.Refused: v1alpha1.ReasonRefused,
	}[h.Cause]
	return cmp.Or(reason, v1alpha1.ReasonRollingOut), brief(h.Wrap + ": " + h.Message)
}
