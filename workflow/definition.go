package workflow

import (
	"encoding/json"
)

// StateType is the "Type" field of a state.
type StateType string

// The state types supported so far. Any other type is an error that names it.
const (
	Task     StateType = "Task"
	Parallel StateType = "Parallel"
	Pass     StateType = "Pass"
	Succeed  StateType = "Succeed"
	Fail     StateType = "Fail"
)

// Definition is one state machine: the whole workflow, or one branch of a
// Parallel state. State names are unique over the whole workflow, branches
// included, so a state's name identifies it everywhere: in plans, profiles,
// traces and messages.
type Definition struct {
	Comment string
	StartAt string
	States  map[string]*State
	// Order holds the names of States as the file lists them.
	Order []string
	Pos   Position

	context contextUse
}

// State is one state of a Definition.
type State struct {
	Name    string
	Type    StateType
	Comment string
	// Next names the following state of the same Definition; empty where End.
	Next string
	End  bool
	// NextPos and ResourcePos are the places of the fields' values.
	NextPos, ResourcePos Position

	// Resource is a Task's resource as written; Function is the project
	// function that it names (for an ARN, its last segment).
	Resource string
	Function string

	// Branches of a Parallel.
	Branches []*Definition

	// Result of a Pass; nil where it has none.
	Result json.RawMessage

	// Error and Cause of a Fail.
	Error string
	Cause string

	// Data flow, as in the specification's "Input and Output Processing".
	InputPath  Path
	Parameters *Template // nil: none
	ResultPath Path
	OutputPath Path

	Pos Position
}

// Position is a place in a user's file. Line and Column count from 1; 0 means
// unknown.
type Position struct {
	File   string
	Line   int
	Column int
}
