package ebpf

import (
	"encoding/binary"
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// cwd is AT_FDCWD as an argument.
const cwd = uint64(1<<64 - 100)

func cstring(s string) []byte { return append([]byte(s), 0) }

func TestInterpretFiles(t *testing.T) {
	var calls []namedCall
	when := moment(0)
	do := func(process uint32, call int32, result int64, names []string, arguments ...uint64) {
		when++
		c := namedCall{at: when, kind: called, process: process, call: call, result: result}
		copy(c.arguments[:], arguments)
		for i, name := range names {
			c.names[i] = cstring(name)
		}
		calls = append(calls, c)
	}
	var starts []moment
	begin := func() { starts = append(starts, when+1) }
	one := func(name string) []string { return []string{name} }
	const creates = unix.O_WRONLY | unix.O_CREAT | unix.O_CLOEXEC

	do(1, unix.SYS_OPENAT, 3, one("/no/early"), cwd, 0, creates)
	do(1, unix.SYS_OPENAT, 8, one("/no/folder"), cwd, 0, unix.O_RDONLY|unix.O_DIRECTORY)
	begin()
	do(1, unix.SYS_OPENAT, 5, one("once"), cwd, 0, creates)
	do(1, unix.SYS_OPENAT, 5, one("a"), cwd, 0, creates)
	do(1, unix.SYS_OPENAT, 5, one("read"), cwd, 0, unix.O_RDONLY)
	do(1, unix.SYS_OPENAT, -int64(unix.ENOENT), one("no"), cwd, 0, unix.O_RDWR)
	do(1, unix.SYS_OPENAT, 5, one("/no/tmp123"), cwd, 0, unix.O_RDWR|unix.O_CREAT|unix.O_EXCL)
	do(1, unix.SYS_OPENAT, 5, one("/no"), cwd, 0, unix.O_RDWR|unix.O_EXCL|unix.O_TMPFILE)
	do(1, unix.SYS_RENAMEAT2, 0, []string{"/no/tmp123", "moved"}, cwd, 0, cwd, 0)
	do(1, unix.SYS_OPENAT, 5, one("gone"), cwd, 0, creates)
	do(1, unix.SYS_UNLINKAT, 0, one("gone"), cwd)
	do(1, unix.SYS_UNLINKAT, 0, one("old"), cwd)
	do(1, unix.SYS_OPENAT, 6, one("/dev/null"), cwd, 0, unix.O_RDWR)
	do(1, unix.SYS_MKDIRAT, 0, one("sub"), 8)
	do(1, unix.SYS_MKDIRAT, 0, one("lost"), 77) // a folder that nobody saw
	do(1, unix.SYS_SYMLINKAT, 0, one("link"), 0, cwd)
	do(1, unix.SYS_TRUNCATE, 0, one("cut"))
	// A child works elsewhere; its parent stays.
	calls = append(calls, namedCall{at: when, kind: forked, process: 1, child: 2})
	do(2, unix.SYS_CHDIR, 0, one("deeper"))
	do(2, unix.SYS_OPENAT, 5, one("child"), cwd, 0, creates)
	do(1, unix.SYS_OPENAT, 9, one("parent"), cwd, 0, creates)
	do(2, unix.SYS_FCHDIR, 0, nil, 8)
	do(2, unix.SYS_OPENAT2, 5, one("how"), cwd)
	calls[len(calls)-1].how = creates
	begin()
	do(1, unix.SYS_OPENAT, 5, one("a"), cwd, 0, creates)
	do(1, unix.SYS_OPENAT, 5, one("/no/tmp456"), cwd, 0, unix.O_RDWR|unix.O_CREAT|unix.O_EXCL)
	do(1, unix.SYS_OPENAT, 5, one("/no/lock"), cwd, 0, unix.O_RDWR|unix.O_CREAT|unix.O_EXCL)
	do(1, unix.SYS_UNLINKAT, 0, one("/no/lock"), cwd)
	begin()
	do(1, unix.SYS_OPENAT, 5, one("/no/lock"), cwd, 0, unix.O_RDWR|unix.O_CREAT|unix.O_EXCL)

	n := interpret(calls, starts, 1, &view{dir: "/no/w", fds: map[int]string{}})
	want := []string{
		"/no/folder/how", "/no/folder/sub", "/no/lock", "/no/w/a", "/no/w/cut", "/no/w/deeper/child", "/no/w/link",
		"/no/w/moved", "/no/w/old", "/no/w/once", "/no/w/parent",
	}
	if diff := cmp.Diff(want, n.files.List()); diff != "" {
		t.Error(diff)
	}
	if n.long {
		t.Error("no name is too long")
	}
	long := namedCall{at: 1, kind: called, process: 1, call: unix.SYS_TRUNCATE}
	long.names[0] = slices.Repeat([]byte{'x'}, nameSize)
	long.names[0][nameSize-1] = 0
	if n := interpret([]namedCall{long}, []moment{0}, 1, &view{fds: map[int]string{}}); !n.long {
		t.Error("a name that was cut is not told")
	}
}

func TestInterpretSockets(t *testing.T) {
	in4 := func(port uint16, ip ...byte) []byte {
		raw := binary.NativeEndian.AppendUint16(nil, unix.AF_INET)
		raw = binary.BigEndian.AppendUint16(raw, port)
		return append(append(raw, ip...), make([]byte, 8)...)
	}
	in6 := func(port uint16, last byte) []byte {
		raw := binary.NativeEndian.AppendUint16(nil, unix.AF_INET6)
		raw = binary.BigEndian.AppendUint16(raw, port)
		return append(append(raw, make([]byte, 19)...), last)
	}
	un := func(path string) []byte { return append(binary.NativeEndian.AppendUint16(nil, unix.AF_UNIX), path...) }
	call := func(nr int32, result int64, address []byte, arguments ...uint64) namedCall {
		c := namedCall{at: 10, kind: called, process: 1, call: nr, result: result}
		c.names[0] = address
		copy(c.arguments[:], arguments)
		return c
	}
	early := call(unix.SYS_CONNECT, 0, in4(1, 127, 0, 0, 1), 3)
	early.at = 1
	calls := []namedCall{
		early,
		call(unix.SYS_SOCKET, 4, nil, unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC),
		call(unix.SYS_CONNECT, 0, in4(9753, 127, 0, 0, 1), 4),
		call(unix.SYS_CONNECT, 0, in4(9753, 127, 0, 0, 1), 4),
		call(unix.SYS_SOCKET, 5, nil, unix.AF_INET6, unix.SOCK_STREAM|unix.SOCK_NONBLOCK),
		call(unix.SYS_CONNECT, -int64(unix.EINPROGRESS), in6(80, 1), 5),
		call(unix.SYS_CONNECT, -int64(unix.ECONNREFUSED), in6(81, 1), 5),
		call(unix.SYS_SOCKET, 6, nil, unix.AF_INET, unix.SOCK_DGRAM),
		call(unix.SYS_BIND, 0, in4(53, 0, 0, 0, 0), 6),
		call(unix.SYS_SOCKET, 7, nil, unix.AF_UNIX, unix.SOCK_STREAM),
		call(unix.SYS_CONNECT, 0, un("/run/x.sock\x00junk"), 7),
		call(unix.SYS_BIND, 0, un("\x00abstract"), 7),
		call(unix.SYS_BIND, 0, un(""), 7),
		call(unix.SYS_CONNECT, 0, in4(5432, 10, 0, 0, 1), 3),  // open since before
		call(unix.SYS_CONNECT, 0, in4(5433, 10, 0, 0, 1), 33), // nothing is known of it
		call(unix.SYS_BIND, 0, binary.NativeEndian.AppendUint16(nil, unix.AF_NETLINK), 9),
		call(unix.SYS_CONNECT, 0, []byte{1}, 9),
		// A server of its own.
		call(unix.SYS_GETSOCKNAME, 0, append(in4(40001, 127, 0, 0, 1), "rest"...), 4),
		call(unix.SYS_CONNECT, 0, in4(40001, 127, 0, 0, 1), 4),
	}
	n := interpret(calls, []moment{5}, 1, &view{fds: map[int]string{3: "tcp"}})
	want := []string{
		"bind udp 0.0.0.0:53", "bind unix @abstract", "connect ip 10.0.0.1:5433", "connect tcp 10.0.0.1:5432",
		"connect tcp 127.0.0.1:9753", "connect tcp [::1]:80", "connect unix /run/x.sock",
	}
	if diff := cmp.Diff(want, slices.Sorted(maps.Keys(n.sockets))); diff != "" {
		t.Error(diff)
	}
}

// Every call that is told of has a name here.
func TestFormsAreNamed(t *testing.T) {
	for nr := range forms() {
		if nameOf(int32(nr)) == "" {
			t.Errorf("call %d has no name", nr)
		}
	}
}
