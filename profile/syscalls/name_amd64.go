package syscalls

import "golang.org/x/sys/unix"

// name of the system calls that exist on amd64 but not on newer architectures.
func archName(nr State) string {
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
	case unix.SYS_CREAT:
		return "creat"
	case unix.SYS_GETDENTS:
		return "getdents"
	case unix.SYS_MKDIR:
		return "mkdir"
	case unix.SYS_RMDIR:
		return "rmdir"
	case unix.SYS_LINK:
		return "link"
	case unix.SYS_SYMLINK:
		return "symlink"
	case unix.SYS_STAT:
		return "stat"
	case unix.SYS_LSTAT:
		return "lstat"
	case unix.SYS_ACCESS:
		return "access"
	case unix.SYS_READLINK:
		return "readlink"
	case unix.SYS_NEWFSTATAT:
		return "newfstatat"
	case unix.SYS_FORK:
		return "fork"
	case unix.SYS_VFORK:
		return "vfork"
	}
	return ""
}
