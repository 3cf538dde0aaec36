package plan

import "time"

// Files of a bundle that say what its wrap is.
const (
	ManifestFile   = "wrap.json"
	PlanFile       = "plan.json"
	DefinitionFile = "workflow.asl.json"
)

// Manifest is the whole input of a wrap's agent besides the functions' code:
// the file wrap.json at the root of a bundle. bundle writes it, wrap reads it.
//
// A bundle is a folder:
//
//	wrap.json            this manifest
//	workflow.asl.json    the definition, as JSON
//	plan.json            the plan
//	functions/NAME/…     each function's code
//	site/…               the functions' requirements, installed
//	host/python/…        the host program
//	checksums            sha256 of every other file, in sha256sum's form
type Manifest struct {
	APIVersion string `json:"apiVersion"`
	// PlanID is the digest of plan.json: requests carry it between wraps, so
	// that two plans never mix in one request.
	PlanID string `json:"planID"`
	// Wrap names the plan's wrap that this bundle is.
	Wrap string `json:"wrap"`
	// Functions of this wrap's tasks.
	Functions []ManifestFunction `json:"functions"`
	// Lang and Runtime of all of them: a wrap has one.
	Lang string `json:"lang"`
	// Runtime is the interpreter as the project declares it ("", "3.12",
	// "python3.12", "/usr/bin/python3"), resolved where the wrap runs.
	Runtime string `json:"runtime,omitempty"`
	// Concurrency is the most workflow requests that the wrap works on at the
	// same time; the rest wait. 0 means the agent's default.
	Concurrency int `json:"concurrency,omitempty"`
}

// ManifestFunction is one function as the agent and the host need it.
type ManifestFunction struct {
	Name string `json:"name"`
	// File of the handler, relative to the bundle ("functions/NAME/handler.py").
	File string `json:"file"`
	// Symbol as in workflow.Function; empty: found by the host.
	Symbol string            `json:"symbol,omitempty"`
	Env    map[string]string `json:"env,omitempty"`
	// Timeout of one call, in Go's duration form in the file ("timeout": "30s").
	Timeout time.Duration `json:"-"`
	// Memory limit in bytes; 0: none.
	Memory int64 `json:"memory,omitempty"`
}
