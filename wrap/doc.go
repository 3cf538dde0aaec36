// Package wrap is the agent inside a sandbox: it takes HTTP, walks the workflow
// with the plan in hand, calls functions through the language host, and calls
// the other wraps for their part of a stage. (The description of a sandbox is
// plan.Wrap; this is the thing that runs.)
//
// # One request
//
// The agent reads a bundle folder (plan.Manifest), and another plan's where it runs
// a wrap of that (assign.go), and keeps three kinds of things alive: the zygote,
// which imports the handlers once and never runs one; a worker for every pool
// process of the plan; and, while a request is in a stage with fork processes, that
// request's own children. Every Task state has one place in the plan, so a request
// is: read the body, walk the definition, send each task's input to its process (a
// frame on a Unix socket) or to its wrap (an HTTP request: on a kept Unix socket, or
// a stream of HTTP/2), write the answer. A workflow without Parallel states runs on
// the goroutine that net/http gave the request. Tasks of one process that hand whole
// results on to each other
// are one call of it (row.go).
//
// # Order inside a stage
//
// The paper's model (its equations 2 to 4) is kept in this order: first the
// peers that have whole branches are invoked, one after the other in wrap order
// (each costs one write, T_INV); then the fork children are forked, one after
// the other in plan order (T_Block each), and a child's threads start as soon
// as it is there, while the next is being forked; the tasks of one process
// start in the order in which the plan lists them. Branches whose tasks are
// spread over several wraps are walked by wrap 1, one call a task.
//
// # When something dies
//
// A worker that dies, or whose call ran past its timeout, is replaced at once
// by a fork of the zygote; a dead zygote is started anew with all its workers.
// A call waits for a replacement that is on its way. A call is repeated only
// where it is known that the handler has not seen it. Only a worker that dies
// again and again within a second of its start is replaced with growing pauses.
//
// Where it stands: right of host (which owns processes and frames), workflow
// (which owns the walk and the data flow) and plan. It must reach neither
// gateway nor deploy: it starts fast and stays small.
package wrap
