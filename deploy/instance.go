package deploy

import (
	"context"
	"net"
)

// Instance is one set of all the wraps of a plan: it can serve every request of
// the deployment by itself.
type Instance interface {
	// Number identifies the instance among the deployment's, from 1; that of one
	// that was stopped is used again.
	Number() int
	// Address is where a wrap of the instance takes requests, as net.Dial takes
	// it; false where the plan has no such wrap. It stays the same until Stop,
	// restarts included.
	Address(wrap string) (network, address string, ok bool)
	// Stop ends the instance: requests inside are finished within the target's
	// grace period. A second Stop waits for the first.
	Stop(ctx context.Context) error
}

// Dialer is an Instance that is not to be reached with net.Dial, such as one in a
// network of its own. Its Address is for messages.
type Dialer interface {
	Dial(ctx context.Context, wrap string) (net.Conn, error)
}

// Scalable is a Running whose instances can be started and stopped one by one.
type Scalable interface {
	Running
	// First is the instance that Up started.
	First() Instance
	// Start brings up one more and returns when all of its wraps are ready. What
	// fails leaves nothing behind; a wrap that does not come up is a
	// *StartError. Down ends a start, and every instance.
	Start(ctx context.Context) (Instance, error)
}
