package kubernetes

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// Hindrance is why a wrap is not ready.
type Hindrance struct {
	Wrap string
	// Message says what it waits for.
	Message string
	Cause   Cause
	// Lasting says that waiting does not help.
	Lasting bool

	// refused says that the cluster makes no pod, which may be over soon.
	refused bool
	// unpulled is a pod whose image cannot be pulled.
	unpulled *corev1.Pod
}

// Cause of a hindrance.
type Cause string

// The causes.
const (
	// Starting: it takes its time, as far as can be seen.
	Starting Cause = ""
	// Unschedulable: no node has room.
	Unschedulable Cause = "Unschedulable"
	// ImagePull: its image does not come.
	ImagePull Cause = "ImagePull"
	// Crashing: it ends by itself, or is ended for want of memory.
	Crashing Cause = "Crashing"
	// Refused: the cluster makes no pod or container of it.
	Refused Cause = "Refused"
)

// settled is how long a refusal has to last: what a quota counts comes down some time
// after a pod is gone.
const settled = 5 * time.Second

// hindered says why a wrap is not ready; empty: it is.
func hindered(s *there, wanted *appsv1.Deployment) Hindrance {
	var d *appsv1.Deployment
	for i := range s.deployments {
		if s.deployments[i].Name == wanted.Name {
			d = &s.deployments[i]
		}
	}
	if d == nil {
		return Hindrance{Message: "its deployment is not there yet"}
	}
	replicas := int32(1)
	if d.Spec.Replicas != nil {
		replicas = *d.Spec.Replicas
	}
	st := &d.Status
	if st.ObservedGeneration >= d.Generation && st.UpdatedReplicas >= replicas && st.AvailableReplicas >= replicas && st.Replicas == st.UpdatedReplicas {
		return Hindrance{}
	}
	for _, condition := range st.Conditions {
		if condition.Type == appsv1.DeploymentReplicaFailure && condition.Status == corev1.ConditionTrue {
			what := "the cluster makes no pod of it: " + line(condition.Message)
			if strings.Contains(what, "exceeded quota") {
				what += ": ask for a larger quota, or take something down (two plans are there at once while one takes the other's place)"
			}
			return Hindrance{Message: what, Cause: Refused, refused: true}
		}
	}
	waits := Hindrance{Message: "its pods are not there yet"}
	for _, p := range podsOf(s.pods, wanted) {
		h := podHindered(&p)
		if h.Lasting {
			return h
		}
		if h.Message != "" {
			waits = h
		}
	}
	return waits
}

// podHindered says why a pod is not ready.
func podHindered(p *corev1.Pod) Hindrance {
	for _, condition := range p.Status.Conditions {
		if condition.Type == corev1.PodScheduled && condition.Status == corev1.ConditionFalse && condition.Reason == corev1.PodReasonUnschedulable {
			// A cluster that grows with what is asked for makes a node now.
			return Hindrance{Message: fmt.Sprintf("no node has room for it: it asks for %s; the scheduler says: %s", askedFor(p), condition.Message), Cause: Unschedulable}
		}
		if condition.Type == corev1.PodReady && condition.Status == corev1.ConditionTrue {
			return Hindrance{}
		}
	}
	for _, status := range p.Status.ContainerStatuses {
		if h := containerHindered(p, &status); h.Message != "" {
			return h
		}
	}
	if p.Status.Phase == corev1.PodFailed {
		return Hindrance{Message: strings.TrimSpace("its pod failed: " + p.Status.Reason + " " + p.Status.Message), Cause: Crashing}
	}
	return Hindrance{Message: "its pod is being started"}
}

func containerHindered(p *corev1.Pod, s *corev1.ContainerStatus) Hindrance {
	died := s.LastTerminationState.Terminated
	if s.State.Terminated != nil {
		died = s.State.Terminated
	}
	again := s.RestartCount >= 2 // once may be an accident
	if w := s.State.Waiting; w != nil {
		switch w.Reason {
		case "ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "RegistryUnavailable":
			return Hindrance{
				Message: unpulled(p, said(w)), Cause: ImagePull,
				// The kubelet has tried, and pauses until it tries again.
				Lasting:  w.Reason != "ErrImagePull" && w.Reason != "RegistryUnavailable",
				unpulled: p,
			}
		case "CrashLoopBackOff":
			again = true
		case "CreateContainerConfigError":
			return Hindrance{Message: "its container cannot be made: " + said(w), Cause: Refused, Lasting: true}
		case "ContainerCreating", "PodInitializing", "":
		default:
			return Hindrance{Message: said(w), Cause: Refused}
		}
	}
	if died == nil {
		return Hindrance{}
	}
	switch {
	case died.Reason == "OOMKilled":
		memory := p.Spec.Containers[0].Resources.Limits[corev1.ResourceMemory]
		return Hindrance{Message: fmt.Sprintf("it was killed for want of memory: it has %s; give it more with --memory, or limits in the project", bytesText(memory)), Cause: Crashing, Lasting: again}
	case died.Message != "":
		return Hindrance{Message: lastError(died.Message), Cause: Crashing, Lasting: again}
	}
	return Hindrance{Message: fmt.Sprintf("it ended with code %d, and said nothing", died.ExitCode), Cause: Crashing, Lasting: again}
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

// podsOf are the pods of a Deployment of ours.
func podsOf(all []corev1.Pod, d *appsv1.Deployment) (pods []corev1.Pod) {
	for _, p := range all {
		if p.Labels[LabelWrap] == d.Labels[LabelWrap] && p.Labels[LabelRevision] == d.Labels[LabelRevision] && p.DeletionTimestamp == nil {
			pods = append(pods, p)
		}
	}
	return pods
}
