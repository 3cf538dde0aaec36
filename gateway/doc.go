// Package gateway is the front door: one HTTP server in front of the deployed
// wraps, with OpenFaaS' paths, so that its command line client and its callers
// work as they are.
//
//	/function/NAME[/PATH]    a workflow or a function, any method
//	/system/functions        what is served; /system/function/NAME: one of it
//	/system/info             what serves it
//	/healthz                 200 while it takes requests
//	/metrics                 Prometheus
//
// # One request
//
// A request is given an id (X-Call-Id, kept where the caller has one) and a
// place: as many as Limits.Concurrency are with the wrap, Limits.Queue wait,
// more are answered 429, so that a slow function cannot fill the memory. Its body
// is read whole, at most Limits.Body, before it takes the place: a slow sender
// holds nobody up. Then it goes over a kept connection to the wrap that answers,
// whose answer is passed on. A failure on the way has the body that failures of
// functions have: {"error": "States.Timeout", "cause": "…"}.
//
// It stands leftmost of a request's way. It knows where wraps are (Route), not
// what runs in them.
package gateway
