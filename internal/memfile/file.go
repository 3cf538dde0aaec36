package memfile

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// File is a stretch of shared memory. Its methods may be called from any
// goroutine.
type File struct {
	fd       int
	capacity int
	own      bool // created here: mapped for writing
	sealed   bool // nobody can change it any more

	mu   sync.Mutex
	refs int    // holders; 0: closed
	data []byte // the mapping of the whole capacity; nil until asked for
	// populated bytes of an own file have pages: writing them cannot fail.
	populated int
	// keeper holds it for its next use: it is idle when no other does. After
	// keepFor of that its pages are given back, and it is cold.
	keepFor time.Duration
	cold    bool
	// given: another process has it that does not say when it is done.
	given bool
	since time.Time // when it became idle
	timer *time.Timer
}

// ErrShort says that there is no memory for what was to be written.
var ErrShort = errors.New("shared memory is short")

// Create makes a file for n bytes, mapped for writing here and for reading
// only elsewhere, held once. Its pages come with what Fill and Write put there.
func Create(n int) (*File, error) {
	fd, err := newMemfd()
	if err != nil {
		return nil, fmt.Errorf("make %d bytes of shared memory: %w", n, err)
	}
	f := &File{fd: fd, capacity: roomy(n), own: true, refs: 1}
	if err = unix.Ftruncate(fd, int64(f.capacity)); err == nil {
		f.data, err = unix.Mmap(fd, 0, f.capacity, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	}
	if err == nil {
		_, err = unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, unix.F_SEAL_SHRINK|unix.F_SEAL_GROW)
	}
	if err != nil {
		f.Release()
		return nil, fmt.Errorf("make %d bytes of shared memory: %w", n, err)
	}
	// Since Linux 5.1; without it receivers could write, and are trusted not to.
	_, _ = unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, unix.F_SEAL_FUTURE_WRITE)
	return f, nil
}

func newMemfd() (int, error) {
	const flags = unix.MFD_CLOEXEC | unix.MFD_ALLOW_SEALING
	fd, err := unix.MemfdCreate("chiron", flags|unix.MFD_NOEXEC_SEAL)
	if errors.Is(err, unix.EINVAL) { // a kernel before 6.3
		fd, err = unix.MemfdCreate("chiron", flags)
	}
	return fd, err
}

// roomy is the capacity of a file made for n bytes: up to an eighth more, so
// that it fits the next body, too. Pages that are not written take no memory.
func roomy(n int) int {
	step := os.Getpagesize()
	for step < n/16 {
		step *= 2
	}
	return (max(n, 1) + step - 1) / step * step
}

// stretch is how much of a file gets its pages at once, bytes: what is announced
// and never comes takes no memory, and what was cleared is still in the cache
// when it is written.
const stretch = 1 << 20

// populate gives the first n bytes of an own file pages. Without that, memory
// that is short would show as a signal, in the middle of a copy.
func (f *File) populate(n int) error {
	if n <= f.populated {
		return nil
	}
	page := os.Getpagesize()
	from, to := f.populated/page*page, (n+page-1)/page*page
	err := unix.Madvise(f.data[from:to], unix.MADV_POPULATE_WRITE)
	if errors.Is(err, unix.EINVAL) { // a kernel before 5.14
		err = unix.Fallocate(f.fd, 0, int64(from), int64(to-from))
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrShort, err)
	}
	f.populated = n
	return nil
}

// Fill reads n bytes into an own file, from at on; it returns how many came
// before an error, which is ErrShort where there is no memory.
func (f *File) Fill(r io.Reader, at, n int) (int, error) {
	for done := 0; done < n; {
		part := min(n-done, stretch)
		if err := f.populate(at + done + part); err != nil {
			return done, err
		}
		m, err := io.ReadFull(r, f.data[at+done:at+done+part])
		done += m
		if err != nil {
			return done, err
		}
	}
	return n, nil
}

// Write puts b into an own file, from at on.
func (f *File) Write(b []byte, at int) error {
	for len(b) > 0 {
		part := b[:min(len(b), stretch)]
		if err := f.populate(at + len(part)); err != nil {
			return err
		}
		copy(f.data[at:], part)
		at += len(part)
		b = b[len(part):]
	}
	return nil
}

// Adopt takes a file that another process sent, to hold size bytes and at most
// limit; it is held once. fd is File's, or closed.
func Adopt(fd, size, limit int) (*File, error) {
	f, err := adopt(fd, size, limit)
	if err != nil {
		_ = unix.Close(fd)
		return nil, err
	}
	return f, nil
}

func adopt(fd, size, limit int) (*File, error) {
	// Only shared memory has seals: any other kind of file is EINVAL.
	seals, err := unix.FcntlInt(uintptr(fd), unix.F_GET_SEALS, 0)
	if err != nil {
		return nil, fmt.Errorf("the file that came is no shared memory: %w", err)
	}
	if seals&unix.F_SEAL_SHRINK == 0 {
		return nil, errors.New("the shared memory that came is not sealed against shrinking")
	}
	var stat unix.Stat_t
	if err := unix.Fstat(fd, &stat); err != nil {
		return nil, fmt.Errorf("the shared memory that came: %w", err)
	}
	switch {
	case size < 1 || size > limit:
		return nil, fmt.Errorf("shared memory of %d bytes is over the limit of %d", size, limit)
	case stat.Size < int64(size):
		return nil, fmt.Errorf("the shared memory that came has %d bytes and shall have %d", stat.Size, size)
	}
	// What is mapped is bounded by the limit, with a keeper's slack.
	capacity := int(min(stat.Size, int64(roomy(limit))))
	return &File{fd: fd, capacity: capacity, sealed: seals&unix.F_SEAL_WRITE != 0, refs: 1}, nil
}

// FD is the descriptor, the File's own: valid while it is held.
func (f *File) FD() int { return f.fd }

// Capacity is the most bytes that the file holds.
func (f *File) Capacity() int { return f.capacity }

// Bytes are the first n bytes, to be read. They are valid while the file is held.
// Asking for them costs a mapping the first time; pages that are not touched
// cost nothing.
func (f *File) Bytes(n int) ([]byte, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if n > f.capacity {
		return nil, fmt.Errorf("%d bytes of shared memory that holds %d", n, f.capacity)
	}
	if f.data == nil {
		flags := unix.MAP_SHARED
		if f.sealed { // until Linux 6.7 it could not be mapped shared
			flags = unix.MAP_PRIVATE
		}
		var err error
		if f.data, err = unix.Mmap(f.fd, 0, f.capacity, unix.PROT_READ, flags); err != nil {
			return nil, fmt.Errorf("map %d bytes of shared memory: %w", f.capacity, err)
		}
	}
	return f.data[:n:n], nil
}

// Copy reads the first n bytes, for where they cannot be mapped.
func (f *File) Copy(n int) ([]byte, error) {
	b := make([]byte, n)
	for at := 0; at < n; {
		m, err := unix.Pread(f.fd, b[at:], int64(at))
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return nil, fmt.Errorf("read shared memory: %w", err)
		case m == 0:
			return nil, fmt.Errorf("shared memory ends after %d of %d bytes", at, n)
		default:
			at += m
		}
	}
	return b, nil
}

// Holds says whether b begins where the file's bytes do.
func (f *File) Holds(b []byte) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(b) > 0 && len(f.data) > 0 && &b[0] == &f.data[0]
}

// Hold keeps the file's bytes for one holder more.
func (f *File) Hold() {
	f.mu.Lock()
	f.refs++
	f.mu.Unlock()
}

// Keep adds a holder that keeps the file for its next use: without other
// holders it is idle, and after a while of that gives its pages back.
func (f *File) Keep(idle time.Duration) {
	f.mu.Lock()
	f.refs++
	f.keepFor = idle
	f.mu.Unlock()
}

// Reuse holds a kept file if it is idle and has its pages: nobody looks at what
// is in it any more.
func (f *File) Reuse() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.refs != 1 || f.keepFor == 0 || f.cold || f.given {
		return false
	}
	f.refs++
	return true
}

// Release ends a hold. After the last one the memory is gone.
func (f *File) Release() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.refs--
	switch {
	case f.refs == 0:
		if f.timer != nil {
			f.timer.Stop()
		}
		if f.data != nil {
			_ = unix.Munmap(f.data)
			f.data = nil
		}
		_ = unix.Close(f.fd)
		f.fd = -1
	case f.refs == 1 && f.keepFor > 0:
		f.since = time.Now()
		if f.timer == nil {
			f.timer = time.AfterFunc(f.keepFor, f.cool)
		}
	case f.refs < 0:
		panic("memfile: released more often than held")
	}
}

// cool gives back the pages of a file that has been idle for long enough. Its
// other end keeps its mapping of what is now empty, and is told not to write
// there.
func (f *File) cool() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.timer = nil
	if f.refs != 1 || f.cold {
		return // in use: Release starts it again
	}
	if left := f.keepFor - time.Since(f.since); left > 0 {
		f.timer = time.AfterFunc(left, f.cool)
		return
	}
	f.cold = true
	if f.given {
		return // somebody may be reading it
	}
	if f.own { // sealed against this; its pool lets it go
		return
	}
	_ = unix.Fallocate(f.fd, unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, 0, int64(f.capacity))
}

// Cold says whether a kept file is of no use any more: it has been idle for too
// long, or was given away.
func (f *File) Cold() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.cold || f.given && f.refs == 1
}

// GiveAway says that a process gets the file that will not tell when it has
// read it: its bytes stay as they are for as long as anybody has it.
func (f *File) GiveAway() {
	f.mu.Lock()
	f.given = true
	f.mu.Unlock()
}
