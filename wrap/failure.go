package wrap

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/chiron-faas/chiron/host"
	"github.com/chiron-faas/chiron/workflow"
)

// taskFailure turns what a call of a function came to into the workflow's
// failure. A handler's traceback stays behind: its last line is the cause.
func (a *Agent) taskFailure(f *function, timeout time.Duration, err error) *workflow.Failure {
	err = a.limits.explain(err)
	var limit *limitError
	var handler *host.HandlerError
	var exit *host.ExitError
	var failure *workflow.Failure
	switch {
	case errors.As(err, &failure):
		return failure
	case errors.As(err, &limit):
		return &workflow.Failure{Name: workflow.ErrTaskFailed, Cause: workflow.ClipCause(limit.Error())}
	case errors.As(err, &handler): // its traceback is for the log
		return &workflow.Failure{Name: workflow.ErrTaskFailed, Cause: workflow.ClipCause(handler.Error())}
	case errors.As(err, &exit) && exit.Function != "":
		return &workflow.Failure{Name: workflow.ErrTaskFailed, Cause: exit.Error()}
	case isTimeout(err):
		return &workflow.Failure{Name: workflow.ErrTimeout, Cause: fmt.Sprintf("function %q gave no answer within %s", f.name, timeout.Round(time.Millisecond))}
	default:
		return &workflow.Failure{Name: workflow.ErrTaskFailed, Cause: workflow.ClipCause(fmt.Sprintf("function %q: %v", f.name, err))}
	}
}

func writeFailure(w http.ResponseWriter, status int, f *workflow.Failure) {
	// Strings always marshal.
	body, _ := json.Marshal(f)
	h := w.Header()
	h["Content-Type"] = jsonType
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body) // the caller may have left: nothing is left to tell
}
