// Package openfaas has the JSON of OpenFaaS' REST API as both of its sides need it:
// the gateway, which answers it, and the target, which asks. docs/openfaas.md has
// the table of endpoints.
package openfaas

// What marks a function of ours as a wrap of a workflow: labels, which can be chosen
// by, and annotations, whose values may be long.
const (
	// LabelWorkflow is the deployment's name, LabelWrap the plan's name of the
	// wrap, LabelPlan the first characters of the plan's id.
	LabelWorkflow = "com.chiron.workflow"
	LabelWrap     = "com.chiron.wrap"
	LabelPlan     = "com.chiron.plan"
	// AnnotationPlan is the plan's whole id, AnnotationFunctions the wrap's
	// functions with commas between, AnnotationProject the project's name,
	// AnnotationWraps the number of the plan's wraps.
	AnnotationPlan      = "com.chiron.plan-id"
	AnnotationFunctions = "com.chiron.functions"
	AnnotationProject   = "com.chiron.project"
	AnnotationWraps     = "com.chiron.wraps"
)

// PeersVariable tells wrap 1 where the other wraps of its plan are, in the form of
// "chiron-agent --peer", with commas.
const PeersVariable = "CHIRON_PEERS"

// ProviderName is what our own provider calls itself in /system/info.
const ProviderName = "chiron"

// GatewayHost and GatewayPort are where a container of our own provider, in a network
// of its own, finds the gateway's functions: the name and the port that OpenFaaS' own
// gateway has for what comes from outside. Port 8080 is the function's.
const (
	GatewayHost = "gateway"
	GatewayPort = 31112
)
