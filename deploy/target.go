package deploy

import (
	"context"
	"errors"
)

// Target is a place where wraps run. Its methods may be called from several
// goroutines, and several processes may use the same target at once: all that
// a target knows of a deployment is kept where each of them finds it.
type Target interface {
	// Up starts every wrap of d and returns when all of them are ready for
	// requests. Where it fails, or ctx ends before, nothing of d is left
	// running; ctx has no say afterwards. A deployment of that name that is up
	// is left alone, and the error is ErrExists; the remains of one whose
	// keeper died are cleared away first. A wrap that does not come up is a
	// *StartError.
	Up(ctx context.Context, d Deployment) (Running, error)

	// List returns the status of every deployment, sorted by name; none is no
	// error.
	List(ctx context.Context) ([]Status, error)

	// Status returns one deployment's, or ErrNotFound. It changes nothing.
	Status(ctx context.Context, name string) (Status, error)

	// Logs calls emit for the lines that the deployment's wraps logged, oldest
	// first, until emit fails (its error is returned), ctx ends (nil where the
	// caller asked to follow) or, where the caller did not ask to follow, there
	// are no more. Following ends without an error when the deployment is down.
	// ErrNotFound where there is no such deployment.
	Logs(ctx context.Context, name string, o LogOptions, emit func(LogLine) error) error

	// Down takes a deployment down, whoever started it: requests inside are
	// finished within the target's grace period, then everything of it is
	// removed. When it returns nil, nothing is left. A second Down at the same
	// time waits for the first and returns the same; where there is nothing to
	// take down it is ErrNotFound. It finishes what another Down, or a killed
	// process, left half done.
	Down(ctx context.Context, name string) error
}

// Running is a deployment that Up brought up.
type Running interface {
	// Workflow is where the workflow is invoked: the plan's wrap 1. An endpoint
	// stays the same while the deployment is up, restarts included.
	Workflow() Endpoint
	// Function is where one function is invoked: the first wrap of the plan
	// that holds it. False where none does.
	Function(name string) (Endpoint, bool)
	// Status as Target.Status.
	Status(ctx context.Context) (Status, error)
	// Down as Target.Down, but without an error where it is down already.
	Down(ctx context.Context) error
	// Done is closed when the deployment is down, whoever asked for it.
	Done() <-chan struct{}
}

// Errors that callers tell apart with errors.Is.
var (
	ErrExists   = errors.New("the deployment is up already")
	ErrNotFound = errors.New("there is no such deployment")
)

// StartError says that a wrap did not come up.
type StartError struct {
	Wrap string
	// Message is the wrap's own last word ("import function "f": …"), or what
	// was waited for in vain.
	Message string
}

func (e *StartError) Error() string {
	return "wrap " + e.Wrap + " did not start: " + e.Message
}
