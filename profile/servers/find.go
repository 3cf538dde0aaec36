package servers

import (
	"cmp"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
)

// Find returns the processes, ascending, that listen at what a process has
// connected to: at the addresses of sockets, in the form of profile.Function's
// ("connect tcp 127.0.0.1:80", "connect unix /run/x.sock"; others are passed
// over), and at those that it is connected to now. What belongs to other machines,
// or may not be read, is left out.
func Find(pid int, sockets []string) []int {
	inodes := make(map[string]bool)
	var addresses []netip.AddrPort
	local := unixSockets()
	for _, s := range sockets {
		what, address, ok := strings.Cut(strings.TrimPrefix(s, "connect "), " ")
		switch {
		case !ok || !strings.HasPrefix(s, "connect "):
		case what == "unix":
			for _, u := range local {
				if u.listens && u.path == address {
					inodes[u.inode] = true
				}
			}
		default:
			if a, err := netip.ParseAddrPort(address); err == nil {
				addresses = append(addresses, a)
			}
		}
	}
	tables := append(internetSockets("tcp"), internetSockets("tcp6")...)
	own := descriptors(pid)
	for _, c := range tables {
		if c.state == established && slices.Contains(own, c.inode) {
			addresses = append(addresses, c.remote)
		}
	}
	for _, c := range tables {
		if c.state != listens {
			continue
		}
		for _, a := range addresses {
			if c.serves(a, tables) {
				inodes[c.inode] = true
			}
		}
	}
	return holders(pid, inodes)
}

// Socket states, of the kernel's include/net/tcp_states.h.
const (
	established = 0x01
	listens     = 0x0a
)

// socket is a line of /proc/net/tcp.
type socket struct {
	local, remote netip.AddrPort
	state         uint64
	inode         string
}

// serves says whether who connects to an address of this machine reaches a
// listener: it has the address, or all of them, or the connection's other end.
func (s socket) serves(a netip.AddrPort, all []socket) bool {
	local, to := s.local.Addr().Unmap(), a.Addr().Unmap()
	switch {
	case s.local.Port() != a.Port():
		return false
	case local == to:
		return true
	case !s.local.Addr().IsUnspecified():
		return false
	}
	// An address of the machine's own is one that some end of a connection has.
	return to.IsLoopback() || slices.ContainsFunc(all, func(c socket) bool { return c.local.Addr().Unmap() == to })
}

// internetSockets reads /proc/net/tcp or tcp6; what cannot be read is empty.
func internetSockets(table string) []socket {
	text, err := os.ReadFile("/proc/net/" + table)
	if err != nil {
		return nil
	}
	var all []socket
	for line := range strings.Lines(string(text)) {
		if s, err := parseSocket(line); err == nil {
			all = append(all, s)
		}
	}
	return all
}

// parseSocket reads one line: number, local and remote address, state, five more
// fields, the user, the timeout, the inode.
func parseSocket(line string) (s socket, err error) {
	fields := strings.Fields(line)
	if len(fields) < 10 {
		return s, fmt.Errorf("%d fields", len(fields))
	}
	if s.local, err = parseAddress(fields[1]); err != nil {
		return s, err
	}
	if s.remote, err = parseAddress(fields[2]); err != nil {
		return s, err
	}
	s.inode = fields[9]
	s.state, err = strconv.ParseUint(fields[3], 16, 8)
	return s, err
}

// parseAddress reads "0100007F:1F90": words of 32 bits in the machine's order of
// bytes, which on all that this runs on is the lowest first, and the port.
func parseAddress(text string) (netip.AddrPort, error) {
	host, port, ok := strings.Cut(text, ":")
	number, err := strconv.ParseUint(port, 16, 16)
	if !ok || err != nil || len(host) != 8 && len(host) != 32 {
		return netip.AddrPort{}, fmt.Errorf("%q is no address", text)
	}
	raw := make([]byte, 0, 16)
	for ; host != ""; host = host[8:] {
		word, err := strconv.ParseUint(host[:8], 16, 32)
		if err != nil {
			return netip.AddrPort{}, fmt.Errorf("%q is no address: %w", text, err)
		}
		raw = append(raw, byte(word), byte(word>>8), byte(word>>16), byte(word>>24))
	}
	address, _ := netip.AddrFromSlice(raw) // of 4 bytes or 16
	return netip.AddrPortFrom(address, uint16(number)), nil
}

// unixSocket is a line of /proc/net/unix.
type unixSocket struct {
	path    string // "@name" where it is in no file system
	inode   string
	listens bool
}

// unixSockets reads /proc/net/unix: number, references, protocol, flags, type,
// state, inode, path.
func unixSockets() []unixSocket {
	text, err := os.ReadFile("/proc/net/unix")
	if err != nil {
		return nil
	}
	const accepts = 0x10000 // __SO_ACCEPTCON, include/uapi/linux/net.h
	var all []unixSocket
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		if len(fields) < 8 {
			continue
		}
		flags, err := strconv.ParseUint(fields[3], 16, 64)
		if err == nil {
			all = append(all, unixSocket{path: fields[7], inode: fields[6], listens: flags&accepts != 0})
		}
	}
	return all
}

// holders are the processes, but for one, that have a descriptor of a socket.
func holders(but int, inodes map[string]bool) []int {
	if len(inodes) == 0 {
		return nil
	}
	var found []int
	for _, pid := range processes() {
		if pid != but && slices.ContainsFunc(descriptors(pid), func(inode string) bool { return inodes[inode] }) {
			found = append(found, pid)
		}
	}
	slices.SortFunc(found, cmp.Compare)
	return found
}

// processes are the numbers of all.
func processes() []int {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	var all []int
	for _, e := range entries {
		if pid, err := strconv.Atoi(e.Name()); err == nil {
			all = append(all, pid)
		}
	}
	return all
}

// descriptors are the inodes of a process' sockets.
func descriptors(pid int) []string {
	dir := fmt.Sprintf("/proc/%d/fd", pid)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil
	}
	var inodes []string
	for _, e := range entries {
		link, err := os.Readlink(dir + "/" + e.Name())
		if inode, ok := strings.CutPrefix(link, "socket:["); err == nil && ok {
			inodes = append(inodes, strings.TrimSuffix(inode, "]"))
		}
	}
	return inodes
}
