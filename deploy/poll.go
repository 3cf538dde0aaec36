package deploy

import (
	"context"
	"time"
)

// Poll asks whether something is so, with a pause between, until it is, asking
// fails, or ctx ends, whose cause is the error then.
func Poll(ctx context.Context, pause time.Duration, is func() (bool, error)) error {
	for {
		done, err := is()
		if done || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(pause):
		}
	}
}
