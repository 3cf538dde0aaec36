package wrap

import (
	"context"
	"time"
)

const (
	// steady is how long a process has to live for its death to count as a
	// first one.
	steady = time.Second
	// The pauses before the second, third, … replacement in a row. The longest
	// stays under the second within which a request after a kill must succeed.
	firstPause   = 50 * time.Millisecond
	longestPause = 500 * time.Millisecond
)

// backoff spaces the replacements of a process that dies again and again.
type backoff struct{ quick int }

// died counts a death and returns the pause before the replacement: none after
// a first death, then growing while the process lives less than steady.
func (b *backoff) died(lived time.Duration) time.Duration {
	if lived >= steady {
		b.quick = 0
	}
	b.quick++
	if b.quick == 1 {
		return 0
	}
	return min(firstPause<<min(b.quick-2, 10), longestPause)
}

// pause waits for d and reports whether ctx still lives.
func pause(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
