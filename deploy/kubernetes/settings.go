package kubernetes

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/chiron-faas/chiron/internal/dnslabel"
	"github.com/chiron-faas/chiron/plan"
)

// Settings are what manifests say besides the plan. The zero value of every field
// is usable.
type Settings struct {
	// Namespace of all objects; empty: none is written, and who applies chooses.
	Namespace string
	// Memory of a wrap that neither the plan nor the deployment gives any, bytes; 0:
	// DefaultMemory.
	Memory int64
	// Replicas of every wrap: at least Min, at most Max as the wraps' CPUs are used;
	// 0: DefaultMinReplicas and DefaultMaxReplicas. Where both are the same, there is
	// no autoscaler.
	Min, Max int32
	// Utilization is the percentage of the wraps' CPUs that the autoscaler aims at;
	// 0: DefaultUtilization.
	Utilization int32
	// Overcommit is by how much more CPUs are promised than asked for: pods ask for
	// the plan's CPUs divided by it, and may use the plan's. 0 or 1: not at all,
	// which is what the predicted latency is for.
	Overcommit int
	// From are other namespaces whose pods may call the workflow, such as an
	// ingress controller's.
	From []string
	// PullSecrets are names of secrets with the registry's password.
	PullSecrets []string
	// Linger and Grace as wrap.Options has them; 0: DefaultLinger, DefaultGrace.
	Linger, Grace time.Duration
}

// Defaults of Settings.
const (
	DefaultMemory      = 512 << 20
	DefaultMinReplicas = 1
	DefaultMaxReplicas = 10
	DefaultUtilization = 70
	// DefaultLinger is for what a cluster needs until every node knows that a pod
	// ends: some seconds.
	DefaultLinger = 5 * time.Second
	DefaultGrace  = 30 * time.Second
)

func (s Settings) withDefaults() Settings {
	if s.Memory == 0 {
		s.Memory = DefaultMemory
	}
	if s.Min == 0 {
		s.Min = DefaultMinReplicas
	}
	if s.Max == 0 {
		s.Max = max(s.Min, DefaultMaxReplicas)
	}
	if s.Utilization == 0 {
		s.Utilization = DefaultUtilization
	}
	if s.Overcommit == 0 {
		s.Overcommit = 1
	}
	if s.Linger == 0 {
		s.Linger = DefaultLinger
	}
	if s.Grace == 0 {
		s.Grace = DefaultGrace
	}
	return s
}

// Check says what is wrong with settings.
func (s Settings) Check() error {
	s = s.withDefaults()
	switch {
	case s.Namespace != "" && !dnslabel.Valid(s.Namespace):
		return fmt.Errorf("namespace %q: use a-z, 0-9 and '-', at most 63 characters", s.Namespace)
	case s.Memory < 0:
		return fmt.Errorf("memory %d: give a positive number of bytes", s.Memory)
	case s.Min < 1 || s.Max < s.Min:
		return fmt.Errorf("replicas %d to %d: give at least one, and a most that is not less", s.Min, s.Max)
	case s.Utilization < 1 || s.Utilization > 100:
		return fmt.Errorf("utilization %d: give a percentage from 1 to 100", s.Utilization)
	case s.Overcommit < 1:
		return fmt.Errorf("overcommit %d: give 1 for none, or by how much", s.Overcommit)
	case s.Linger < 0 || s.Grace < 0:
		return fmt.Errorf("linger %v, grace %v: give positive durations", s.Linger, s.Grace)
	}
	for _, n := range s.From {
		if !dnslabel.Valid(n) {
			return fmt.Errorf("namespace %q, whose pods are to call the workflow: use a-z, 0-9 and '-', at most 63 characters", n)
		}
	}
	return nil
}

// Workload is what manifests are made of: a plan, and an image for each wrap.
type Workload struct {
	// Name of the deployment: a DNS label.
	Name string
	Plan *plan.Plan
	// Images by wrap, and the functions that each holds.
	Images    map[string]string
	Functions map[string][]string
	// Definition is the workflow's, as JSON, where the images are not the plan's own:
	// they hold the functions, and the pods get the plan and the definition from the
	// cluster. nil: each image is a wrap of the plan.
	Definition []byte
	// Env is what all functions find in their environment, "NAME=value".
	Env []string
	// Memory, where it is not 0, is the limit of each wrap in bytes instead of the
	// plan's.
	Memory int64
}

// check says what is wrong with a workload.
func (w *Workload) check() error {
	switch {
	case !dnslabel.Valid(w.Name):
		return fmt.Errorf("deployment name %q: use a-z, 0-9 and '-', at most 63 characters", w.Name)
	case w.Plan == nil || len(w.Plan.Wraps) == 0:
		return fmt.Errorf("deploy %q: there is no plan, or it has no wrap: plan again", w.Name)
	case w.Plan.Calls != plan.Direct:
		return fmt.Errorf("deploy %q: functions of a plan of model %q are called through a gateway, which runs nowhere here: plan by another model", w.Name, w.Plan.Model)
	case w.Definition != nil && !json.Valid(w.Definition):
		return fmt.Errorf("deploy %q: the workflow's definition is not JSON: write it again", w.Name)
	}
	for i := range w.Plan.Wraps {
		if name := w.Plan.Wraps[i].Name; w.Images[name] == "" {
			return fmt.Errorf("deploy %q: there is no image of wrap %q: build the images again", w.Name, name)
		}
	}
	return nil
}
