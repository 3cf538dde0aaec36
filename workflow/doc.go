// Package workflow reads what the user wrote: a project file (chiron.yaml) and
// an Amazon States Language definition, JSON or YAML. It checks both, and
// answers either with states, stages and functions or with errors that name
// the file, the line and the state.
//
// It stands leftmost in the house: every other package may import it and it
// imports none of them. It knows nothing of processes, plans or time.
//
// Source: the Amazon States Language specification,
// https://states-language.net/spec.html.
package workflow
