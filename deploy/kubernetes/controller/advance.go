package controller

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/chiron-faas/chiron/deploy"
	"github.com/chiron-faas/chiron/deploy/kubernetes"
	"github.com/chiron-faas/chiron/deploy/kubernetes/v1alpha1"
	"github.com/chiron-faas/chiron/plan"
)

// wanted is a Workflow's plan, and the objects that run it. The error is a *Refusal
// where there is none.
type wanted struct {
	plan      *plan.Plan
	manifests *kubernetes.Manifests
	target    *kubernetes.Target
}

func (c *Reconciler) want(ctx context.Context, w *v1alpha1.Workflow) (*wanted, error) {
	r, err := newRequest(w)
	if err != nil {
		return nil, err
	}
	calibration, err := readCalibration(c.options.CalibrationFile)
	if err != nil {
		return nil, err
	}
	in, err := readInputs(ctx, c.options.Reader, w, r, calibration)
	if err != nil {
		return nil, err
	}
	target, err := c.target(w.Namespace, r.settings)
	if err != nil {
		return nil, refuse(v1alpha1.ReasonInvalidSpec, "spec: %v", err)
	}
	p, digest, err := c.planner.plan(ctx, w.UID, in, func(digest string) (*plan.Plan, error) {
		kept, err := readKept(ctx, target, w)
		if err != nil {
			return nil, err
		}
		return kept.byDigest[digest], nil
	})
	if err != nil {
		return nil, err
	}
	m, err := manifests(w, r, p, digest)
	return &wanted{p, m, target}, err
}

// advance does the next step of a Workflow, and says when to look again.
func (c *Reconciler) advance(ctx context.Context, w *v1alpha1.Workflow, found *report) (time.Duration, error) {
	m := c.remember(w)
	want, err := c.want(ctx, w)
	if refusal, refused := errors.AsType[*Refusal](err); refused {
		found.refused(refusal)
		return c.hold(ctx, w, found, refusal)
	}
	if err != nil {
		return 0, err
	}
	found.planned(want.plan)
	s, err := want.target.Rollout(want.manifests).Look(ctx)
	if foreign, is := errors.AsType[*kubernetes.ForeignError](err); is {
		found.nothing()
		found.ready(false, v1alpha1.ReasonConflict, foreign.Message)
		return patience, nil
	}
	if err != nil {
		return 0, err
	}
	if s.Serves == want.manifests.Revision {
		return c.settle(ctx, m, want, s, found)
	}
	return c.rollOut(ctx, w, m, want, s, found)
}

// hold leaves what serves as it is, where there is no plan for what is asked now, and
// removes what was to come in its place.
func (c *Reconciler) hold(ctx context.Context, w *v1alpha1.Workflow, found *report, why *Refusal) (time.Duration, error) {
	target, err := c.target(w.Namespace, kubernetes.Settings{})
	if err != nil {
		return 0, err
	}
	s, err := target.Serving(ctx, w.Name, w.UID)
	if err != nil {
		return 0, err
	}
	found.status.Failed = nil
	if s.Serves == "" {
		found.nothing()
		found.ready(false, v1alpha1.ReasonNotPlanned, "there is no plan: "+why.Message)
		return resync, nil
	}
	return c.earlier(ctx, w, target, s, found, "there is no plan for the spec as it is: "+why.Message, resync)
}

// earlier says that a revision serves that is not the wanted one, and removes what
// there is beside it.
func (c *Reconciler) earlier(ctx context.Context, w *v1alpha1.Workflow, target *kubernetes.Target, s *kubernetes.Standing, found *report, why string, then time.Duration) (time.Duration, error) {
	if err := c.tellServing(ctx, w, target, s, found, why); err != nil {
		return 0, err
	}
	if len(s.Others) == 0 {
		return then, nil
	}
	done, err := target.Remove(ctx, w.Name, s.Serves)
	if !done {
		then = pollEvery
	}
	return then, err
}

// tellServing says that a revision serves that is not the wanted one, and why.
func (c *Reconciler) tellServing(ctx context.Context, w *v1alpha1.Workflow, target *kubernetes.Target, s *kubernetes.Standing, found *report, why string) error {
	var p *plan.Plan
	if was := found.status.Plan; was == nil || was.Revision != s.Serves {
		kept, err := readKept(ctx, target, w)
		if err != nil {
			return err
		}
		p = kept.byRevision[s.Serves]
	}
	found.serves(s.Serves, p, s.Status.Gateway, c.options.Now())
	if s.Status.State != deploy.Up {
		found.ready(false, v1alpha1.ReasonDegraded, brief("a wrap of revision "+s.Serves+", which serves, has no pod that is ready; "+why))
		return nil
	}
	found.ready(true, v1alpha1.ReasonServingEarlier, brief("revision "+s.Serves+" serves on: "+why))
	return nil
}

// rollOut brings up a revision that does not take requests yet.
func (c *Reconciler) rollOut(ctx context.Context, w *v1alpha1.Workflow, m *memory, want *wanted, s *kubernetes.Standing, found *report) (time.Duration, error) {
	revision, rollout := want.manifests.Revision, want.target.Rollout(want.manifests)
	m.clean = ""
	if failed := found.status.Failed; failed != nil && failed.Revision == revision {
		if left := failed.RetryAfter.Sub(c.options.Now()); left > 0 && s.Serves != "" {
			// Beside what serves there is only the one that failed, and is on its way out.
			return c.earlier(ctx, w, want.target, s, found, fmt.Sprintf("revision %s did not come up, and is tried again at %s: %s",
				revision, failed.RetryAfter.UTC().Format(time.RFC3339), failed.Message), min(left, resync))
		}
	} else {
		found.status.Failed = nil
	}
	if given := slices.DeleteFunc(slices.Clone(s.Others), func(r string) bool { return r == s.Serves }); len(given) > 0 {
		// What was on its way when the spec changed would take the room of what is wanted.
		if _, err := want.target.Remove(ctx, w.Name, revision, s.Serves); err != nil {
			return 0, err
		}
	}
	if c.due(m, want, s) {
		if err := c.apply(ctx, m, want, s); err != nil {
			return 0, errors.Join(err, c.tellComing(ctx, w, want, s, found, v1alpha1.ReasonRefused, brief(err.Error())))
		}
		if s.Missing {
			found.tell(corev1.EventTypeNormal, eventRollingOut, "revision "+revision+": "+plannedText(want.plan))
			return pollEvery / 2, c.tellComing(ctx, w, want, s, found, v1alpha1.ReasonRollingOut, "its pods are being made")
		}
	}
	if len(s.Waits) == 0 {
		if err := rollout.Switch(ctx); err != nil {
			return 0, errors.Join(err, c.tellComing(ctx, w, want, s, found, v1alpha1.ReasonRefused, brief(err.Error())))
		}
		c.tellServes(want, found, true)
		return c.options.Drain, nil
	}
	reason, message := waitsFor(s.Waits)
	late := c.options.Now().Sub(s.Begun) > c.options.StartTimeout
	lasting := slices.ContainsFunc(s.Waits, func(h kubernetes.Hindrance) bool { return h.Lasting })
	if s.Serves == "" {
		// Nothing is better served by its removal: it takes requests when it can.
		then := pollEvery
		if late {
			then = patience
		}
		return then, c.tellComing(ctx, w, want, s, found, reason, message)
	}
	if !late && !lasting {
		return pollEvery, c.tellComing(ctx, w, want, s, found, reason, message)
	}
	if late && !lasting {
		message = fmt.Sprintf("it was not ready within %v: %s", c.options.StartTimeout, message)
	}
	found.failed(revision, message, c.options.Now(), c.options.RetryAfter)
	m.at = time.Time{}
	// It is removed from the next time on, when the status says so.
	return pollEvery / 2, c.tellServing(ctx, w, want.target, s, found, "revision "+revision+" did not come up: "+message)
}

// tellComing says how far a revision is that does not take requests yet.
func (c *Reconciler) tellComing(ctx context.Context, w *v1alpha1.Workflow, want *wanted, s *kubernetes.Standing, found *report, reason, message string) error {
	if s.Serves == "" {
		found.brings(want.manifests.Revision, want.plan)
		found.ready(false, reason, message)
		return nil
	}
	return c.tellServing(ctx, w, want.target, s, found, "revision "+want.manifests.Revision+" is being brought up: "+message)
}

// settle keeps the wanted revision, which takes the requests, as it is wanted, and
// removes the others.
func (c *Reconciler) settle(ctx context.Context, m *memory, want *wanted, s *kubernetes.Standing, found *report) (time.Duration, error) {
	revision := want.manifests.Revision
	found.status.Failed = nil
	healthy := s.Status.State == deploy.Up
	if healthy {
		c.tellServes(want, found, false)
	} else {
		_, message := waitsFor(s.Waits)
		found.serves(revision, want.plan, s.Status.Gateway, c.options.Now())
		found.ready(false, v1alpha1.ReasonDegraded, message)
	}
	if c.due(m, want, s) {
		if err := c.apply(ctx, m, want, s); err != nil {
			return 0, err
		}
		if err := want.target.Rollout(want.manifests).Switch(ctx); err != nil {
			return 0, err
		}
	}
	then := resync
	if !healthy {
		then = patience
	}
	if m.clean == revision && len(s.Others) == 0 {
		return then, nil
	}
	// Since is told in whole seconds.
	if left := found.status.Plan.Since.Add(c.options.Drain + time.Second).Sub(c.options.Now()); left > 0 && len(s.Others) > 0 {
		return left, nil
	}
	done, err := want.target.Remove(ctx, want.manifests.Deployment, revision)
	if !done || err != nil {
		return pollEvery, err
	}
	m.clean = revision
	return then, nil
}

// tellServes says that the wanted revision takes the requests.
func (c *Reconciler) tellServes(want *wanted, found *report, switched bool) {
	revision := want.manifests.Revision
	text := "revision " + revision + " serves: " + plannedText(want.plan)
	found.serves(revision, want.plan, "http://"+want.manifests.Service.Name+"."+want.manifests.Namespace, c.options.Now())
	found.ready(true, v1alpha1.ReasonServing, text)
	if switched && !slices.ContainsFunc(found.events, func(e event) bool { return e.reason == v1alpha1.ReasonServing }) {
		found.tell(corev1.EventTypeNormal, v1alpha1.ReasonServing, text)
	}
}

// due says whether the revision's objects have to be applied.
func (c *Reconciler) due(m *memory, want *wanted, s *kubernetes.Standing) bool {
	return s.Missing || m.applied != digestOf(want.manifests) || c.options.Now().Sub(m.at) >= resync
}

// apply applies them, and remembers it.
func (c *Reconciler) apply(ctx context.Context, m *memory, want *wanted, s *kubernetes.Standing) error {
	if err := want.target.Rollout(want.manifests).Apply(ctx, s); err != nil {
		return err
	}
	m.applied, m.at = digestOf(want.manifests), c.options.Now()
	return nil
}

// digestOf tells objects from others; those that cannot be written are none's.
func digestOf(m *kubernetes.Manifests) [sha256.Size]byte {
	h := sha256.New()
	encoder := json.NewEncoder(h)
	for _, o := range m.Objects() {
		_ = encoder.Encode(o) // typed objects are always JSON
	}
	return [sha256.Size]byte(h.Sum(nil))
}
