package wrap

import (
	"errors"
	"sync"
)

var errDraining = errors.New("this wrap is shutting down")

// door counts the requests inside and can be shut: then nobody enters and
// whoever shut it can wait until the last has left.
type door struct {
	mu     sync.Mutex
	inside int           // guarded by mu
	shut   bool          // guarded by mu
	empty  chan struct{} // closed when shut and empty
	// nobody is closed when nobody is inside; made by the first who waits for
	// that. guarded by mu
	nobody chan struct{}
}

func newDoor() *door { return &door{empty: make(chan struct{})} }

func (d *door) enter() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.shut {
		return false
	}
	d.inside++
	return true
}

func (d *door) leave() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.inside--
	if d.inside == 0 && d.nobody != nil {
		close(d.nobody)
		d.nobody = nil
	}
	if d.shut && d.inside == 0 {
		close(d.empty)
	}
}

// lull returns a channel that is closed when nobody is inside.
func (d *door) lull() <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.inside == 0 {
		now := make(chan struct{})
		close(now)
		return now
	}
	if d.nobody == nil {
		d.nobody = make(chan struct{})
	}
	return d.nobody
}

// close shuts the door; isShut says whether it is.
func (d *door) close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.shut {
		return
	}
	d.shut = true
	if d.inside == 0 {
		close(d.empty)
	}
}

func (d *door) isShut() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.shut
}
