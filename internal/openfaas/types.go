package openfaas

import (
	"encoding/json"
	"time"
)

// Deployment is OpenFaaS' FunctionDeployment: what a function is to be. Fields
// that it does not have here are ignored, as OpenFaaS ignores what it does not
// know.
type Deployment struct {
	Service      string             `json:"service"`
	Image        string             `json:"image"`
	Namespace    string             `json:"namespace,omitempty"`
	EnvProcess   string             `json:"envProcess,omitempty"`
	EnvVars      map[string]string  `json:"envVars,omitempty"`
	Constraints  []string           `json:"constraints,omitempty"`
	Secrets      []string           `json:"secrets,omitempty"`
	Labels       *map[string]string `json:"labels,omitempty"`
	Annotations  *map[string]string `json:"annotations,omitempty"`
	Limits       *Resources         `json:"limits,omitempty"`
	Requests     *Resources         `json:"requests,omitempty"`
	ReadOnlyRoot bool               `json:"readOnlyRootFilesystem,omitempty"`
}

// Resources are OpenFaaS' FunctionResources, in Kubernetes' notation of quantities.
type Resources struct {
	Memory string `json:"memory,omitempty"`
	CPU    string `json:"cpu,omitempty"`
}

// Status is OpenFaaS' FunctionStatus: what a function is now.
type Status struct {
	Name              string            `json:"name"`
	Image             string            `json:"image"`
	Namespace         string            `json:"namespace,omitempty"`
	EnvProcess        string            `json:"envProcess,omitempty"`
	EnvVars           map[string]string `json:"envVars,omitempty"`
	Constraints       []string          `json:"constraints,omitempty"`
	Secrets           []string          `json:"secrets,omitempty"`
	Labels            map[string]string `json:"labels,omitempty"`
	Annotations       map[string]string `json:"annotations,omitempty"`
	Limits            *Resources        `json:"limits,omitempty"`
	Requests          *Resources        `json:"requests,omitempty"`
	ReadOnlyRoot      bool              `json:"readOnlyRootFilesystem,omitempty"`
	InvocationCount   int64             `json:"invocationCount,omitempty"`
	Replicas          int               `json:"replicas,omitempty"`
	AvailableReplicas int               `json:"availableReplicas,omitempty"`
	CreatedAt         time.Time         `json:"createdAt"`
	Usage             *Usage            `json:"usage,omitempty"`
}

// Usage is what a function's replicas hold, where it is asked for.
type Usage struct {
	TotalMemoryBytes int64 `json:"totalMemoryBytes,omitempty"`
}

// LogLine is OpenFaaS' log message. The fields after Text are ours: what the line
// is of.
type LogLine struct {
	Name      string          `json:"name"`
	Namespace string          `json:"namespace"`
	Instance  string          `json:"instance"`
	Timestamp time.Time       `json:"timestamp"`
	Text      string          `json:"text"`
	Level     string          `json:"level,omitempty"`
	Function  string          `json:"function,omitempty"`
	RequestID string          `json:"request_id,omitempty"`
	Stream    string          `json:"stream,omitempty"`
	Attrs     json.RawMessage `json:"attrs,omitempty"`
}

// Info is the answer of /system/info.
type Info struct {
	Provider *Provider `json:"provider"` // nil: the gateway does not reach it
	Version  *Version  `json:"version"`
	Arch     string    `json:"arch"`
}

// Provider is what runs the functions.
type Provider struct {
	Name          string   `json:"provider"`
	Orchestration string   `json:"orchestration"`
	Version       *Version `json:"version"`
}

// Version of a program.
type Version struct {
	Release string `json:"release"`
	SHA     string `json:"sha"`
}

// Delete is the body of DELETE /system/functions.
type Delete struct {
	FunctionName string `json:"functionName"`
	Namespace    string `json:"namespace,omitempty"`
}
