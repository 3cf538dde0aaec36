package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// The exit codes.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2
)

// usageError is wrong use that only the verb itself can see.
type usageError struct{ err error }

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

func usagef(format string, args ...any) error {
	return &usageError{fmt.Errorf(format, args...)}
}

// errSaid is returned by a verb whose report has said what failed.
var errSaid = errors.New("the report says what failed")

// tell prints what went wrong and returns the exit code. A failure of the work
// is never followed by how to use the program.
func (a *app) tell(cmd *cobra.Command, err error) int {
	if err == nil {
		return exitDone
	}
	s := a.style(a.err)
	var usage *usageError
	if !a.running || errors.As(err, &usage) {
		path := "chiron"
		if cmd != nil {
			path = cmd.CommandPath()
		}
		printf(a.err, "%s %s; see: %s --help\n", s.bad("chiron:"), strings.TrimRight(firstParagraph(err.Error()), "."), path)
		return exitUsage
	}
	if errors.Is(err, errSaid) {
		return exitFailed
	}
	if errors.Is(err, context.Canceled) {
		printf(a.err, "%s interrupted\n", s.bad("chiron:"))
		return exitFailed
	}
	for line := range strings.Lines(err.Error()) {
		printf(a.err, "%s %s\n", s.bad("chiron:"), strings.TrimRight(line, "\n"))
	}
	return exitFailed
}

// firstParagraph drops the suggestions that cobra adds over several lines, but
// keeps the suggested verb.
func firstParagraph(text string) string {
	first, rest, more := strings.Cut(text, "\n")
	if !more {
		return first
	}
	if _, suggestion, ok := strings.Cut(rest, "Did you mean this?"); ok {
		if words := strings.Fields(suggestion); len(words) > 0 {
			return first + "; did you mean " + strings.Join(words, " or ") + "?"
		}
	}
	return first
}
