package host

import (
	"errors"
	"fmt"
	"syscall"
	"time"
)

// ErrRetired is the error of a Call on a worker that takes no new calls:
// retired, closed or dead.
var ErrRetired = errors.New("the worker takes no new calls")

// ErrStopped is the error of a Call whose Stop was done when one of its functions
// had ended and another was to begin.
var ErrStopped = errors.New("stopped before the next function began")

// ImportError says why a function cannot be served: its file is missing, does
// not import, or defines no handler. Start joins one for each such function.
type ImportError struct {
	Function string
	// Message is one line: the exception and file:line where it arose.
	Message string
	// Traceback as Python prints it; empty where nothing was raised.
	Traceback string
}

func (e *ImportError) Error() string {
	return fmt.Sprintf("import function %q: %s", e.Function, e.Message)
}

// HandlerError says that a call did not produce a result: the handler raised,
// called sys.exit, returned what cannot be sent (Type "BadResult") or was given
// a body that its kind does not take (Type "BadInput"). The process lives on.
type HandlerError struct {
	Function string
	// Type is the exception's class: "ValueError".
	Type string
	// Message is what the exception says; may be empty.
	Message string
	// Traceback as Python prints it, without the host's own frames.
	Traceback string
}

func (e *HandlerError) Error() string {
	text := e.Type
	if e.Message != "" {
		text += ": " + e.Message
	}
	return fmt.Sprintf("function %q: %s", e.Function, text)
}

// ExitError says that the process that ran a call ended before the reply.
type ExitError struct {
	// Function of the call; empty for the process as such.
	Function string
	Pid      int
	// Signal that ended it; 0: it exited with Code. Code is -1 where neither
	// is known.
	Signal syscall.Signal
	Code   int
	// Unstarted says that Function is known not to have begun: the process was
	// gone before it had read the whole call.
	Unstarted bool
}

func (e *ExitError) Error() string {
	what := "the worker"
	if e.Function != "" {
		what = fmt.Sprintf("function %q: its process", e.Function)
	}
	switch {
	case e.Signal == syscall.SIGKILL:
		return fmt.Sprintf("%s (pid %d) was killed (SIGKILL: by the out-of-memory killer, or by hand)", what, e.Pid)
	case e.Signal != 0:
		return fmt.Sprintf("%s (pid %d) was ended by signal %d (%s)", what, e.Pid, int(e.Signal), e.Signal)
	case e.Code < 0:
		return fmt.Sprintf("%s (pid %d) ended without a reply", what, e.Pid)
	default:
		return fmt.Sprintf("%s (pid %d) exited with code %d", what, e.Pid, e.Code)
	}
}

// SpawnError says that the zygote could not fork a worker.
type SpawnError struct {
	Errno syscall.Errno
	CPU   int
}

func (e *SpawnError) Error() string {
	if e.Errno == syscall.EINVAL && e.CPU >= 0 {
		return fmt.Sprintf("fork worker: CPU %d is not among those that this process may use", e.CPU)
	}
	return fmt.Sprintf("fork worker: %v", e.Errno)
}

func (e *SpawnError) Unwrap() error { return e.Errno }

// BodyError says that a call's body is over the limit; nothing was sent.
type BodyError struct {
	Size, Limit int
}

func (e *BodyError) Error() string {
	return fmt.Sprintf("body of %d bytes is over the limit of %d", e.Size, e.Limit)
}

// StartError says that the host did not come up for another reason than a
// function that does not import.
type StartError struct {
	Interpreter string
	Err         error
	// Output is the end of what the process wrote before it ended.
	Output string
}

func (e *StartError) Error() string {
	text := fmt.Sprintf("start host with %s: %v", e.Interpreter, e.Err)
	if e.Output != "" {
		text += ": " + e.Output
	}
	return text
}

func (e *StartError) Unwrap() error { return e.Err }

// waitStatus turns a status as waitpid gives it into an ExitError.
func waitStatus(pid int, status int32) *ExitError {
	ws := syscall.WaitStatus(status)
	switch {
	case ws.Signaled():
		return &ExitError{Pid: pid, Signal: ws.Signal()}
	case ws.Exited():
		return &ExitError{Pid: pid, Code: ws.ExitStatus()}
	default:
		return &ExitError{Pid: pid, Code: -1}
	}
}

// exitNotice bounds the wait for a dead worker's status: the zygote reaps it
// within a millisecond; a stopped zygote must not hold up the call.
const exitNotice = 300 * time.Millisecond
