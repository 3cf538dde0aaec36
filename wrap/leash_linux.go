package wrap

import (
	"context"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// holdLeash blocks until leash reaches its end (nil: it was cut) or ctx ends
// (ctx's error). What is written on it is read and ignored.
func holdLeash(ctx context.Context, leash *os.File) error {
	// A read of a pipe cannot be called off, a poll of two files can.
	wake, waker, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("hold the leash: %w", err)
	}
	defer func() { _ = wake.Close() }()
	stop := context.AfterFunc(ctx, func() { _ = waker.Close() })
	defer func() {
		if stop() {
			_ = waker.Close()
		}
	}()
	fds := []unix.PollFd{
		{Fd: int32(leash.Fd()), Events: unix.POLLIN},
		{Fd: int32(wake.Fd()), Events: unix.POLLIN},
	}
	var sink [512]byte
	for {
		if _, err := unix.Poll(fds, -1); err != nil {
			if errors.Is(err, unix.EINTR) {
				continue
			}
			return fmt.Errorf("hold the leash: %w", err)
		}
		if fds[1].Revents != 0 {
			return context.Cause(ctx)
		}
		if fds[0].Revents == 0 {
			continue
		}
		n, err := unix.Read(int(leash.Fd()), sink[:])
		switch {
		case errors.Is(err, unix.EINTR), errors.Is(err, unix.EAGAIN):
		case err != nil, n == 0:
			return nil // a leash that cannot be read holds nobody
		}
	}
}
