package ebpf

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/chiron-faas/chiron/profile/syscalls"
	"github.com/chiron-faas/chiron/profile/touched"
)

// names is what the traced process and its children called by name.
type names struct {
	files   touched.Files
	sockets map[string]bool
	own     map[int]bool // ports that the kernel chose for it
	// long says that a name was longer than what is kept of it.
	long bool
}

// view is how a process sees the file system: names are relative to its folder,
// or to what it has open.
type view struct {
	dir string
	fds map[int]string // a file's path, or a socket's protocol: "tcp"
}

func (v *view) clone() *view { return &view{dir: v.dir, fds: maps.Clone(v.fds)} }

// interpret follows the calls in order. starts are the beginnings of the runs;
// what came before the first counts only for what is open.
func interpret(calls []namedCall, starts []moment, process uint32, first *view) names {
	n := names{sockets: map[string]bool{}, own: map[int]bool{}}
	views := map[uint32]*view{process: first}
	for i := range calls {
		c := &calls[i]
		v := views[c.process]
		if v == nil { // its beginning was missed: as its parent is now, most likely
			v = first.clone()
			views[c.process] = v
		}
		if c.kind == forked {
			views[c.child] = v.clone()
			continue
		}
		run, _ := slices.BinarySearch(starts, c.at+1)
		n.note(c, v, run)
	}
	return n
}

// openFlags are those of open's kin.
func (c *namedCall) openFlags(name string) uint64 {
	switch name {
	case "open":
		return c.arguments[1]
	case "openat":
		return c.arguments[2]
	case "openat2":
		return c.how
	}
	return unix.O_WRONLY | unix.O_CREAT | unix.O_TRUNC // creat
}

func (n *names) note(c *namedCall, v *view, run int) {
	call := nameOf(c.call)
	if call == "connect" || call == "bind" || call == "getsockname" {
		n.noteSocket(call, c, v, run)
		return
	}
	if c.result < 0 {
		return
	}
	// at is the i-th path, resolved against the folder in an argument (from 0;
	// -1: the working folder).
	at := func(i, folder int) string {
		name, whole := text(c.names[i])
		n.long = n.long || !whole
		if name == "" || path.IsAbs(name) {
			return name
		}
		dir := v.dir
		if folder >= 0 && int32(c.arguments[folder]) != unix.AT_FDCWD {
			dir = v.fds[int(int32(c.arguments[folder]))]
			if dir == "" {
				return "" // a folder that nobody saw being opened
			}
		}
		return path.Join(dir, name)
	}
	change := func(names ...string) {
		for _, name := range names {
			if run > 0 {
				n.files.Changed(run, resolved(name))
			}
		}
	}
	switch call {
	case "open", "openat", "openat2", "creat":
		folder := -1
		if call == "openat" || call == "openat2" {
			folder = 0
		}
		name, flags := at(0, folder), c.openFlags(call)
		v.fds[int(c.result)] = name
		writes := flags&(unix.O_WRONLY|unix.O_RDWR|unix.O_CREAT|unix.O_TRUNC) != 0
		if writes && flags&unix.O_TMPFILE != unix.O_TMPFILE && run > 0 {
			n.files.Opened(run, resolved(name), flags&unix.O_EXCL != 0)
		}
	case "rename", "link":
		change(at(0, -1), at(1, -1))
	case "renameat", "renameat2", "linkat":
		change(at(0, 0), at(1, 2))
	case "symlink":
		change(at(0, -1))
	case "symlinkat":
		change(at(0, 1))
	case "mkdir", "rmdir", "truncate":
		change(at(0, -1))
	case "mkdirat":
		change(at(0, 0))
	case "unlink":
		n.removed(run, at(0, -1))
	case "unlinkat":
		n.removed(run, at(0, 0))
	case "chdir":
		v.dir = at(0, -1)
	case "fchdir":
		v.dir = v.fds[int(int32(c.arguments[0]))]
	case "socket":
		v.fds[int(c.result)] = protocolOf(int(c.arguments[0]), int(c.arguments[1]))
	}
}

// noteSocket notes a connection or a binding. A connection to a port that the
// kernel chose for the function itself, which asked for its number with
// getsockname, is left out: a server of its own, at another address in every run.
func (n *names) noteSocket(call string, c *namedCall, v *view, run int) {
	fd := int(int32(c.arguments[0]))
	what, port := socketOf(call, v.fds[fd], c.names[0])
	if call == "getsockname" {
		if c.result == 0 && what != "" && port > 0 {
			n.own[port] = true
		}
		return
	}
	// A connection that is under way goes on by itself.
	begun := c.result == -int64(unix.EINPROGRESS) || c.result == -int64(unix.EINTR)
	if run == 0 || what == "" || c.result < 0 && !begun || call == "connect" && n.own[port] {
		return
	}
	n.sockets[what] = true
}

func (n *names) removed(run int, name string) {
	if run > 0 {
		n.files.Removed(run, resolved(name))
	}
}

// text is a C string, and whether it is whole.
func text(raw []byte) (string, bool) {
	end := bytes.IndexByte(raw, 0)
	if end < 0 {
		return "", len(raw) == 0
	}
	return string(raw[:end]), end < nameSize-1
}

// resolved is a path without the links in its folder, as far as that is there
// still; "" for what is no file.
func resolved(name string) string {
	if name = touched.Absolute("/", name); name == "" {
		return ""
	}
	if dir, err := filepath.EvalSymlinks(path.Dir(name)); err == nil {
		name = path.Join(dir, path.Base(name))
	}
	return name
}

// nameOf names the calls of forms.
func nameOf(call int32) string {
	switch call {
	case unix.SYS_CHDIR:
		return "chdir"
	case unix.SYS_FCHDIR:
		return "fchdir"
	case unix.SYS_SOCKET:
		return "socket"
	case unix.SYS_BIND:
		return "bind"
	case unix.SYS_GETSOCKNAME:
		return "getsockname"
	}
	return syscalls.Name(syscalls.State(call))
}

// descriptors are what a process has open: files by path, sockets by protocol.
// What cannot be read is left out: names relative to it are then not known.
func descriptors(pid int) map[int]string {
	fds := map[int]string{}
	dir := fmt.Sprintf("/proc/%d/fd", pid)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fds
	}
	for _, e := range entries {
		fd, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		link, err := os.Readlink(path.Join(dir, e.Name()))
		if err != nil {
			continue
		}
		if path.IsAbs(link) {
			fds[fd] = link
		} else if protocol := openSocket(pid, fd); protocol != "" {
			fds[fd] = protocol
		}
	}
	return fds
}
