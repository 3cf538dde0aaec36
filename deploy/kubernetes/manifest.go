package kubernetes

import (
	"fmt"
	"maps"
	"strconv"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/chiron-faas/chiron/bundle/oci"
)

// Ports: that of the workflow's Service, and the name that the pods' port has.
const (
	servicePort = 80
	portName    = "http"
)

// Manifests are the objects of one revision of a deployment.
type Manifests struct {
	Deployment string
	Namespace  string
	PlanID     string
	// Revision is in the names and labels of all objects that are the plan's own.
	Revision string
	// Service takes the workflow's requests: its selector says which revision
	// answers.
	Service corev1.Service
	// Account and Entrance are the deployment's, whatever the plan: the pods' service
	// account, and who may reach wrap 1.
	Account  corev1.ServiceAccount
	Entrance networkingv1.NetworkPolicy
	// Fence lets only wrap 1 reach the other wraps; nil where there are none.
	Fence *networkingv1.NetworkPolicy
	// Plan is what the pods run, and nil where their images hold it.
	Plan *corev1.ConfigMap
	// Wraps are in the plan's order.
	Wraps []WrapManifests

	owner *metav1.OwnerReference // nil: nobody; see Own
}

// WrapManifests are the objects of one wrap.
type WrapManifests struct {
	Wrap       string
	Functions  []string
	Deployment appsv1.Deployment
	// Service is nil for wrap 1, which has that of the workflow.
	Service *corev1.Service
	// Scaler is nil where the number of replicas is fixed.
	Scaler *autoscalingv2.HorizontalPodAutoscaler
	Budget policyv1.PodDisruptionBudget
}

// Manifest makes the objects of a plan. The same input makes the same objects.
func Manifest(w Workload, s Settings) (*Manifests, error) {
	m, err := newMaker(&w, s)
	if err != nil {
		return nil, err
	}
	templates := make([]corev1.PodTemplateSpec, len(w.Plan.Wraps))
	for i := range w.Plan.Wraps {
		templates[i] = m.pod(i)
	}
	if err := m.settle(templates); err != nil {
		return nil, err
	}
	return m.manifests(), nil
}

// maker makes the objects of one revision.
type maker struct {
	workload         *Workload
	settings         Settings
	planID, revision string
	// files of the plan, by their names; nil where the images hold it.
	files map[string]string
}

func newMaker(w *Workload, s Settings) (*maker, error) {
	if err := w.check(); err != nil {
		return nil, err
	}
	if err := s.Check(); err != nil {
		return nil, err
	}
	files, err := planFiles(w)
	if err != nil {
		return nil, err
	}
	return &maker{workload: w, settings: s.withDefaults(), planID: w.Plan.Digest(), files: files}, nil
}

// settle names the revision by what its pods are made of, which was made without the
// name.
func (m *maker) settle(templates any) (err error) {
	if m.files != nil {
		templates = []any{templates, m.files}
	}
	if m.revision, err = revisionOf(m.planID, templates); err != nil {
		return fmt.Errorf("deploy %q: %w", m.workload.Name, err)
	}
	return nil
}

func (m *maker) manifests() *Manifests {
	w := m.workload
	all := &Manifests{
		Deployment: w.Name, Namespace: m.settings.Namespace, PlanID: m.planID, Revision: m.revision,
		Account: corev1.ServiceAccount{
			TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "ServiceAccount"}, ObjectMeta: m.meta(m.account(), nil),
			AutomountServiceAccountToken: new(false),
		},
		Entrance: m.entrance(), Plan: m.planMap(),
		Service: corev1.Service{
			TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Service"}, ObjectMeta: m.meta(ServiceName(w.Name), nil),
			Spec: corev1.ServiceSpec{Selector: m.selector(0), Ports: ports(servicePort)},
		},
	}
	all.Service.Labels[LabelRole] = Front
	all.Service.Annotations = map[string]string{
		AnnotationPlan: m.planID, AnnotationProject: w.Plan.Workflow, AnnotationWraps: strconv.Itoa(len(w.Plan.Wraps)),
	}
	if len(w.Plan.Wraps) > 1 {
		all.Fence = m.fence()
	}
	for i := range w.Plan.Wraps {
		all.Wraps = append(all.Wraps, m.wrap(i))
	}
	return all
}

func (m *maker) wrap(i int) WrapManifests {
	w := &m.workload.Plan.Wraps[i]
	name, labels := m.nameOf(i), m.wrapLabels(i)
	made := WrapManifests{
		Wrap: w.Name, Functions: m.workload.Functions[w.Name],
		Deployment: appsv1.Deployment{
			TypeMeta: metav1.TypeMeta{APIVersion: "apps/v1", Kind: "Deployment"}, ObjectMeta: m.meta(name, labels),
			Spec: appsv1.DeploymentSpec{
				Selector: &metav1.LabelSelector{MatchLabels: m.selector(i)}, Template: m.pod(i), RevisionHistoryLimit: new(int32(2)),
				// A pod that is replaced in place goes when the next one is ready.
				Strategy: appsv1.DeploymentStrategy{Type: appsv1.RollingUpdateDeploymentStrategyType, RollingUpdate: &appsv1.RollingUpdateDeployment{
					MaxUnavailable: new(intstr.FromInt32(0)), MaxSurge: new(intstr.FromInt32(1)),
				}},
			},
		},
		Budget: policyv1.PodDisruptionBudget{
			TypeMeta: metav1.TypeMeta{APIVersion: "policy/v1", Kind: "PodDisruptionBudget"}, ObjectMeta: m.meta(name, labels),
			// Not "at least one": a node could never be drained of a wrap's only pod.
			Spec: policyv1.PodDisruptionBudgetSpec{MaxUnavailable: new(intstr.FromInt32(1)), Selector: &metav1.LabelSelector{MatchLabels: m.selector(i)}},
		},
	}
	if i > 0 {
		made.Service = &corev1.Service{
			TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Service"}, ObjectMeta: m.meta(name, labels),
			Spec: corev1.ServiceSpec{Selector: m.selector(i), Ports: ports(oci.Port)},
		}
	}
	if m.settings.Min == m.settings.Max {
		made.Deployment.Spec.Replicas = new(m.settings.Min)
	} else {
		made.Scaler = m.scaler(name, labels)
	}
	made.Deployment.Annotations = map[string]string{
		AnnotationPlan: m.planID, AnnotationProject: m.workload.Plan.Workflow, AnnotationFunctions: strings.Join(made.Functions, ","),
	}
	return made
}

// scaler keeps as many pods of a wrap as its CPUs are used for.
func (m *maker) scaler(name string, labels map[string]string) *autoscalingv2.HorizontalPodAutoscaler {
	return &autoscalingv2.HorizontalPodAutoscaler{
		TypeMeta: metav1.TypeMeta{APIVersion: "autoscaling/v2", Kind: "HorizontalPodAutoscaler"}, ObjectMeta: m.meta(name, labels),
		Spec: autoscalingv2.HorizontalPodAutoscalerSpec{
			ScaleTargetRef: autoscalingv2.CrossVersionObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Name: name},
			MinReplicas:    new(m.settings.Min), MaxReplicas: m.settings.Max,
			Metrics: []autoscalingv2.MetricSpec{{Type: autoscalingv2.ResourceMetricSourceType, Resource: &autoscalingv2.ResourceMetricSource{
				Name:   corev1.ResourceCPU,
				Target: autoscalingv2.MetricTarget{Type: autoscalingv2.UtilizationMetricType, AverageUtilization: new(m.settings.Utilization)},
			}}},
		},
	}
}

func ports(port int32) []corev1.ServicePort {
	return []corev1.ServicePort{{Name: portName, Port: port, TargetPort: intstr.FromString(portName), Protocol: corev1.ProtocolTCP, AppProtocol: new("http")}}
}

func (m *maker) account() string { return ServiceName(m.workload.Name) }

// nameOf is that of a wrap's objects.
func (m *maker) nameOf(i int) string {
	return objectName(m.workload.Name, m.workload.Plan.Wraps[i].Name, m.revision)
}

// selector chooses the pods of a wrap.
func (m *maker) selector(i int) map[string]string {
	return map[string]string{
		LabelDeployment: m.workload.Name, LabelWrap: m.workload.Plan.Wraps[i].Name, LabelRevision: m.revision,
	}
}

// wrapLabels are those of a wrap's objects, its pods included.
func (m *maker) wrapLabels(i int) map[string]string {
	labels := m.selector(i)
	labels[LabelPlan] = shortPlan(m.planID)
	labels[LabelRole] = Peer
	if i == 0 {
		labels[LabelRole] = Front
	}
	labels["app.kubernetes.io/component"] = m.workload.Plan.Wraps[i].Name
	labels["app.kubernetes.io/version"] = shortPlan(m.planID)
	return labels
}

func (m *maker) meta(name string, labels map[string]string) metav1.ObjectMeta {
	all := map[string]string{
		"app.kubernetes.io/name": labelValue(m.workload.Plan.Workflow), "app.kubernetes.io/instance": m.workload.Name,
		labelManagedBy: Manager, LabelDeployment: m.workload.Name,
	}
	maps.Copy(all, labels)
	return metav1.ObjectMeta{Name: name, Namespace: m.settings.Namespace, Labels: all}
}

// Objects in the order in which they are to be made: what requests go through
// first comes last.
func (m *Manifests) Objects() []runtime.Object {
	all := []runtime.Object{&m.Account, &m.Entrance}
	if m.Fence != nil {
		all = append(all, m.Fence)
	}
	if m.Plan != nil {
		all = append(all, m.Plan)
	}
	for i := range m.Wraps {
		if s := m.Wraps[i].Service; s != nil {
			all = append(all, s)
		}
	}
	for i := len(m.Wraps) - 1; i >= 0; i-- { // wrap 1 calls the others
		all = append(all, &m.Wraps[i].Deployment)
	}
	for i := range m.Wraps {
		if s := m.Wraps[i].Scaler; s != nil {
			all = append(all, s)
		}
		all = append(all, &m.Wraps[i].Budget)
	}
	return append(all, &m.Service)
}
