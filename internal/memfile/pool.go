package memfile

import (
	"slices"
	"sync"
	"time"
)

const (
	// KeepFor is how long files without a holder are kept: requests that follow
	// each other find them, a pause gives the memory back.
	KeepFor = 2 * time.Second
	// maxKept bounds a pool's idle files.
	maxKept = 32
	// waste is how many times larger than asked for a kept file may be: its
	// pages are there anyway.
	waste = 8
)

// Pool makes files and keeps those that are let go for a moment. The zero value
// is ready.
type Pool struct {
	mu     sync.Mutex
	kept   []*File
	timer  *time.Timer
	closed bool
}

// Get returns a file for n bytes, held once. What was in it before may be in it
// still.
func (p *Pool) Get(n int) (*File, error) {
	if f := p.take(n); f != nil {
		return f, nil
	}
	f, err := Create(n)
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || len(p.kept) >= maxKept {
		return f, nil
	}
	f.Keep(KeepFor)
	p.kept = append(p.kept, f)
	if p.timer == nil {
		p.timer = time.AfterFunc(KeepFor, p.trim)
	}
	return f, nil
}

// take holds the smallest idle file that fits; nil: there is none.
func (p *Pool) take(n int) *File {
	p.mu.Lock()
	defer p.mu.Unlock()
	var best *File
	for _, f := range p.kept {
		if f.capacity < n || f.capacity/waste > n || best != nil && f.capacity >= best.capacity || !f.Reuse() {
			continue
		}
		if best != nil {
			best.Release()
		}
		best = f
	}
	return best
}

// Copy returns a file with b in it, held once.
func (p *Pool) Copy(b []byte) (*File, error) {
	f, err := p.Get(len(b))
	if err != nil {
		return nil, err
	}
	if err := f.Write(b, 0); err != nil {
		f.Release()
		return nil, err
	}
	return f, nil
}

// trim lets go of what nobody has used for a while.
func (p *Pool) trim() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.kept = slices.DeleteFunc(p.kept, func(f *File) bool {
		if !f.Cold() {
			return false
		}
		f.Release()
		return true
	})
	p.timer = nil
	if len(p.kept) > 0 && !p.closed {
		p.timer = time.AfterFunc(KeepFor, p.trim)
	}
}

// Close lets go of the kept files; those that are held live on until they are
// released.
func (p *Pool) Close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	if p.timer != nil {
		p.timer.Stop()
	}
	for _, f := range p.kept {
		f.Release()
	}
	p.kept = nil
}
