// Package stack reads OpenFaaS' stack file ("stack.yaml") and turns it into the files
// of a project. A stack names functions and no workflow: they become one that calls
// them in the file's order, for the user to change.
//
// Where it stands: left of everything; it knows both forms and runs nothing.
package stack
