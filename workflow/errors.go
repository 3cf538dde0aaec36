package workflow

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Error is one fault in what the user wrote. Load and ParseDefinition return
// every fault that they find, joined with errors.Join and sorted by position.
type Error struct {
	Pos Position
	// State that the fault is in; empty where it is in none.
	State string
	// Problem says what is wrong.
	Problem string
	// Hint says what to do; may be empty.
	Hint string
}

// Error has the form: file:line:col: state "X": problem; hint.
func (e *Error) Error() string {
	var b strings.Builder
	if pos := e.Pos.String(); pos != "" {
		b.WriteString(pos)
		b.WriteString(": ")
	}
	if e.State != "" {
		fmt.Fprintf(&b, "state %q: ", e.State)
	}
	b.WriteString(e.Problem)
	if e.Hint != "" {
		b.WriteString("; ")
		b.WriteString(e.Hint)
	}
	return b.String()
}

// String has the form file:line:col, without the parts that are unknown.
func (p Position) String() string {
	parts := make([]string, 0, 3)
	if p.File != "" {
		parts = append(parts, p.File)
	}
	if p.Line > 0 {
		parts = append(parts, strconv.Itoa(p.Line))
		if p.Column > 0 {
			parts = append(parts, strconv.Itoa(p.Column))
		}
	}
	return strings.Join(parts, ":")
}

// maxFaults bounds what one report holds: a broken file of a megabyte would
// otherwise be answered with many megabytes.
const maxFaults = 100

// faults collects what is wrong with a file.
type faults struct {
	list []*Error
}

func (f *faults) add(pos Position, state, problem, hint string) {
	f.list = append(f.list, &Error{Pos: pos, State: state, Problem: problem, Hint: hint})
}

// err is nil where nothing was added. It keeps the order of files as they were
// first named, and sorts by line and column within each.
func (f *faults) err() error {
	if len(f.list) == 0 {
		return nil
	}
	files := make(map[string]int)
	for _, e := range f.list {
		if _, ok := files[e.Pos.File]; !ok {
			files[e.Pos.File] = len(files)
		}
	}
	slices.SortStableFunc(f.list, func(a, b *Error) int {
		return cmp.Or(
			cmp.Compare(files[a.Pos.File], files[b.Pos.File]),
			cmp.Compare(a.Pos.Line, b.Pos.Line),
			cmp.Compare(a.Pos.Column, b.Pos.Column),
		)
	})
	errs := make([]error, 0, min(len(f.list), maxFaults+1))
	for i, e := range f.list {
		if i == maxFaults {
			errs = append(errs, &Error{
				Pos:     Position{File: e.Pos.File},
				Problem: fmt.Sprintf("%d more faults", len(f.list)-maxFaults),
			})
			break
		}
		errs = append(errs, e)
	}
	return errors.Join(errs...)
}
