package workflow

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// Execution is one run of a workflow, as the context object shows it. Its JSON
// form travels between wraps.
type Execution struct {
	// ID identifies the run: the request id.
	ID string `json:"id"`
	// Name of the run; ID where empty.
	Name string `json:"name,omitempty"`
	// Workflow is the project's name: StateMachine.Name and StateMachine.Id.
	Workflow  string    `json:"workflow"`
	StartTime time.Time `json:"startTime"`
	// Input of the whole workflow, as it came.
	Input json.RawMessage `json:"input"`
}

// ContextObject is what paths that begin with "$$" read: the specification's
// "Context Object" for one state of one run.
type ContextObject struct {
	Execution *Execution
	// StateName and EnteredTime of the state that reads it.
	StateName   string
	EnteredTime time.Time
}

// contextTime is ISO 8601 with milliseconds, as AWS writes it.
const contextTime = "2006-01-02T15:04:05.000Z"

// MarshalJSON has AWS' shape: Execution, State and StateMachine. RoleArn is
// always empty and RedriveCount always 0: Chiron has neither. An input that is
// text and no JSON is shown as a string.
func (c *ContextObject) MarshalJSON() ([]byte, error) {
	type execution struct {
		ID           string `json:"Id"`
		Input        json.RawMessage
		Name         string
		RedriveCount int
		RoleArn      string
		StartTime    string
	}
	type state struct {
		EnteredTime string
		Name        string
	}
	type stateMachine struct {
		ID   string `json:"Id"`
		Name string
	}
	e := c.Execution
	if e == nil {
		e = &Execution{}
	}
	name := e.Name
	if name == "" {
		name = e.ID
	}
	input := e.Input
	switch {
	case len(input) == 0:
		input = json.RawMessage("null")
	case !validJSON(input):
		input = appendJSONString(nil, strings.ToValidUTF8(string(input), "\uFFFD"))
	}
	data, err := json.Marshal(struct {
		Execution    execution
		State        state
		StateMachine stateMachine
	}{
		execution{ID: e.ID, Input: input, Name: name, StartTime: e.StartTime.UTC().Format(contextTime)},
		state{EnteredTime: c.EnteredTime.UTC().Format(contextTime), Name: c.StateName},
		stateMachine{ID: e.Workflow, Name: e.Workflow},
	})
	if err != nil {
		return nil, fmt.Errorf("the context object: %w", err)
	}
	return data, nil
}

type executionKey struct{}

// WithExecution tells Run which execution it belongs to. Only definitions for
// which UsesContext is true ask.
func WithExecution(ctx context.Context, e *Execution) context.Context {
	return context.WithValue(ctx, executionKey{}, e)
}

// ExecutionFrom returns what WithExecution left, or nil.
func ExecutionFrom(ctx context.Context) *Execution {
	e, _ := ctx.Value(executionKey{}).(*Execution)
	return e
}

// contextUse remembers the answer of UsesContext; the zero value asks again.
type contextUse uint8

const (
	contextUnknown contextUse = iota
	contextUsed
	contextUnused
)

// rememberContext sets the answer for d and its branches.
func (d *Definition) rememberContext() {
	for _, s := range d.States {
		for _, b := range s.Branches {
			b.rememberContext()
		}
	}
	if d.UsesContext() {
		d.context = contextUsed
	} else {
		d.context = contextUnused
	}
}

// UsesContext reports whether any state, branches included, reads the context
// object.
func (d *Definition) UsesContext() bool {
	switch d.context {
	case contextUsed:
		return true
	case contextUnused:
		return false
	}
	for _, s := range d.States {
		if s.usesContext() {
			return true
		}
		for _, b := range s.Branches {
			if b.UsesContext() {
				return true
			}
		}
	}
	return false
}

func (s *State) usesContext() bool {
	return s.InputPath.IsContext() || s.OutputPath.IsContext() || s.Parameters.usesContext()
}
