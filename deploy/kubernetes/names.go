package kubernetes

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strings"

	"github.com/chiron-faas/chiron/internal/dnslabel"
)

// What marks an object as a deployment's: labels, which can be chosen by, and
// annotations, whose values may be long.
const (
	// LabelDeployment is the deployment's name, LabelWrap the plan's name of the
	// wrap, LabelRole whether it is wrap 1.
	LabelDeployment = "chiron-faas.github.io/deployment"
	LabelWrap       = "chiron-faas.github.io/wrap"
	LabelRole       = "chiron-faas.github.io/role"
	// LabelPlan is the beginning of the plan's id, LabelRevision that and the
	// beginning of a digest of everything else that makes the pods.
	LabelPlan     = "chiron-faas.github.io/plan"
	LabelRevision = "chiron-faas.github.io/revision"

	// AnnotationPlan is the plan's whole id, AnnotationFunctions the wrap's
	// functions with commas between, AnnotationProject the project's name,
	// AnnotationWraps the number of the plan's wraps.
	AnnotationPlan      = "chiron-faas.github.io/plan-id"
	AnnotationFunctions = "chiron-faas.github.io/functions"
	AnnotationProject   = "chiron-faas.github.io/project"
	AnnotationWraps     = "chiron-faas.github.io/wraps"
)

// Values of LabelRole.
const (
	// Front is wrap 1, which takes the workflow's requests.
	Front = "front"
	// Peer is a wrap that wrap 1 calls.
	Peer = "peer"
)

// Manager is the field manager of what is applied, and the value of the label
// app.kubernetes.io/managed-by.
const Manager = "chiron"

const labelManagedBy = "app.kubernetes.io/managed-by"

// shortPlan is as much of a plan's id as stands in labels and names.
func shortPlan(id string) string { return id[:min(len(id), 8)] }

// revisionOf names what the pods of a deployment are made of: the plan's id, and
// the digest of all that the templates say besides.
func revisionOf(planID string, templates any) (string, error) {
	text, err := json.Marshal(templates)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(text)
	return shortPlan(planID) + "-" + hex.EncodeToString(sum[:])[:6], nil
}

// objectName is the name of an object: the parts that are not empty, joined.
// Kubernetes takes names that are DNS labels, of Services those that begin with a
// letter (RFC 1035), so "007" becomes "x-007". One that is too long is cut, told
// from others by a digest, and keeps its last part.
func objectName(parts ...string) string {
	var given []string
	for _, p := range parts {
		if p != "" {
			given = append(given, p)
		}
	}
	name := strings.Join(given, "-")
	if name[0] >= '0' && name[0] <= '9' {
		name = "x-" + name
	}
	if len(name) <= dnslabel.Max {
		return name
	}
	sum := sha256.Sum256([]byte(name))
	tail := "-" + hex.EncodeToString(sum[:4])
	if len(given) > 1 {
		if last := "-" + given[len(given)-1]; len(last) < dnslabel.Max/2 {
			tail += last
		}
	}
	return strings.TrimRight(name[:dnslabel.Max-len(tail)], "-") + tail
}

// ServiceName is the name of the Service that a deployment's workflow is called by.
func ServiceName(deployment string) string { return objectName(deployment) }

// labelValue makes a label's value of a name that may have any character.
func labelValue(s string) string {
	ok := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
	}
	mapped := strings.Map(func(r rune) rune {
		if ok(r) || r == '-' || r == '_' || r == '.' {
			return r
		}
		return '-'
	}, s)
	mapped = mapped[:min(len(mapped), 63)]
	return strings.TrimFunc(mapped, func(r rune) bool { return !ok(r) })
}
