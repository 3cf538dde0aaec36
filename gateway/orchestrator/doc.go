// Package orchestrator walks a workflow from outside its wraps, as platforms with
// a sandbox for each function do: every task is a request through the gateway to
// the wrap that the task is in, and every answer comes back that way. Nothing of
// a request is passed between wraps directly.
//
// It serves the workflow itself as a wrap's agent does: POST /, with X-Call-Id,
// X-Timeout and Chiron-Trace, answered with the same bodies for failures. So the
// gateway has a route to it as to a wrap.
//
// It stands beside the gateway, for plans whose Calls are plan.ThroughGateway.
package orchestrator
