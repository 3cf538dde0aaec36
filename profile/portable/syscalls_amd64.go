package portable

import "golang.org/x/sys/unix"

// name of the system calls that exist on amd64 but not on newer architectures.
func archName(nr state) string {
	switch nr {
	case unix.SYS_POLL:
		return "poll"
	case unix.SYS_SELECT:
		return "select"
	case unix.SYS_EPOLL_WAIT:
		return "epoll_wait"
	case unix.SYS_OPEN:
		return "open"
	case unix.SYS_RENAME:
		return "rename"
	case unix.SYS_UNLINK:
		return "unlink"
	case unix.SYS_PAUSE:
		return "pause"
	}
	return ""
}
