package ebpf

import (
	"encoding/binary"
	"net"
	"strconv"

	"golang.org/x/sys/unix"
)

// protocolOf names a socket's: "tcp", "udp", "unix"; "" for another, which no
// two functions of a project fight about.
func protocolOf(family, kind int) string {
	kind &^= unix.SOCK_CLOEXEC | unix.SOCK_NONBLOCK
	switch {
	case family == unix.AF_UNIX:
		return "unix"
	case family != unix.AF_INET && family != unix.AF_INET6:
		return ""
	case kind == unix.SOCK_STREAM:
		return "tcp"
	case kind == unix.SOCK_DGRAM:
		return "udp"
	}
	return ""
}

// socketOf says what a call did with a socket, as "connect tcp 127.0.0.1:80" or
// "bind unix /run/a.sock"; "" where there is nothing to say.
func socketOf(call, protocol string, address []byte) string {
	if len(address) < 2 || protocol == "" {
		return ""
	}
	where := ""
	switch binary.NativeEndian.Uint16(address) {
	case unix.AF_INET: // struct sockaddr_in: family, port, address
		if len(address) < 8 || protocol == "unix" {
			return ""
		}
		where = hostPort(address[4:8], address[2:4])
	case unix.AF_INET6: // struct sockaddr_in6: family, port, flow, address
		if len(address) < 24 || protocol == "unix" {
			return ""
		}
		where = hostPort(address[8:24], address[2:4])
	case unix.AF_UNIX: // struct sockaddr_un: family, path
		protocol = "unix"
		raw := address[2:]
		if len(raw) == 0 {
			return "" // the kernel chooses a name
		}
		if raw[0] == 0 { // an abstract one, which has no end
			where = "@" + string(raw[1:])
		} else if where, _ = text(append(raw[:len(raw):len(raw)], 0)); where == "" {
			return ""
		}
	default: // AF_UNSPEC dissolves a connection
		return ""
	}
	return call + " " + protocol + " " + where
}

func hostPort(ip, port []byte) string {
	return net.JoinHostPort(net.IP(ip).String(), strconv.Itoa(int(binary.BigEndian.Uint16(port))))
}

// openSocket is the protocol of a socket that a process has open; "" of what
// is none.
func openSocket(pid, fd int) string {
	process, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return ""
	}
	defer unix.Close(process)
	socket, err := unix.PidfdGetfd(process, fd, 0)
	if err != nil {
		return ""
	}
	defer unix.Close(socket)
	family, err := unix.GetsockoptInt(socket, unix.SOL_SOCKET, unix.SO_DOMAIN)
	if err != nil {
		return ""
	}
	kind, err := unix.GetsockoptInt(socket, unix.SOL_SOCKET, unix.SO_TYPE)
	if err != nil {
		return ""
	}
	return protocolOf(family, kind)
}
