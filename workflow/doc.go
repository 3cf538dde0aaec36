// Package workflow reads what the user wrote: a project file (chiron.yaml) and
// an Amazon States Language definition, JSON or YAML. It checks both, and
// answers either with states, stages and functions or with every fault that it
// finds, each with the file, the line and the state (Error). It also holds the
// walk of a definition from state to state and the data flow between them
// (Run), which the caller's Executor fills with real functions.
//
// It stands leftmost in the house: every other package may import it and it
// imports none of them. It knows nothing of processes, plans or HTTP.
//
// # Two ways through the files
//
// What is written: source.go, source_json.go and source_yaml.go make one tree
// of either notation, with positions; parse.go and one state_*.go per state
// type make a Definition of it; graph.go checks where the states lead; load*.go
// read the project around it.
//
// What runs: run.go walks, row.go says which tasks may be one to an executor;
// dataflow.go applies paths and templates (path*.go,
// template.go) to raw JSON bytes, scanned in place (valid.go, scan.go) and never
// decoded. A state with default paths passes the very bytes on, without an
// allocation, and so may pass text that is no JSON.
//
// # How much of the language
//
// Task, Parallel, Pass, Succeed and Fail; InputPath, Parameters, ResultPath,
// OutputPath; reference paths, wildcards, slices and the context object. Any
// other state type or field of the language is a fault that names it.
//
// Where AWS differs from the specification, AWS is followed: a path that
// selects nothing is States.Runtime, whichever field holds it.
//
// Source: the Amazon States Language specification,
// https://states-language.net/spec.html. The test vectors in testdata/asl were
// recorded from AWS by others; see the README there.
package workflow
