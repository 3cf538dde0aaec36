// Package queue keeps the asynchronous calls of /async-function/ until they have
// been made: OpenFaaS' queue worker, in the gateway.
//
// # One call
//
// A call is written to a stream of NATS JetStream and then answered 202; from then
// on it is made at least once, whatever ends the gateway. It is taken off the
// stream when its function has answered, whatever it answered, and the answer has
// been sent to the X-Callback-Url, where there is one. Who holds a call says so
// every few seconds; one whose gateway was killed is given out again after
// AckWait, and so is the call of a function that has answered while the callback
// has not: then it runs a second time, with the same X-Call-Id.
//
// What the function was not asked, because it had no place (429) or was not there
// (503), is asked again after a pause that grows, Tries times in all.
//
// # The server
//
// The NATS server is a library, in this process, with its files in the state
// folder; nobody can connect to it. With URL it is an outside one.
//
// Where it stands: beside the gateway, whose handler makes the calls. It knows
// nothing of routes.
package queue
