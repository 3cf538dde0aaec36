package wrap

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/chiron-faas/chiron/host"
	"github.com/chiron-faas/chiron/workflow"
)

// maxCause bounds a failure's cause, bytes: it may quote a handler's message.
const maxCause = 4096

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
		return &workflow.Failure{Name: workflow.ErrTaskFailed, Cause: clip(limit.Error())}
	case errors.As(err, &handler): // its traceback is for the log
		return &workflow.Failure{Name: workflow.ErrTaskFailed, Cause: clip(handler.Error())}
	case errors.As(err, &exit) && exit.Function != "":
		return &workflow.Failure{Name: workflow.ErrTaskFailed, Cause: exit.Error()}
	case isTimeout(err):
		return &workflow.Failure{Name: workflow.ErrTimeout, Cause: fmt.Sprintf("function %q gave no answer within %s", f.name, timeout.Round(time.Millisecond))}
	default:
		return &workflow.Failure{Name: workflow.ErrTaskFailed, Cause: clip(fmt.Sprintf("function %q: %v", f.name, err))}
	}
}

// requestFailure turns an error of the walk into the failure that the caller is
// told, and its HTTP status.
func requestFailure(err error) (*workflow.Failure, int) {
	var failure *workflow.Failure
	switch {
	case errors.As(err, &failure):
		if failure.Name == workflow.ErrTimeout {
			return failure, http.StatusGatewayTimeout
		}
		return failure, http.StatusInternalServerError
	case errors.Is(err, context.DeadlineExceeded):
		return &workflow.Failure{Name: workflow.ErrTimeout, Cause: "the request ran past its deadline"}, http.StatusGatewayTimeout
	case errors.Is(err, context.Canceled):
		return &workflow.Failure{Name: workflow.ErrTaskFailed, Cause: "the caller left before the answer"}, http.StatusInternalServerError
	default:
		return &workflow.Failure{Name: workflow.ErrRuntime, Cause: clip(err.Error())}, http.StatusInternalServerError
	}
}

func clip(s string) string {
	if len(s) <= maxCause {
		return s
	}
	return s[:maxCause] + "…"
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
