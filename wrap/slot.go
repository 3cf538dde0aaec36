package wrap

import (
	"context"
	"sync"
)

// slot holds a value that is absent for a while: the live zygote, the live
// worker of a process. Whoever needs it waits for it.
type slot[T comparable] struct {
	mu    sync.Mutex
	value T
	full  bool
	// why the value is absent, for those whose patience ends; nil: unknown.
	why error
	// filled is closed when the slot is filled; made by the first who waits.
	filled chan struct{}
}

func (s *slot[T]) put(v T) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.value, s.full, s.why = v, true, nil
	if s.filled != nil {
		close(s.filled)
		s.filled = nil
	}
}

// remove empties the slot where it still holds v, and keeps the reason.
func (s *slot[T]) remove(v T, why error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.full && s.value == v {
		var none T
		s.value, s.full, s.why = none, false, why
	}
}

// explain says why the slot is empty, where it is.
func (s *slot[T]) explain(why error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.full {
		s.why = why
	}
}

// peek returns the value if it is there.
func (s *slot[T]) peek() (T, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.value, s.full
}

// get waits for the value until ctx ends; the error is then the reason of the
// absence where it is known, else ctx's.
func (s *slot[T]) get(ctx context.Context) (T, error) {
	for {
		s.mu.Lock()
		if s.full {
			v := s.value
			s.mu.Unlock()
			return v, nil
		}
		if s.filled == nil {
			s.filled = make(chan struct{})
		}
		filled := s.filled
		s.mu.Unlock()
		select {
		case <-filled:
		case <-ctx.Done():
			s.mu.Lock()
			why := s.why
			s.mu.Unlock()
			var none T
			if why == nil {
				why = context.Cause(ctx)
			}
			return none, why
		}
	}
}
