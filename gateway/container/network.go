package container

import (
	"context"
	"fmt"
	"net"
	"time"

	"github.com/chiron-faas/chiron/internal/netns"
	"github.com/chiron-faas/chiron/internal/openfaas"
)

// port that a function in a network of its own serves on (OpenFaaS').
const port = 8080

// dialTimeout of a connection to a container, which is on this machine.
const dialTimeout = 2 * time.Second

// loopback is an address of the loopback, which every network has its own of.
func loopback(port int) string { return fmt.Sprintf("127.0.0.1:%d", port) }

// connect gives a container its network.
func (c *container) connect() (err error) {
	if c.function.options.HostNetwork {
		c.port, err = freePort()
		return err
	}
	c.port = port
	if c.network, err = netns.New(); err != nil {
		return err
	}
	if c.door, err = c.network.Listen("tcp4", loopback(openfaas.GatewayPort)); err != nil {
		return fmt.Errorf("serve the gateway to a container: %w", err)
	}
	c.function.engine.serve(c.door)
	return nil
}

func (c *container) dial(ctx context.Context) (net.Conn, error) {
	if c.network != nil {
		return c.network.Dial(ctx, "tcp4", loopback(c.port))
	}
	d := net.Dialer{Timeout: dialTimeout}
	return d.DialContext(ctx, "tcp4", loopback(c.port))
}

// freePort is one of the machine's that nobody serves on now.
func freePort() (int, error) {
	l, err := net.Listen("tcp4", loopback(0))
	if err != nil {
		return 0, err
	}
	return l.Addr().(*net.TCPAddr).Port, l.Close()
}
