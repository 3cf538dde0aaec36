package kubernetes

import (
	"fmt"
	"math"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/chiron-faas/chiron/bundle/oci"
)

// containerName of every pod's one container.
const containerName = "wrap"

const (
	// userID is oci.User's.
	userID = 65532
	// scratch bounds what a wrap's functions may write below /tmp, the only place
	// that they can write to.
	scratch = 1 << 30
	// lastWords are for the agent to end after its grace period.
	lastWords = 5 * time.Second
)

// pod is what the pods of a wrap are made of.
func (m *maker) pod(i int) corev1.PodTemplateSpec {
	s := &m.settings
	labels := m.meta("", m.wrapLabels(i)).Labels
	made := corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{
			Labels:      labels,
			Annotations: map[string]string{"kubectl.kubernetes.io/default-container": containerName},
		},
		Spec: corev1.PodSpec{
			ServiceAccountName:            m.account(),
			AutomountServiceAccountToken:  new(false),
			EnableServiceLinks:            new(false),
			ImagePullSecrets:              secrets(s.PullSecrets),
			TerminationGracePeriodSeconds: new(seconds(s.Linger + s.Grace + lastWords)),
			SecurityContext: &corev1.PodSecurityContext{
				RunAsNonRoot: new(true), RunAsUser: new(int64(userID)), RunAsGroup: new(int64(userID)), FSGroup: new(int64(userID)),
				SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
			},
			Affinity:                  m.together(),
			TopologySpreadConstraints: m.spread(i),
			Containers:                []corev1.Container{m.container(i)},
			Volumes: []corev1.Volume{{Name: "tmp", VolumeSource: corev1.VolumeSource{
				EmptyDir: &corev1.EmptyDirVolumeSource{SizeLimit: resource.NewQuantity(scratch, resource.BinarySI)},
			}}},
		},
	}
	m.mountPlan(&made.Spec)
	return made
}

func (m *maker) container(i int) corev1.Container {
	w := &m.workload.Plan.Wraps[i]
	env, passed := environment(m.workload.Env)
	return corev1.Container{
		Name: containerName, Image: m.workload.Images[w.Name], ImagePullPolicy: corev1.PullIfNotPresent,
		Args: append(m.arguments(i), passed...), Env: env,
		Ports:     []corev1.ContainerPort{{Name: portName, ContainerPort: oci.Port, Protocol: corev1.ProtocolTCP}},
		Resources: m.resources(i),
		// An agent that cannot start says why in its last line.
		TerminationMessagePolicy: corev1.TerminationMessageFallbackToLogsOnError,
		ReadinessProbe:           probe("/_/ready", 1, 3),
		LivenessProbe:            probe("/_/health", 10, 6),
		SecurityContext: &corev1.SecurityContext{
			AllowPrivilegeEscalation: new(false), ReadOnlyRootFilesystem: new(true),
			Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
		},
		VolumeMounts: []corev1.VolumeMount{{Name: "tmp", MountPath: "/tmp"}},
	}
}

// everyArguments are those of wrap i's agent wherever it runs.
func (m *maker) everyArguments(i int) []string {
	return append([]string{"--linger", m.settings.Linger.String(), "--grace", m.settings.Grace.String()}, m.planArguments(i)...)
}

// arguments are added to those of the image's entry point.
func (m *maker) arguments(i int) []string {
	args := m.everyArguments(i)
	if i > 0 {
		return args
	}
	for k := 1; k < len(m.workload.Plan.Wraps); k++ {
		// HTTP/1.1, of which each call in flight has a connection: a Service spreads
		// connections over a wrap's pods, and HTTP/2 would have one.
		args = append(args, "--peer", fmt.Sprintf("%s=http1://%s:%d", m.workload.Plan.Wraps[k].Name, m.nameOf(k), oci.Port))
	}
	return args
}

// environment is a container's, and the arguments that pass it on to functions.
func environment(list []string) (env []corev1.EnvVar, args []string) {
	for _, v := range list {
		name, value, _ := strings.Cut(v, "=")
		// "$(" would be taken for another variable's value.
		env = append(env, corev1.EnvVar{Name: name, Value: strings.ReplaceAll(value, "$", "$$")})
		args = append(args, "--pass-env", name)
	}
	return env, args
}

// resources are a wrap's: whole CPUs, and what it may have is what it asks for, so
// that its pods are of the class Guaranteed.
func (m *maker) resources(i int) corev1.ResourceRequirements {
	w := &m.workload.Plan.Wraps[i]
	memory := w.Memory
	if m.workload.Memory > 0 {
		memory = m.workload.Memory
	}
	if memory == 0 {
		memory = m.settings.Memory
	}
	limits := corev1.ResourceList{
		corev1.ResourceCPU: *resource.NewQuantity(int64(w.CPUs), resource.DecimalSI), corev1.ResourceMemory: *resource.NewQuantity(memory, resource.BinarySI),
	}
	requests := limits.DeepCopy()
	if over := m.settings.Overcommit; over > 1 {
		requests[corev1.ResourceCPU] = *resource.NewMilliQuantity(max(1, int64(w.CPUs)*1000/int64(over)), resource.DecimalSI)
	}
	return corev1.ResourceRequirements{Limits: limits, Requests: requests}
}

// together prefers nodes, then zones, on which the revision's wraps run already: they
// call each other.
func (m *maker) together() *corev1.Affinity {
	near := func(weight int32, topology string) corev1.WeightedPodAffinityTerm {
		return corev1.WeightedPodAffinityTerm{Weight: weight, PodAffinityTerm: corev1.PodAffinityTerm{
			TopologyKey:   topology,
			LabelSelector: &metav1.LabelSelector{MatchLabels: map[string]string{LabelDeployment: m.workload.Name, LabelRevision: m.revision}},
		}}
	}
	return &corev1.Affinity{PodAffinity: &corev1.PodAffinity{
		PreferredDuringSchedulingIgnoredDuringExecution: []corev1.WeightedPodAffinityTerm{near(100, corev1.LabelHostname), near(50, corev1.LabelTopologyZone)},
	}}
}

// spread has the replicas of one wrap on nodes of their own where it can be.
func (m *maker) spread(i int) []corev1.TopologySpreadConstraint {
	return []corev1.TopologySpreadConstraint{{
		MaxSkew: 1, TopologyKey: corev1.LabelHostname, WhenUnsatisfiable: corev1.ScheduleAnyway,
		LabelSelector: &metav1.LabelSelector{MatchLabels: m.selector(i)},
	}}
}

func probe(path string, every, failures int32) *corev1.Probe {
	return &corev1.Probe{
		ProbeHandler:  corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: path, Port: intstr.FromString(portName), Scheme: corev1.URISchemeHTTP}},
		PeriodSeconds: every, FailureThreshold: failures, TimeoutSeconds: 5, SuccessThreshold: 1,
	}
}

func secrets(names []string) (refs []corev1.LocalObjectReference) {
	for _, n := range names {
		refs = append(refs, corev1.LocalObjectReference{Name: n})
	}
	return refs
}

// seconds rounds up: a grace that is cut would end requests.
func seconds(d time.Duration) int64 { return int64(math.Ceil(d.Seconds())) }
