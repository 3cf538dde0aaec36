package controller

import (
	"errors"
	"fmt"
	"strings"

	"github.com/chiron-faas/chiron/workflow"
)

// Refusal is why there is no plan for a Workflow: nothing but another spec, profile
// or calibration changes it.
type Refusal struct {
	// Reason of the condition Planned.
	Reason string
	// Message in one line: what is wrong, and what to do.
	Message string
}

// Error is the message.
func (r *Refusal) Error() string { return r.Message }

func refuse(reason, format string, args ...any) *Refusal {
	return &Refusal{Reason: reason, Message: brief(fmt.Sprintf(format, args...))}
}

// maxMessage is the longest message of an event that the API takes, bytes, less what
// is put before it.
const maxMessage = 900

// brief makes one line of several, and a short one of a long one.
func brief(text string) string {
	text = strings.ReplaceAll(strings.TrimSpace(text), "\n", "; ")
	if len(text) <= maxMessage {
		return text
	}
	return strings.ToValidUTF8(text[:maxMessage], "") + "…"
}

// mostFaults of a definition that a message has.
const mostFaults = 3

// faultsOf says what is wrong with a definition without lines and columns, which it
// has lost on its way through the API.
func faultsOf(err error) string {
	list := []error{err}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		list = joined.Unwrap()
	}
	var texts []string
	for _, e := range list[:min(len(list), mostFaults)] {
		if fault, ok := errors.AsType[*workflow.Error](e); ok {
			e = &workflow.Error{State: fault.State, Problem: fault.Problem, Hint: fault.Hint}
		}
		texts = append(texts, e.Error())
	}
	if more := len(list) - mostFaults; more > 0 {
		texts = append(texts, fmt.Sprintf("and %d more faults", more))
	}
	return strings.Join(texts, "; ")
}
