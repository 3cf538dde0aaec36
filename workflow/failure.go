package workflow

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
)

// Error names of the specification's appendix A that Chiron reports.
const (
	// ErrTaskFailed: a function raised, exited or was killed.
	ErrTaskFailed = "States.TaskFailed"
	// ErrTimeout: a function or the workflow ran past its time.
	ErrTimeout = "States.Timeout"
	// ErrRuntime: the data flow could not go on: a value that must be JSON is
	// not, or a path selects nothing. AWS reports the latter so too, for
	// InputPath, OutputPath and Parameters alike, although the specification
	// has States.ParameterPathFailure.
	ErrRuntime = "States.Runtime"
	// ErrResultPathMatchFailure: ResultPath does not fit the state's input.
	ErrResultPathMatchFailure = "States.ResultPathMatchFailure"
	// ErrParameterPathFailure is the specification's name for a path in
	// Parameters that selects nothing; see ErrRuntime.
	ErrParameterPathFailure = "States.ParameterPathFailure"
	// ErrBranchFailed: a branch of a Parallel failed without a name of its own.
	ErrBranchFailed = "States.BranchFailed"
)

// Failure is an error at run time, as the Amazon States Language reports it.
type Failure struct {
	// Name is the error name: one of the constants, or a Fail state's own.
	Name string
	// Cause is for people to read.
	Cause string
	// State that failed; empty where unknown. Not part of the JSON form.
	State string
}

// MaxCause bounds the cause of a failure that is not a function's own words, bytes:
// it may quote a handler's message.
const MaxCause = 4096

// ClipCause is what a cause keeps of a text.
func ClipCause(text string) string {
	if len(text) <= MaxCause {
		return text
	}
	return text[:MaxCause] + "…"
}

// FailureOf is the failure that a caller is told where Run has come to an error.
func FailureOf(err error) *Failure {
	var failure *Failure
	switch {
	case errors.As(err, &failure):
		return failure
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		return &Failure{Name: ErrTimeout, Cause: "the request ran past its deadline"}
	case errors.Is(err, context.Canceled):
		return &Failure{Name: ErrTaskFailed, Cause: "the caller left before the answer"}
	default:
		return &Failure{Name: ErrRuntime, Cause: ClipCause(err.Error())}
	}
}

// HTTPStatus is the status of an answer that tells the failure.
func (f *Failure) HTTPStatus() int {
	if f.Name == ErrTimeout {
		return http.StatusGatewayTimeout
	}
	return http.StatusInternalServerError
}

// Error has the form: state "X": Name: Cause.
func (f *Failure) Error() string {
	text := f.Name
	switch {
	case text == "":
		text = f.Cause
	case f.Cause != "":
		text += ": " + f.Cause
	}
	if text == "" {
		text = "failed"
	}
	if f.State != "" {
		return fmt.Sprintf("state %q: %s", f.State, text)
	}
	return text
}

// failureJSON is the body of a failed request.
type failureJSON struct {
	Error string `json:"error"`
	Cause string `json:"cause"`
}

// MarshalJSON has the form {"error": Name, "cause": Cause}.
func (f Failure) MarshalJSON() ([]byte, error) {
	return json.Marshal(failureJSON{f.Name, f.Cause})
}

// UnmarshalJSON reads what MarshalJSON writes.
func (f *Failure) UnmarshalJSON(data []byte) error {
	var body failureJSON
	if err := json.Unmarshal(data, &body); err != nil {
		return fmt.Errorf("read a failure: %w", err)
	}
	f.Name, f.Cause = body.Error, body.Cause
	return nil
}

// AsFailure gives any error its name in the language: a *Failure is itself, a
// passed deadline is States.Timeout, everything else States.TaskFailed. It is
// nil for nil.
func AsFailure(err error) *Failure {
	if err == nil {
		return nil
	}
	var f *Failure
	switch {
	case errors.As(err, &f):
		return f
	case errors.Is(err, context.DeadlineExceeded):
		return &Failure{Name: ErrTimeout, Cause: err.Error()}
	}
	return &Failure{Name: ErrTaskFailed, Cause: err.Error()}
}
