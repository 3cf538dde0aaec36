package portable

import "golang.org/x/sys/unix"

// name of a system call that blocks; "" for one that does not, or is not known
// to. The numbers differ by architecture.
func name(nr state) string {
	switch nr {
	case unix.SYS_NANOSLEEP:
		return "nanosleep"
	case unix.SYS_CLOCK_NANOSLEEP:
		return "clock_nanosleep"
	case unix.SYS_PPOLL:
		return "ppoll"
	case unix.SYS_PSELECT6:
		return "pselect6"
	case unix.SYS_EPOLL_PWAIT:
		return "epoll_pwait"
	case unix.SYS_FUTEX:
		return "futex"
	case unix.SYS_FLOCK:
		return "flock"
	case unix.SYS_FCNTL:
		return "fcntl"
	case unix.SYS_WAIT4:
		return "wait4"
	case unix.SYS_WAITID:
		return "waitid"
	case unix.SYS_ACCEPT:
		return "accept"
	case unix.SYS_ACCEPT4:
		return "accept4"
	case unix.SYS_CONNECT:
		return "connect"
	case unix.SYS_RECVFROM:
		return "recvfrom"
	case unix.SYS_RECVMSG:
		return "recvmsg"
	case unix.SYS_SENDTO:
		return "sendto"
	case unix.SYS_SENDMSG:
		return "sendmsg"
	case unix.SYS_SENDFILE:
		return "sendfile"
	case unix.SYS_READ:
		return "read"
	case unix.SYS_PREAD64:
		return "pread64"
	case unix.SYS_READV:
		return "readv"
	case unix.SYS_WRITE:
		return "write"
	case unix.SYS_PWRITE64:
		return "pwrite64"
	case unix.SYS_WRITEV:
		return "writev"
	case unix.SYS_FSYNC:
		return "fsync"
	case unix.SYS_FDATASYNC:
		return "fdatasync"
	case unix.SYS_SYNC:
		return "sync"
	case unix.SYS_OPENAT:
		return "openat"
	case unix.SYS_CLOSE:
		return "close"
	case unix.SYS_RENAMEAT:
		return "renameat"
	case unix.SYS_UNLINKAT:
		return "unlinkat"
	case unix.SYS_GETDENTS64:
		return "getdents64"
	}
	return archName(nr)
}
