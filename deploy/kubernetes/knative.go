package kubernetes

import (
	"fmt"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// knativeService is a serving.knative.dev/v1 Service, as much of it as is written
// here: Knative's own types would bring its whole library.
type knativeService struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`
	Spec              knativeSpec `json:"spec"`
}

type knativeSpec struct {
	Template knativeTemplate `json:"template"`
}

type knativeTemplate struct {
	metav1.ObjectMeta `json:"metadata,omitempty"`
	Spec              knativePod `json:"spec"`
}

type knativePod struct {
	corev1.PodSpec       `json:",inline"`
	ContainerConcurrency int64 `json:"containerConcurrency,omitempty"`
	TimeoutSeconds       int64 `json:"timeoutSeconds,omitempty"`
}

// DeepCopyObject implements runtime.Object.
func (s *knativeService) DeepCopyObject() runtime.Object {
	made := *s
	made.ObjectMeta = *s.ObjectMeta.DeepCopy()
	made.Spec.Template.ObjectMeta = *s.Spec.Template.ObjectMeta.DeepCopy()
	made.Spec.Template.Spec.PodSpec = *s.Spec.Template.Spec.PodSpec.DeepCopy()
	return &made
}

// GetObjectKind implements runtime.Object.
func (s *knativeService) GetObjectKind() schema.ObjectKind { return &s.TypeMeta }

// knativeTimeout is how long a request may take, seconds: Knative's default.
const knativeTimeout = 300

// Knative makes a plan's wraps as Knative Services, in the order in which they are
// to be made. Wrap 1 is the Service of the deployment's name; the others, whose names
// have the revision in them, are reached within the cluster only. Knative routes to a
// revision of wrap 1 when it is ready, and scales each wrap by the requests inside: to
// zero where Settings.Min is not set.
func Knative(w Workload, s Settings) ([]runtime.Object, error) {
	m, err := newMaker(&w, s)
	if err != nil {
		return nil, err
	}
	if s.Namespace == "" {
		return nil, fmt.Errorf("deploy %q: wraps call each other by names that have the namespace in them: say which with --namespace", w.Name)
	}
	least := s.Min
	made := make([]*knativeService, len(w.Plan.Wraps))
	specs := make([]knativeSpec, len(w.Plan.Wraps))
	for i := range made {
		specs[i] = m.knative(i, least).Spec
	}
	if err := m.settle(specs); err != nil {
		return nil, err
	}
	for i := range made {
		made[i] = m.knative(i, least)
	}
	objects := []runtime.Object{&corev1.ServiceAccount{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "ServiceAccount"}, ObjectMeta: m.meta(m.account(), nil),
		AutomountServiceAccountToken: new(false),
	}}
	if files := m.planMap(); files != nil {
		objects = append(objects, files)
	}
	for i := len(made) - 1; i >= 0; i-- {
		objects = append(objects, made[i])
	}
	return objects, nil
}

func (m *maker) knative(i int, least int32) *knativeService {
	w := &m.workload.Plan.Wraps[i]
	name := ServiceName(m.workload.Name)
	meta := m.meta(name, m.wrapLabels(i))
	if i > 0 {
		name = m.nameOf(i)
		meta = m.meta(name, m.wrapLabels(i))
		meta.Labels["networking.knative.dev/visibility"] = "cluster-local"
	}
	meta.Annotations = map[string]string{
		AnnotationPlan: m.planID, AnnotationProject: m.workload.Plan.Workflow, AnnotationFunctions: strings.Join(m.workload.Functions[w.Name], ","),
	}
	full := m.pod(i)
	container := full.Spec.Containers[0]
	// What Knative sets itself, or refuses.
	container.Ports = []corev1.ContainerPort{{Name: "http1", ContainerPort: container.Ports[0].ContainerPort}}
	container.TerminationMessagePolicy = ""
	for _, p := range []*corev1.Probe{container.ReadinessProbe, container.LivenessProbe} {
		p.HTTPGet.Port, p.HTTPGet.Scheme = intstr.FromInt32(0), "" // the container's
	}
	// The pod's own settings are off unless an operator allows them.
	container.SecurityContext.RunAsNonRoot, container.SecurityContext.RunAsUser = new(true), new(int64(userID))
	container.SecurityContext.SeccompProfile = full.Spec.SecurityContext.SeccompProfile
	container.Args = m.knativeArguments(i)
	env, passed := environment(m.workload.Env)
	container.Env, container.Args = env, append(container.Args, passed...)
	return &knativeService{
		TypeMeta: metav1.TypeMeta{APIVersion: "serving.knative.dev/v1", Kind: "Service"}, ObjectMeta: meta,
		Spec: knativeSpec{Template: knativeTemplate{
			ObjectMeta: metav1.ObjectMeta{
				Labels: full.Labels,
				Annotations: map[string]string{
					"autoscaling.knative.dev/min-scale": strconv.Itoa(int(least)),
					"autoscaling.knative.dev/max-scale": strconv.Itoa(int(m.settings.Max)),
				},
			},
			Spec: knativePod{
				PodSpec: corev1.PodSpec{
					ServiceAccountName: full.Spec.ServiceAccountName, AutomountServiceAccountToken: new(false), EnableServiceLinks: new(false),
					ImagePullSecrets: full.Spec.ImagePullSecrets, Containers: []corev1.Container{container}, Volumes: full.Spec.Volumes,
				},
				ContainerConcurrency: int64(w.MaxInside()), TimeoutSeconds: knativeTimeout,
			},
		}},
	}
}

// knativeArguments are arguments: its router leads to the other wraps, on port 80, by
// the name of the Service.
func (m *maker) knativeArguments(i int) []string {
	args := m.everyArguments(i)
	if i > 0 {
		return args
	}
	for k := 1; k < len(m.workload.Plan.Wraps); k++ {
		// Knative's router knows names with the namespace only.
		args = append(args, "--peer", fmt.Sprintf("%s=http://%s.%s.svc.cluster.local", m.workload.Plan.Wraps[k].Name, m.nameOf(k), m.settings.Namespace))
	}
	return args
}
