package pgp

import (
	"context"
	"runtime"
	"time"

	"golang.org/x/sync/errgroup"
)

// attempts tries counts of CPUs beside each other, in their order, until one is
// enough, and returns what came of all up to that one. What others have found by
// then is thrown away, so the result is that of trying one after the other.
func (s *search) attempts(ctx context.Context, counts []int, target time.Duration, enough func(*attempt) bool) ([]*attempt, error) {
	results := make([]chan *attempt, len(counts))
	for i := range results {
		results[i] = make(chan *attempt, 1)
	}
	within, cancel := context.WithCancel(ctx)
	var group errgroup.Group
	failures := make([]error, len(counts))
	// A count may begin when all but so many before it have been looked at, so that
	// on one CPU nothing is tried in vain.
	may := make(chan struct{}, runtime.GOMAXPROCS(0))
	group.Go(func() error {
		for i, cpus := range counts {
			select {
			case may <- struct{}{}:
			case <-within.Done():
				close(results[i])
				continue
			}
			group.Go(func() error {
				defer close(results[i])
				a, err := s.try(within, cpus, target)
				failures[i] = err
				if err == nil {
					results[i] <- a
				}
				return nil
			})
		}
		return nil
	})
	defer func() {
		cancel()
		_ = group.Wait() // failures are kept apart
	}()
	var out []*attempt
	for i := range counts {
		a, ok := <-results[i]
		if !ok {
			if failures[i] != nil {
				return nil, failures[i]
			}
			return nil, context.Cause(ctx)
		}
		out = append(out, a)
		if enough(a) {
			break
		}
		<-may
	}
	return out, nil
}
