package host

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/chiron-faas/chiron/internal/memfile"
)

// DefaultShareOver is the size, in bytes, from which on a body goes through
// shared memory: where that takes as long as the socket does
// (BenchmarkTransfer, docs/transfer.md).
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
	reply *memfile.File
	// came is a descriptor that no reply has claimed yet; -1: none.
	came int

	// Of one system call, so that none makes garbage.
	oob      [64]byte
	into     []byte
	got      int
	gotOOB   int
	cut      bool
	errno    error
	receiver func(fd uintptr) bool
}

func (m *memory) attach(f *os.File) {
	m.file, m.came = f, -1
	// Fails only for a closed file, whose reads then say so.
	m.raw, _ = f.SyscallConn()
	m.receiver = m.recvmsg
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
	if m.came >= 0 {
		_ = unix.Close(m.came)
		m.came = -1
	}
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
		rights := unix.UnixRights(m.input.FD())
		werr := m.raw.Write(func(fd uintptr) bool {
			for {
				sent, err = unix.SendmsgN(int(fd), b, rights, nil, unix.MSG_NOSIGNAL)
				if err != unix.EINTR {
					return err != unix.EAGAIN
				}
			}
		})
		if werr != nil {
			return 0, werr
		}
		if err != nil {
			return 0, fmt.Errorf("send a call: %w", err)
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
	m.into, m.errno = b, nil
	err := m.raw.Read(m.receiver)
	m.into = nil
	switch {
	case err != nil:
		return 0, err
	case m.errno != nil:
		return 0, os.NewSyscallError("recvmsg", m.errno)
	}
	if m.gotOOB > 0 {
		if err := m.takeRights(m.oob[:m.gotOOB]); err != nil {
			return m.got, &frameError{err}
		}
	}
	if m.cut {
		return m.got, &frameError{errors.New("the descriptor beside it was lost: more than one came, or this process may open no more (ulimit -n)")}
	}
	if m.got == 0 {
		return 0, io.EOF
	}
	return m.got, nil
}

func (m *memory) recvmsg(fd uintptr) bool {
	for {
		n, oob, flags, _, err := unix.Recvmsg(int(fd), m.into, m.oob[:unix.CmsgSpace(4)], unix.MSG_CMSG_CLOEXEC)
		switch err {
		case unix.EINTR:
			continue
		case unix.EAGAIN:
			return false
		}
		m.got, m.gotOOB, m.cut, m.errno = n, oob, flags&unix.MSG_CTRUNC != 0, err
		return true
	}
}

// takeRights takes the descriptors of a message.
func (m *memory) takeRights(oob []byte) error {
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return err
	}
	for i := range messages {
		fds, err := unix.ParseUnixRights(&messages[i])
		if err != nil {
			continue // of another kind, which nobody asked for
		}
		for _, fd := range fds {
			if m.came >= 0 {
				_ = unix.Close(fd)
				err = errors.New("more descriptors than one came beside a reply")
				continue
			}
			m.came = fd
		}
		if err != nil {
			return err
		}
	}
	return nil
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
		if m.came >= 0 {
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
		fd := m.came
		m.came = -1
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
