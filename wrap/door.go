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
	if d.shut && d.inside == 0 {
		close(d.empty)
	}
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
