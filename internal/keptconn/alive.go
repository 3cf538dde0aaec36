package keptconn

import (
	"errors"
	"syscall"
)

// Alive says, without waiting and without reading, whether nothing has come on a
// connection: no end of file, no error, no bytes that nobody asked for.
func Alive(c syscall.Conn) bool {
	raw, err := c.SyscallConn()
	if err != nil {
		return false
	}
	alive := false
	err = raw.Read(func(fd uintptr) bool {
		var b [1]byte
		_, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		alive = errors.Is(err, syscall.EAGAIN)
		return true
	})
	return err == nil && alive
}
