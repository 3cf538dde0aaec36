package profiler

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/chiron-faas/chiron/host"
)

// Error says that a function could not be measured because it failed, for
// which task, and on which line.
type Error struct {
	Function string
	// State is the task whose input it failed on.
	State string
	// Err is the host's: *host.ImportError, *host.HandlerError,
	// *host.ExitError, context.DeadlineExceeded, …
	Err error
	// Timeout that it ran past; 0 where it did not.
	Timeout time.Duration
}

// Error is one line.
func (e *Error) Error() string {
	return fmt.Sprintf("profile function %q (state %q): %s", e.Function, e.State, e.why())
}

// Unwrap returns Err.
func (e *Error) Unwrap() error { return e.Err }

func (e *Error) why() string {
	var raised *host.HandlerError
	var imported *host.ImportError
	switch {
	case errors.As(e.Err, &imported):
		return "it does not import: " + imported.Message
	case errors.As(e.Err, &raised):
		text := raised.Type
		if raised.Message != "" {
			text += ": " + firstLine(raised.Message)
		}
		if place := raisedAt(raised.Traceback); place != "" {
			text += " (" + place + ")"
		}
		return text
	case e.Timeout > 0 && errors.Is(e.Err, context.DeadlineExceeded):
		return fmt.Sprintf("it ran past its timeout of %v", e.Timeout)
	}
	return e.Err.Error()
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(s), "\n")
	return line
}

// frame is a line of a Python traceback that names a place.
var frame = regexp.MustCompile(`(?m)^\s*File "([^"]+)", line (\d+)`)

// raisedAt is the file and line where a traceback ends: "handler.py:12".
func raisedAt(traceback string) string {
	all := frame.FindAllStringSubmatch(traceback, -1)
	if len(all) == 0 {
		return ""
	}
	last := all[len(all)-1]
	return filepath.Base(last[1]) + ":" + last[2]
}
