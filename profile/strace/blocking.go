package strace

import "strings"

// kind says what a system call does to the thread that calls it.
type kind int

const (
	// works never leaves the CPU for long.
	works kind = iota
	// waits: the time it takes beyond a few microseconds is spent waiting.
	waits
	// mayWait: it works on the CPU, waits for a device, or both: the trace
	// cannot tell.
	mayWait
)

// kinds of the system calls that can block, by the manual's second section.
// Those not named work.
func kindOf(name string) kind {
	switch name {
	case "nanosleep", "clock_nanosleep", "pause", "rt_sigsuspend", "rt_sigtimedwait", "restart_syscall",
		"poll", "ppoll", "select", "pselect6", "epoll_wait", "epoll_pwait", "epoll_pwait2",
		"futex", "futex_waitv", "flock", "semop", "semtimedop",
		"wait4", "waitid", "accept", "accept4", "connect", "recvfrom", "recvmsg", "recvmmsg",
		"msgrcv", "mq_timedreceive", "io_getevents", "fsync", "fdatasync", "sync", "syncfs":
		return waits
	case "read", "pread64", "readv", "preadv", "preadv2", "readahead",
		"write", "pwrite64", "writev", "pwritev", "pwritev2",
		"sendto", "sendmsg", "sendmmsg", "sendfile", "copy_file_range", "splice", "tee", "vmsplice",
		"msgsnd", "mq_timedsend", "io_uring_enter", "msync", "sync_file_range", "fallocate", "fcntl",
		"open", "openat", "openat2", "creat", "close", "getdents", "getdents64",
		"rename", "renameat", "renameat2", "unlink", "unlinkat", "mkdir", "mkdirat", "rmdir",
		"link", "linkat", "symlink", "symlinkat", "truncate", "ftruncate":
		return mayWait
	}
	return works
}

// cause names what a call waited for: its own name, or that of the call that a
// signal had interrupted and that the kernel takes up again.
func (c *record) cause() string {
	if c.name == "restart_syscall" {
		if _, rest, ok := strings.Cut(c.args, "resuming interrupted "); ok {
			if name, _, _ := strings.Cut(rest, " "); isName(name) {
				return name
			}
		}
	}
	return c.name
}
