package kubernetes

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/chiron-faas/chiron/deploy"
)

// ready waits until all wraps of the revision are ready.
func (c *change) ready(ctx context.Context) error {
	t, m := c.target, c.manifests
	limited, cancel := context.WithTimeout(ctx, t.options.StartTimeout)
	defer cancel()
	// missing is what was last waited for, by wrap.
	missing := make(map[string]hindrance)
	// refused is since when no pod of a wrap is made.
	refused := make(map[string]time.Time)
	said := ""
	err := deploy.Poll(limited, pollEvery, func() (bool, error) {
		s, err := t.state(limited, m.Deployment)
		if err != nil {
			return false, err
		}
		clear(missing)
		for i := range m.Wraps {
			wrap := m.Wraps[i].Wrap
			h := hindered(s, &m.Wraps[i].Deployment)
			switch {
			case !h.refused:
				delete(refused, wrap)
			case refused[wrap].IsZero():
				refused[wrap] = time.Now()
			default:
				h.lasting = time.Since(refused[wrap]) > settled
			}
			if h.what != "" {
				missing[wrap] = h
			}
			if h.lasting {
				return false, &deploy.StartError{Wrap: wrap, Message: t.reason(ctx, h)}
			}
		}
		if text := first(m, missing); text != said {
			said = text
			t.options.Progress(text)
		}
		return len(missing) == 0, nil
	})
	if err == nil || ctx.Err() != nil || limited.Err() == nil {
		return err
	}
	for i := range m.Wraps {
		if h, ok := missing[m.Wraps[i].Wrap]; ok {
			return &deploy.StartError{Wrap: m.Wraps[i].Wrap, Message: fmt.Sprintf("it was not ready within %v: %s", t.options.StartTimeout, t.reason(ctx, h))}
		}
	}
	return err // the cluster has not answered since
}

// first says what the first wrap that is not ready waits for.
func first(m *Manifests, missing map[string]hindrance) string {
	for i := range m.Wraps {
		if h, ok := missing[m.Wraps[i].Wrap]; ok {
			return m.Wraps[i].Wrap + ": " + h.what
		}
	}
	return "all wraps are ready"
}

// hindrance is why a wrap is not ready.
type hindrance struct {
	what string
	// lasting says that waiting does not help.
	lasting bool
	// refused says that the cluster makes no pod, which may be over soon.
	refused bool
	// unpulled is a pod whose image cannot be pulled.
	unpulled *corev1.Pod
}

// settled is how long a refusal has to last: what a quota counts comes down some time
// after a pod is gone.
const settled = 5 * time.Second

// hindered says why a wrap is not ready; empty: it is.
func hindered(s *there, wanted *appsv1.Deployment) hindrance {
	var d *appsv1.Deployment
	for i := range s.deployments {
		if s.deployments[i].Name == wanted.Name {
			d = &s.deployments[i]
		}
	}
	if d == nil {
		return hindrance{what: "its deployment is not there yet"}
	}
	replicas := int32(1)
	if d.Spec.Replicas != nil {
		replicas = *d.Spec.Replicas
	}
	st := &d.Status
	if st.ObservedGeneration >= d.Generation && st.UpdatedReplicas >= replicas && st.AvailableReplicas >= replicas && st.Replicas == st.UpdatedReplicas {
		return hindrance{}
	}
	for _, condition := range st.Conditions {
		if condition.Type == appsv1.DeploymentReplicaFailure && condition.Status == corev1.ConditionTrue {
			what := "the cluster makes no pod of it: " + line(condition.Message)
			if strings.Contains(what, "exceeded quota") {
				what += ": ask for a larger quota, or take something down (two plans are there at once while one takes the other's place)"
			}
			return hindrance{what: what, refused: true}
		}
	}
	waits := hindrance{what: "its pods are not there yet"}
	for _, p := range podsOf(s.pods, wanted) {
		h := podHindered(&p)
		if h.lasting {
			return h
		}
		if h.what != "" {
			waits = h
		}
	}
	return waits
}

// podHindered says why a pod is not ready.
func podHindered(p *corev1.Pod) hindrance {
	for _, condition := range p.Status.Conditions {
		if condition.Type == corev1.PodScheduled && condition.Status == corev1.ConditionFalse && condition.Reason == corev1.PodReasonUnschedulable {
			// A cluster that grows with what is asked for makes a node now.
			return hindrance{what: fmt.Sprintf("no node has room for it: it asks for %s; the scheduler says: %s", askedFor(p), condition.Message)}
		}
		if condition.Type == corev1.PodReady && condition.Status == corev1.ConditionTrue {
			return hindrance{}
		}
	}
	for _, status := range p.Status.ContainerStatuses {
		if h := containerHindered(p, &status); h.what != "" {
			return h
		}
	}
	if p.Status.Phase == corev1.PodFailed {
		return hindrance{what: strings.TrimSpace("its pod failed: " + p.Status.Reason + " " + p.Status.Message)}
	}
	return hindrance{what: "its pod is being started"}
}

func containerHindered(p *corev1.Pod, s *corev1.ContainerStatus) hindrance {
	died := s.LastTerminationState.Terminated
	if s.State.Terminated != nil {
		died = s.State.Terminated
	}
	again := s.RestartCount >= 2 // once may be an accident
	if w := s.State.Waiting; w != nil {
		switch w.Reason {
		case "ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "RegistryUnavailable":
			return hindrance{
				what: unpulled(p, said(w)),
				// The kubelet has tried, and pauses until it tries again.
				lasting:  w.Reason != "ErrImagePull" && w.Reason != "RegistryUnavailable",
				unpulled: p,
			}
		case "CrashLoopBackOff":
			again = true
		case "CreateContainerConfigError":
			return hindrance{what: "its container cannot be made: " + said(w), lasting: true}
		case "ContainerCreating", "PodInitializing", "":
		default:
			return hindrance{what: said(w)}
		}
	}
	if died == nil {
		return hindrance{}
	}
	switch {
	case died.Reason == "OOMKilled":
		memory := p.Spec.Containers[0].Resources.Limits[corev1.ResourceMemory]
		return hindrance{what: fmt.Sprintf("it was killed for want of memory: it has %s; give it more with --memory, or limits in the project", bytesText(memory)), lasting: again}
	case died.Message != "":
		return hindrance{what: lastError(died.Message), lasting: again}
	}
	return hindrance{what: fmt.Sprintf("it ended with code %d, and said nothing", died.ExitCode), lasting: again}
}

func said(w *corev1.ContainerStateWaiting) string {
	if w.Message == "" {
		return w.Reason
	}
	return w.Message
}

func imageOf(p *corev1.Pod) string { return p.Spec.Containers[0].Image }

// askedFor is what a pod asks its node for.
func askedFor(p *corev1.Pod) string {
	var cpu, memory resource.Quantity
	for _, c := range p.Spec.Containers {
		cpu.Add(c.Resources.Requests[corev1.ResourceCPU])
		memory.Add(c.Resources.Requests[corev1.ResourceMemory])
	}
	unit := "CPUs"
	if cpu.Cmp(resource.MustParse("1")) == 0 {
		unit = "CPU"
	}
	return fmt.Sprintf("%s %s and %s of memory", cpu.String(), unit, bytesText(memory))
}

// bytesText writes a quantity of bytes: "512 MiB".
func bytesText(q resource.Quantity) string {
	const mebi = 1 << 20
	return fmt.Sprintf("%d MiB", (q.Value()+mebi-1)/mebi)
}

// lastError is the last thing that an agent's log says as an error, or its last line.
func lastError(log string) string {
	var last, failed string
	for line := range strings.Lines(log) {
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		last = line
		var said struct {
			Level string `json:"level"`
			Text  string `json:"msg"`
		}
		if json.Unmarshal([]byte(line), &said) == nil && said.Level == "ERROR" && said.Text != "" {
			failed = said.Text
		}
	}
	if failed != "" {
		return failed
	}
	return last
}
