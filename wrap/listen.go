package wrap

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// maxSocketPath is sun_path of struct sockaddr_un less its terminating zero
// (unix(7)).
const maxSocketPath = 107

// ParseAddress reads an address of Options.Listen or Options.Peers and returns
// what net.Dial takes.
func ParseAddress(s string) (network, address string, err error) {
	switch {
	case strings.HasPrefix(s, "unix://"):
		address = strings.TrimPrefix(s, "unix://")
	case strings.HasPrefix(s, "unix:"):
		address = strings.TrimPrefix(s, "unix:")
	default:
		return parseTCP(s)
	}
	if !strings.HasPrefix(address, "/") {
		return "", "", fmt.Errorf("address %q: a socket's path must be absolute: write unix:///run/wrap.sock", s)
	}
	if len(address) > maxSocketPath {
		return "", "", fmt.Errorf("address %q: a socket's path has at most %d bytes and this one has %d: choose a shorter folder", s, maxSocketPath, len(address))
	}
	return "unix", address, nil
}

func parseTCP(s string) (network, address string, err error) {
	host, port, err := net.SplitHostPort(strings.TrimPrefix(s, "tcp://"))
	if err != nil {
		return "", "", fmt.Errorf("address %q is neither unix:///PATH nor HOST:PORT: %w", s, err)
	}
	if n, err := strconv.Atoi(port); err != nil || n < 0 || n > 65535 {
		return "", "", fmt.Errorf("address %q: port %q is not a number from 0 to 65535", s, port)
	}
	if host == "" {
		host = "127.0.0.1" // nothing listens beyond loopback unless asked
	}
	return "tcp", net.JoinHostPort(host, port), nil
}

// listen binds the address. A Unix socket that a dead agent left behind is
// replaced; one that is served is not.
func listen(s string) (net.Listener, error) {
	network, address, err := ParseAddress(s)
	if err != nil {
		return nil, err
	}
	if network == "unix" {
		if err := removeStale(address); err != nil {
			return nil, err
		}
	}
	l, err := net.Listen(network, address)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("listen on %s: the address is in use: stop what serves it or choose another: %w", s, err)
	}
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", s, err)
	}
	if network == "unix" {
		// Its folder guards the instant between bind and chmod.
		if err := os.Chmod(address, 0o600); err != nil {
			return nil, errors.Join(fmt.Errorf("listen on %s: %w", s, err), l.Close())
		}
	}
	if u, ok := l.(*net.UnixListener); ok {
		return passListener{u}, nil
	}
	return l, nil
}

func removeStale(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("listen on %s: %w", path, err)
	}
	if info.Mode()&os.ModeSocket == 0 {
		return fmt.Errorf("listen on %s: there is a file that is no socket: choose another path", path)
	}
	c, err := net.DialTimeout("unix", path, time.Second)
	if err == nil {
		_ = c.Close()
		return fmt.Errorf("listen on %s: another process serves this socket: stop it or choose another path", path)
	}
	if !errors.Is(err, syscall.ECONNREFUSED) {
		return fmt.Errorf("listen on %s: %w", path, err)
	}
	if err := os.Remove(path); err != nil {
		return fmt.Errorf("remove the socket that a dead process left: %w", err)
	}
	return nil
}
