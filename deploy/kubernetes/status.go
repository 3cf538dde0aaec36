package kubernetes

import (
	"cmp"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/chiron-faas/chiron/bundle/oci"
	"github.com/chiron-faas/chiron/deploy"
)

// status reads a deployment's from its objects. What is of another revision than the
// one that takes requests is on its way in or out, and no part of it.
func (s *there) status(name, namespace string) deploy.Status {
	status := deploy.Status{Name: name, Target: "kubernetes", State: deploy.Dead}
	if s.service == nil {
		status.Notes = append(status.Notes, "its service is missing: a deployment is under way, or was not finished; deploy again, or take it down")
		if len(s.deployments) == 0 && len(s.pods) > 0 {
			status.State, status.Notes = deploy.Stopping, nil
		}
		return status
	}
	revision := s.service.Spec.Selector[LabelRevision]
	status.Gateway = "http://" + s.service.Name + "." + namespace
	status.Workflow, status.PlanID = s.service.Annotations[AnnotationProject], s.service.Annotations[AnnotationPlan]
	wanted, _ := strconv.Atoi(s.service.Annotations[AnnotationWraps]) // 0: not told, and not checked
	status.State = deploy.Up
	found, others := 0, make(map[string]bool)
	for i := range s.deployments {
		d := &s.deployments[i]
		if r := d.Labels[LabelRevision]; r != revision {
			others[r] = true
			continue
		}
		found++
		if made := d.CreationTimestamp.Time; status.Started.IsZero() || made.Before(status.Started) {
			status.Started = made
		}
		functions := strings.FieldsFunc(d.Annotations[AnnotationFunctions], func(r rune) bool { return r == ',' })
		running := podsOf(s.pods, d)
		slices.SortFunc(running, func(a, b corev1.Pod) int {
			return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time), cmp.Compare(a.Name, b.Name))
		})
		serves := false
		for n := range running {
			w := wrapStatus(&running[n], n+1, functions)
			serves = serves || w.State == deploy.WrapReady
			status.Wraps = append(status.Wraps, w)
		}
		if len(running) == 0 {
			status.Wraps = append(status.Wraps, deploy.WrapStatus{
				Name: d.Labels[LabelWrap], Instance: 1, State: deploy.WrapStarting, Since: d.CreationTimestamp.Time, Functions: functions,
			})
		}
		if !serves {
			status.State = deploy.Degraded
		}
	}
	for r := range others {
		status.Notes = append(status.Notes, fmt.Sprintf("revision %s is there beside %s: a deployment is under way, or was not finished", r, revision))
	}
	slices.Sort(status.Notes)
	slices.SortFunc(status.Wraps, func(a, b deploy.WrapStatus) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Instance, b.Instance))
	})
	if found < wanted {
		status.State = deploy.Degraded
		status.Notes = append(status.Notes, fmt.Sprintf("%d of its %d wraps are missing: deploy again", wanted-found, wanted))
	}
	return status
}

// wrapStatus is that of one pod.
func wrapStatus(p *corev1.Pod, instance int, functions []string) deploy.WrapStatus {
	w := deploy.WrapStatus{
		Name: p.Labels[LabelWrap], Instance: instance, State: deploy.WrapStarting, Since: p.CreationTimestamp.Time, Functions: functions,
	}
	if p.Status.PodIP != "" {
		w.Address = net.JoinHostPort(p.Status.PodIP, strconv.Itoa(oci.Port))
	}
	if q, ok := p.Spec.Containers[0].Resources.Limits[corev1.ResourceMemory]; ok {
		w.MemoryLimit = q.Value()
	}
	var begun time.Time
	for _, s := range p.Status.ContainerStatuses {
		w.Restarts += int(s.RestartCount)
		if s.State.Running != nil {
			begun = s.State.Running.StartedAt.Time
		}
		if died := s.LastTerminationState.Terminated; died != nil {
			w.LastError = lastError(died.Message)
			if w.LastError == "" {
				w.LastError = fmt.Sprintf("%s, code %d", died.Reason, died.ExitCode)
			}
		}
	}
	for _, c := range p.Status.Conditions {
		if c.Type != corev1.PodReady || c.Status != corev1.ConditionTrue {
			continue
		}
		w.State, w.Since = deploy.WrapReady, c.LastTransitionTime.Time
		if !begun.IsZero() && w.Since.After(begun) { // told in whole seconds
			w.StartMS = float64(w.Since.Sub(begun).Milliseconds())
		}
	}
	if w.State == deploy.WrapStarting && w.Restarts > 0 {
		w.State = deploy.WrapRestarting
	}
	return w
}
