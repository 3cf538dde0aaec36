package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// WorkflowStatus is what has become of a Workflow.
type WorkflowStatus struct {
	// ObservedGeneration of the spec that the conditions are about.
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// Conditions are Planned and Ready.
	Conditions []metav1.Condition `json:"conditions,omitempty"`
	// Plan that takes the requests; where none does yet, the one that is brought up.
	Plan *PlanStatus `json:"plan,omitempty"`
	// Failed is the revision that did not come up and was removed again; nil: none.
	// It is not tried again before RetryAfter, unless something of it changes.
	Failed *FailedStatus `json:"failed,omitempty"`
	// URL of the workflow within the cluster; empty: nothing takes requests.
	URL string `json:"url,omitempty"`
}

// PlanStatus is one plan, and what was predicted of it.
type PlanStatus struct {
	// ID is the plan's, Revision the name of all that runs of it.
	ID       string `json:"id"`
	Revision string `json:"revision"`
	CPUs     int32  `json:"cpus"`
	Wraps    int32  `json:"wraps"`
	// Predicted latency at Percentile, such as "63.4ms".
	Predicted string `json:"predicted,omitempty"`
	// Percentile as SLO has it: a number, or "mean".
	Percentile *intstr.IntOrString `json:"percentile,omitempty"`
	// Since when it takes requests; nil: it does not yet.
	Since *metav1.Time `json:"since,omitempty"`
}

// FailedStatus is a revision that did not come up.
type FailedStatus struct {
	Revision string `json:"revision"`
	// Message says why.
	Message string `json:"message"`
	// Attempts that there were.
	Attempts   int32       `json:"attempts"`
	RetryAfter metav1.Time `json:"retryAfter"`
}

// Types of conditions.
const (
	// Planned says whether there is a plan for the spec as it is.
	Planned = "Planned"
	// Ready says whether the workflow takes requests: by the plan of the spec as it
	// is, or else by an earlier one, which the message then says.
	Ready = "Ready"
)

// Reasons of the condition Planned.
const (
	// ReasonSearched: there is a plan.
	ReasonSearched = "Searched"
	// ReasonInvalidDefinition: the definition is none.
	ReasonInvalidDefinition = "InvalidDefinition"
	// ReasonInvalidSpec: another field of the spec cannot be.
	ReasonInvalidSpec = "InvalidSpec"
	// ReasonFunctionMissing: the definition names a function that no image holds.
	ReasonFunctionMissing = "FunctionMissing"
	// ReasonProfileMissing: the ConfigMap or its key is not there.
	ReasonProfileMissing = "ProfileMissing"
	// ReasonProfileInvalid: it holds no profile.
	ReasonProfileInvalid = "ProfileInvalid"
	// ReasonProfileIncomplete: the profile lacks functions.
	ReasonProfileIncomplete = "ProfileIncomplete"
	// ReasonCalibrationMissing and ReasonCalibrationInvalid: the same of the
	// calibration.
	ReasonCalibrationMissing = "CalibrationMissing"
	ReasonCalibrationInvalid = "CalibrationInvalid"
	// ReasonInfeasible: no plan keeps the limits and rules.
	ReasonInfeasible = "Infeasible"
	// ReasonObjectiveUnreachable: no plan keeps the SLO.
	ReasonObjectiveUnreachable = "ObjectiveUnreachable"
	// ReasonPlanFailed: planning failed otherwise, which is a bug.
	ReasonPlanFailed = "PlanFailed"
)

// Reasons of the condition Ready.
const (
	// ReasonServing: requests are taken by the plan.
	ReasonServing = "Serving"
	// ReasonServingEarlier: requests are taken by an earlier plan, since there is no
	// new one, it is being brought up, or did not come up.
	ReasonServingEarlier = "ServingEarlier"
	// ReasonDegraded: requests are taken, and a wrap has no pod that is ready.
	ReasonDegraded = "Degraded"
	// ReasonNotPlanned: nothing takes requests, since there is no plan.
	ReasonNotPlanned = "NotPlanned"
	// ReasonRollingOut: the first plan is being brought up.
	ReasonRollingOut = "RollingOut"
	// ReasonUnschedulable, ReasonImagePull and ReasonCrashing say what that waits for.
	ReasonUnschedulable = "Unschedulable"
	ReasonImagePull     = "ImagePull"
	ReasonCrashing      = "Crashing"
	// ReasonConflict: what is there of the name belongs to somebody else.
	ReasonConflict = "Conflict"
	// ReasonRefused: the cluster refuses the objects.
	ReasonRefused = "Refused"
)
