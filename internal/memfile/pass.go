package memfile

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// ErrDescriptors is what breaks a connection over which more descriptors came
// than anybody asked for, or than this process may have open.
var ErrDescriptors = errors.New("descriptors that came over the socket were lost: more than one beside a message, or this process may open no more (ulimit -n)")

// Receiver reads from a Unix stream socket, and takes the descriptor that may
// be beside the bytes. It makes no garbage. One goroutine at a time may read; Take and Close are for any.
type Receiver struct {
	raw syscall.RawConn

	mu     sync.Mutex
	came   int  // not taken yet; -1: none. guarded by mu
	closed bool // guarded by mu

	// Of one system call.
	into  []byte
	n     int
	oobN  int
	flags int
	errno error
	oob   [64]byte
	call  func(fd uintptr) bool
}

// Attach has r read from a socket.
func (r *Receiver) Attach(c syscall.Conn) error {
	r.came = -1
	r.call = r.recvmsg
	var err error
	r.raw, err = c.SyscallConn()
	return err
}

// Read receives bytes.
func (r *Receiver) Read(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	r.into = b
	err := r.raw.Read(r.call)
	r.into = nil
	switch {
	case err != nil:
		return 0, err
	case r.errno != nil:
		return 0, os.NewSyscallError("recvmsg", r.errno)
	}
	lost := r.flags&unix.MSG_CTRUNC != 0
	if r.oobN > 0 {
		lost = r.takeRights(r.oob[:r.oobN]) || lost
	}
	switch {
	case lost:
		return r.n, ErrDescriptors
	case r.n == 0:
		return 0, io.EOF
	}
	return r.n, nil
}

func (r *Receiver) recvmsg(fd uintptr) bool {
	for {
		n, oobN, flags, _, err := unix.Recvmsg(int(fd), r.into, r.oob[:unix.CmsgSpace(4)], unix.MSG_CMSG_CLOEXEC)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case errors.Is(err, unix.EAGAIN):
			return false
		}
		r.n, r.oobN, r.flags, r.errno = n, oobN, flags, err
		return true
	}
}

// takeRights takes the descriptor out of a control message; lost: there was one
// that had not been taken.
func (r *Receiver) takeRights(oob []byte) (lost bool) {
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return true
	}
	for i := range messages {
		fds, err := unix.ParseUnixRights(&messages[i])
		if err != nil {
			continue // of another kind, which nobody asked for
		}
		for _, fd := range fds {
			lost = r.put(fd) || lost
		}
	}
	return lost
}

func (r *Receiver) put(fd int) (lost bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed || r.came >= 0 {
		_ = unix.Close(fd)
		return true
	}
	r.came = fd
	return false
}

// Take returns the descriptor that came and is the caller's then; -1: none.
func (r *Receiver) Take() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	fd := r.came
	r.came = -1
	return fd
}

// Close closes a descriptor that nobody has taken, and what may still come; not
// the socket.
func (r *Receiver) Close() {
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	if fd := r.Take(); fd >= 0 {
		_ = unix.Close(fd)
	}
}

// Send writes bytes to a Unix stream socket with f's descriptor beside the
// first; it returns how many were taken, which may be fewer. f has to be held.
func Send(c syscall.RawConn, b []byte, f *File) (int, error) {
	rights := unix.UnixRights(f.fd)
	var n int
	var errno error
	err := c.Write(func(fd uintptr) bool {
		for {
			n, errno = unix.SendmsgN(int(fd), b, rights, nil, unix.MSG_NOSIGNAL)
			if !errors.Is(errno, unix.EINTR) {
				return !errors.Is(errno, unix.EAGAIN)
			}
		}
	})
	switch {
	case err != nil:
		return 0, err
	case errno != nil:
		return 0, fmt.Errorf("send shared memory: %w", os.NewSyscallError("sendmsg", errno))
	}
	return n, nil
}
