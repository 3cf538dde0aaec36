package hop

import (
	"errors"
	"fmt"
)

// Errors that say how far a request got. Test with errors.Is.
var (
	// ErrNotSent: the backend saw no byte of the request; another attempt
	// cannot run anything twice.
	ErrNotSent = errors.New("the request was not sent")
	// ErrBroken: the connection failed after some of the request was sent; the
	// backend may or may not have worked on it.
	ErrBroken = errors.New("the backend closed the connection before its answer was complete")
	// ErrProtocol: the backend's answer is not HTTP/1.1 as this package takes it.
	ErrProtocol = errors.New("the backend's answer is not valid HTTP/1.1")
	// ErrClosed: the Client was closed.
	ErrClosed = errors.New("the client of the backend is closed")
)

func malformed(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrProtocol, fmt.Sprintf(format, args...))
}
