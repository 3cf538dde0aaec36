package v1alpha1

import (
	"strconv"

	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// Workflow is one workflow that a cluster plans and runs. Its name is that of the
// deployment and of the Service that it is called by: a DNS label.
type Workflow struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec   WorkflowSpec   `json:"spec"`
	Status WorkflowStatus `json:"status,omitzero"`
}

// WorkflowList is a list of them.
type WorkflowList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`

	Items []Workflow `json:"items"`
}

// WorkflowSpec is what is asked for. Names and meanings are those of chiron.yaml
// wherever that has the field.
type WorkflowSpec struct {
	// Definition in the Amazon States Language: an object, or its text. As a text it
	// is kept to the letter; of an object kubectl apply does not keep members that
	// are changed to null ("ResultPath": null).
	Definition runtime.RawExtension `json:"definition"`
	// Images that hold the functions, each function in one of them. Functions of one
	// image may share a wrap, those of two never do.
	Images []Image `json:"images"`
	// SLO is the latency to keep; nil asks for nothing.
	SLO *SLO `json:"slo,omitempty"`
	// Profile is where the functions' profile is: the profile.json of the project.
	Profile Source `json:"profile"`
	// Calibration is where the constants of the cluster's nodes are; nil: the
	// controller's own.
	Calibration *Source `json:"calibration,omitempty"`
	// Apart and Together are lists of names of functions or Task states that may not,
	// or must, share a wrap.
	Apart    [][]string `json:"apart,omitempty"`
	Together [][]string `json:"together,omitempty"`
	Limits   *Limits    `json:"limits,omitempty"`
	// Concurrency is the most requests that each pod works on at once; 0: what
	// plan.Plan's SetConcurrency finds.
	Concurrency int32      `json:"concurrency,omitempty"`
	Instances   *Instances `json:"instances,omitempty"`
	// PullSecrets are names of secrets with the registry's password.
	PullSecrets []string `json:"pullSecrets,omitempty"`
	// AllowFrom are other namespaces whose pods may call the workflow.
	AllowFrom []string `json:"allowFrom,omitempty"`
	// Grace is how long requests may take to end when a pod does, such as "30s"; empty:
	// kubernetes.DefaultGrace.
	Grace string `json:"grace,omitempty"`
	// Env is what all functions find in their environment.
	Env []Variable `json:"env,omitempty"`
}

// Image is a container image with the code of some functions.
type Image struct {
	// Image is its reference: by digest, so that all nodes run the same.
	Image string `json:"image"`
	// Functions that it holds.
	Functions []string `json:"functions"`
}

// SLO is the latency objective.
type SLO struct {
	// Latency such as "120ms".
	Latency string `json:"latency"`
	// Percentile at which it is meant: a number under 100, one with a fraction as a
	// text ("99.9"), or "mean"; nil: workflow.DefaultPercentile.
	Percentile *intstr.IntOrString `json:"percentile,omitempty"`
}

// Percentile is one as SLO and PlanStatus have it; 0 is the mean.
func Percentile(p float64) intstr.IntOrString {
	switch whole := int32(p); {
	case p == 0:
		return intstr.FromString("mean")
	case float64(whole) == p:
		return intstr.FromInt32(whole)
	}
	return intstr.FromString(strconv.FormatFloat(p, 'f', -1, 64))
}

// Source is a key of a ConfigMap of the Workflow's namespace.
type Source struct {
	ConfigMap string `json:"configMap"`
	// Key of its data; what it holds may be compressed by gzip, as binary data.
	Key string `json:"key"`
}

// Limits bound what a plan may use; what is left out is not bounded.
type Limits struct {
	// CPUs and Memory that each wrap may be given.
	CPUs   int32              `json:"cpus,omitempty"`
	Memory *resource.Quantity `json:"memory,omitempty"`
	// Wraps that the plan may have.
	Wraps int32 `json:"wraps,omitempty"`
}

// Instances are how many pods of each wrap there may be; 0: the default of
// kubernetes.Settings.
type Instances struct {
	Min int32 `json:"min,omitempty"`
	Max int32 `json:"max,omitempty"`
}

// Variable of functions' environments.
type Variable struct {
	Name  string `json:"name"`
	Value string `json:"value,omitempty"`
}
