package ebpf

import (
	"bytes"
	"encoding/binary"
	"net"
	"strconv"

	"golang.org/x/sys/unix"
)

// protocolOf names an internet socket's protocol: "tcp", "udp", "raw"; "ip" for
// another, "" for a socket of another family.
func protocolOf(family, kind int) string {
	if family != unix.AF_INET && family != unix.AF_INET6 {
		return ""
	}
	switch kind &^ (unix.SOCK_CLOEXEC | unix.SOCK_NONBLOCK) {
	case unix.SOCK_STREAM:
		return "tcp"
	case unix.SOCK_DGRAM:
		return "udp"
	case unix.SOCK_RAW:
		return "raw"
	}
	return "ip"
}

// socketOf says what a call did with a socket, as profile.Function has it;
// port is -1 for a Unix socket's. Other families, such as netlink, are the
// kernel's own talk: "". protocol is the socket's, where it is known.
func socketOf(call, protocol string, address []byte) (what string, port int) {
	if len(address) < 2 {
		return "", 0
	}
	if protocol == "" {
		protocol = "ip" // made before the trace began
	}
	var ip net.IP
	switch binary.NativeEndian.Uint16(address) {
	case unix.AF_INET: // struct sockaddr_in: family, port, address
		if len(address) < 8 {
			return "", 0
		}
		ip = address[4:8]
	case unix.AF_INET6: // struct sockaddr_in6: family, port, flow, address
		if len(address) < 24 {
			return "", 0
		}
		ip = address[8:24]
	case unix.AF_UNIX: // struct sockaddr_un: family, path
		raw := address[2:]
		if len(raw) > 0 && raw[0] == 0 { // a name without a file, and without an end
			return call + " unix @" + string(raw[1:]), -1
		}
		if end := bytes.IndexByte(raw, 0); end >= 0 {
			raw = raw[:end]
		}
		if len(raw) == 0 {
			return "", 0
		}
		return call + " unix " + string(raw), -1
	default:
		return "", 0
	}
	port = int(binary.BigEndian.Uint16(address[2:4]))
	return call + " " + protocol + " " + net.JoinHostPort(ip.String(), strconv.Itoa(port)), port
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
