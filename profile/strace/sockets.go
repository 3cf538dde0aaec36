package strace

import (
	"net"
	"slices"
	"strconv"
	"strings"
	"time"
)

// socketsOf lists what the process and its children connected to or bound since
// the first call, as profile.Function has it, sorted. starts are the calls'
// beginnings. A connection to a port that the kernel chose for the function
// itself (it asked for its number with getsockname) is left out: a server of its
// own, at another address in every run.
func socketsOf(all []record, starts []time.Duration) []string {
	kinds := map[string]string{} // "tcp", "udp" by what -y prints of the socket
	own := map[int]bool{}        // ports
	var out []string
	for i := range all {
		c := &all[i]
		switch c.name {
		case "socket":
			if kind := kindOfSocket(c.args); kind != "" && !c.failed() {
				kinds[decoded(c.result)] = kind
			}
			continue
		case "getsockname":
			if _, port, ok := addressOf(c.args); ok && port > 0 {
				own[port] = true
			}
			continue
		case "connect", "bind":
		default:
			continue
		}
		if len(starts) == 0 || c.start < starts[0] || c.failed() && !begunOnly(c.result) {
			continue
		}
		address, port, ok := addressOf(c.args)
		if !ok || c.name == "connect" && own[port] {
			continue
		}
		kind := "unix"
		if port >= 0 {
			if kind = kinds[decoded(c.args)]; kind == "" {
				kind = "ip" // made before the trace began
			}
		}
		out = append(out, c.name+" "+kind+" "+address)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// begunOnly says whether a failed connect goes on by itself.
func begunOnly(result string) bool {
	return strings.Contains(result, "EINPROGRESS") || strings.Contains(result, "EINTR")
}

// kindOfSocket reads socket's arguments: AF_INET, SOCK_STREAM|SOCK_CLOEXEC, …
func kindOfSocket(args string) string {
	switch {
	case !strings.HasPrefix(args, "AF_INET"):
		return ""
	case strings.Contains(args, "SOCK_STREAM"):
		return "tcp"
	case strings.Contains(args, "SOCK_DGRAM"):
		return "udp"
	case strings.Contains(args, "SOCK_RAW"):
		return "raw"
	}
	return ""
}

// addressOf reads the address among the arguments of connect or bind, of a form
// that strace prints:
//
//	{sa_family=AF_INET, sin_port=htons(80), sin_addr=inet_addr("127.0.0.1")}
//	{sa_family=AF_INET6, sin6_port=htons(80), …, inet_pton(AF_INET6, "::1", &sin6_addr), …}
//	{sa_family=AF_UNIX, sun_path="/run/x.sock"}
//
// port is -1 for a Unix socket's. Other families, such as netlink, are the
// kernel's own talk: not ok.
func addressOf(args string) (address string, port int, ok bool) {
	_, rest, ok := strings.Cut(args, "{sa_family=")
	if !ok {
		return "", 0, false
	}
	family, rest, _ := strings.Cut(rest, ",")
	switch family {
	case "AF_INET", "AF_INET6":
		_, text, _ := strings.Cut(rest, "_port=htons(")
		digits, _, _ := strings.Cut(text, ")")
		port, err := strconv.ParseUint(digits, 10, 16)
		before := "inet_addr("
		if family == "AF_INET6" {
			before = "inet_pton(AF_INET6, "
		}
		_, text, found := strings.Cut(rest, before)
		host, _, closed := quoted(text)
		if err != nil || !found || !closed {
			return "", 0, false
		}
		return net.JoinHostPort(host, strconv.FormatUint(port, 10)), int(port), true
	case "AF_UNIX":
		_, text, found := strings.Cut(rest, "sun_path=")
		at, abstract := strings.CutPrefix(text, "@") // a name without a file
		name, _, closed := quoted(at)
		if !found || !closed || name == "" {
			return "", 0, false
		}
		if abstract {
			name = "@" + name
		}
		return name, -1, true
	}
	return "", 0, false
}

// quoted reads a string in quotes at the beginning of s.
func quoted(s string) (text, rest string, ok bool) {
	if !strings.HasPrefix(s, `"`) {
		return "", s, false
	}
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '"':
			return unescape(s[1:i]), s[i+1:], true
		}
	}
	return "", s, false
}
