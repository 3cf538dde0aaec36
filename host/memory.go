package host

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/chiron-faas/chiron/internal/memfile"
)

// DefaultShareOver is the size, in bytes, from which on a body goes through
// shared memory: where that takes as long as the socket does, if the memory is
// kept. A reply in a file of its own takes less time than the socket from six
// times that size on, and comes there from then on (docs/transfer.md).
const DefaultShareOver = 32 << 10

// memory is the shared memory of one lane: the input of the call under way, the
// files that its replies came in, and the way of their descriptors. It belongs
// to who has the lane.
type memory struct {
	file *os.File
	raw  syscall.RawConn
	// input of the call under way, held until its reply; given: its descriptor
	// has gone.
	input *memfile.File
	given bool
	// slots are the files that the worker keeps for replies; offered is the
	// reserved one of the call under way, slot its number from 1.
	slots   [maxSlots]*memfile.File
	slot    int
	offered *memfile.File
	// reply is the file of the last reply, held for the caller.
	reply    *memfile.File
	receiver memfile.Receiver
}

func (m *memory) attach(f *os.File) {
	m.file = f
	// Both fail only for a closed file, whose reads then say so.
	m.raw, _ = f.SyscallConn()
	_ = m.receiver.Attach(f)
}

// close lets go of everything; what is held elsewhere lives on.
func (m *memory) close() {
	for _, f := range append(m.slots[:], m.input, m.offered, m.reply) {
		if f != nil {
			f.Release()
		}
	}
	m.slots = [maxSlots]*memfile.File{}
	m.input, m.offered, m.reply = nil, nil, nil
	m.receiver.Close()
}

// offer says where the next call's reply goes, if it is large: to the largest
// file of an earlier one that nobody looks at any more, else to a new one.
// Without reuse (a process that is called once) it is one that is sealed.
func (m *memory) offer(reuse bool) (slot int, again bool) {
	m.slot = 0
	if !reuse {
		return 0, false
	}
	empty := 0
	for i, f := range m.slots {
		switch {
		case f == nil:
			if empty == 0 {
				empty = i + 1
			}
		case (m.offered == nil || f.Capacity() > m.offered.Capacity()) && f.Reuse():
			if m.offered != nil {
				m.offered.Release()
			}
			m.offered, m.slot = f, i+1
		}
	}
	switch {
	case m.offered != nil:
	case empty > 0:
		m.slot = empty
	default:
		// All are looked at, or were given up: the first makes room.
		m.slot = 1
		for i, f := range m.slots {
			if f.Cold() {
				m.slot = i + 1
			}
		}
	}
	return m.slot, m.offered != nil
}

// give takes a call's body into shared memory; false: there is none to be had,
// and the body has to go through the socket.
func (m *memory) give(c Call, pool *memfile.Pool) bool {
	m.given = false
	if c.Memory != nil && c.Memory.Holds(c.Body) {
		c.Memory.Hold()
		m.input = c.Memory
		return true
	}
	f, err := pool.Copy(c.Body)
	if err != nil {
		return false
	}
	m.input = f
	return true
}

// write sends bytes of a frame; the descriptor of its input goes with the first
// that are taken.
func (m *memory) write(b []byte) (int, error) {
	sent := 0
	if m.input != nil && !m.given {
		var err error
		if sent, err = memfile.Send(m.raw, b, m.input); err != nil {
			return 0, err
		}
		m.given = true
	}
	if sent == len(b) {
		return sent, nil
	}
	n, err := m.file.Write(b[sent:])
	return sent + n, err
}

// read receives bytes, and the descriptor that may be beside them.
func (m *memory) read(b []byte) (int, error) {
	n, err := m.receiver.Read(b)
	if errors.Is(err, memfile.ErrDescriptors) {
		err = &frameError{err}
	}
	return n, err
}

// receive returns the body of a reply: inline, or in the shared memory whose
// size it is.
func (m *memory) receive(head replyHead, inline []byte, maxBody int) ([]byte, error) {
	if m.input != nil {
		m.input.Release()
		m.input = nil
	}
	offered := m.offered
	m.offered = nil
	unused := func() {
		if offered != nil {
			offered.Release()
		}
	}
	if head.flags&flagShared == 0 {
		unused()
		if fd := m.receiver.Take(); fd >= 0 {
			_ = unix.Close(fd)
			return nil, &frameError{errors.New("a descriptor came beside a reply that has none")}
		}
		return inline, nil
	}
	size := binary.LittleEndian.Uint64(inline)
	if size > uint64(maxBody) || size == 0 {
		unused()
		return nil, &frameError{fmt.Errorf("shared memory of %d bytes is over the limit of %d", size, maxBody)}
	}
	f := offered
	if head.flags&flagNew != 0 {
		unused()
		fd := m.receiver.Take()
		if fd < 0 {
			return nil, &frameError{errors.New("a reply says that shared memory is beside it, and there is none")}
		}
		var err error
		if f, err = memfile.Adopt(fd, int(size), maxBody); err != nil {
			return nil, &frameError{err}
		}
		if m.slot > 0 {
			if old := m.slots[m.slot-1]; old != nil {
				old.Release()
			}
			f.Keep(memfile.KeepFor)
			m.slots[m.slot-1] = f
		}
	}
	if f == nil {
		return nil, &frameError{errors.New("a reply is in shared memory that was not offered")}
	}
	if int(size) > f.Capacity() {
		f.Release()
		return nil, &frameError{fmt.Errorf("a reply of %d bytes is in shared memory of %d", size, f.Capacity())}
	}
	body, err := f.Bytes(int(size))
	if err == nil {
		m.reply = f
		return body, nil
	}
	// No room to map it: it is as good on the heap, but slower.
	defer f.Release()
	if body, err = f.Copy(int(size)); err != nil {
		return nil, &frameError{err}
	}
	return body, nil
}

// takeReply returns the file of the reply that has been received, which is the
// caller's then; nil: it came through the socket.
func (m *memory) takeReply() *memfile.File {
	f := m.reply
	m.reply = nil
	return f
}
