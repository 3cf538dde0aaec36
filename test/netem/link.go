package netem

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/chiron-faas/chiron/internal/netns"
)

// Addresses of the two machines.
const (
	AddressA = "10.63.0.1"
	AddressB = "10.63.0.2"
)

// Conditions of a link, each way.
type Conditions struct {
	Delay time.Duration
	// Loss is the part of the packets that are lost.
	Loss float64
}

// Link is two machines and the network between them.
type Link struct {
	A, B *netns.Namespace
	// Kernel says that tc makes the conditions; else a relay does.
	Kernel bool
	relay  *relay
}

// NewLink makes two namespaces that reach each other. Its error says what is not
// permitted, or missing.
func NewLink(ctx context.Context) (l *Link, err error) {
	l = &Link{}
	defer func() {
		if err != nil {
			err = errors.Join(err, l.Close())
		}
	}()
	if l.A, err = netns.New(); err != nil {
		return l, err
	}
	if l.B, err = netns.New(); err != nil {
		return l, err
	}
	// The loopback of B shows what the kernel has.
	l.Kernel = in(ctx, l.B, "tc qdisc add dev lo root netem delay 1ms") == nil
	if l.Kernel {
		return l, errors.Join(
			in(ctx, l.B, "tc qdisc del dev lo root"),
			in(ctx, l.A, "ip link add machine type veth peer name other"),
			in(ctx, l.A, "ip link set other netns "+l.B.Path()+" name machine"),
			up(ctx, l.A, AddressA), up(ctx, l.B, AddressB))
	}
	l.relay = &relay{}
	l.relay.conditions.Store(&Conditions{})
	if l.relay.a, err = tun(l.A); err != nil {
		return l, err
	}
	if l.relay.b, err = tun(l.B); err != nil {
		return l, err
	}
	if err = errors.Join(up(ctx, l.A, AddressA), up(ctx, l.B, AddressB)); err == nil {
		l.relay.start()
	}
	return l, err
}

func up(ctx context.Context, n *netns.Namespace, address string) error {
	return errors.Join(in(ctx, n, "ip address add "+address+"/24 dev machine"), in(ctx, n, "ip link set machine up"))
}

// in runs a command in a namespace.
func in(ctx context.Context, n *netns.Namespace, line string) error {
	words := strings.Fields(line)
	return n.Do(func() error {
		if out, err := exec.CommandContext(ctx, words[0], words[1:]...).CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w: %s", line, err, strings.TrimSpace(string(out)))
		}
		return nil
	})
}

// Set changes the link's conditions.
func (l *Link) Set(ctx context.Context, c Conditions) error {
	if !l.Kernel {
		l.relay.conditions.Store(&c)
		return nil
	}
	line := fmt.Sprintf("tc qdisc replace dev machine root netem delay %dus loss %.2f%%", c.Delay.Microseconds(), 100*c.Loss)
	return errors.Join(in(ctx, l.A, line), in(ctx, l.B, line))
}

// Close takes it all away.
func (l *Link) Close() error {
	var failures []error
	if l.relay != nil {
		l.relay.stop()
	}
	for _, n := range []*netns.Namespace{l.A, l.B} {
		if n != nil {
			failures = append(failures, n.Close())
		}
	}
	return errors.Join(failures...)
}

// tun makes a device in a namespace, whose packets are read from and written to the
// file (the kernel's Documentation/networking/tuntap.rst).
func tun(n *netns.Namespace) (f *os.File, err error) {
	err = n.Do(func() error {
		fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
		if err != nil {
			return fmt.Errorf("neither sch_netem nor tun devices: /dev/net/tun: %w", err)
		}
		r, err := unix.NewIfreq("machine")
		if err == nil {
			r.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
			err = unix.IoctlIfreq(fd, unix.TUNSETIFF, r)
		}
		if err != nil {
			return errors.Join(fmt.Errorf("make a tun device: %w", err), unix.Close(fd))
		}
		f = os.NewFile(uintptr(fd), "tun")
		return nil
	})
	return f, err
}

// relay carries packets between two tun devices.
type relay struct {
	a, b       *os.File
	conditions atomic.Pointer[Conditions]
	running    sync.WaitGroup
}

// packet is on its way until at.
type packet struct {
	data []byte
	at   time.Time
}

const (
	// maxPacket is more than a device's MTU, bytes.
	maxPacket = 4096
	// onTheWay packets are as many as the link holds; more are lost, as in a
	// router.
	onTheWay = 4096
)

func (r *relay) start() {
	r.carry(r.a, r.b, 1)
	r.carry(r.b, r.a, 2)
}

func (r *relay) carry(from, to *os.File, seed uint64) {
	line := make(chan packet, onTheWay)
	r.running.Go(func() { // ends when the device is closed
		defer close(line)
		dice := rand.New(rand.NewPCG(seed, 63))
		for {
			p := packet{data: make([]byte, maxPacket)}
			n, err := from.Read(p.data)
			if err != nil {
				return
			}
			c := r.conditions.Load()
			if dice.Float64() < c.Loss {
				continue
			}
			p.data, p.at = p.data[:n], time.Now().Add(c.Delay)
			select {
			case line <- p:
			default:
			}
		}
	})
	r.running.Go(func() { // ends with the line
		for p := range line {
			time.Sleep(time.Until(p.at))
			_, _ = to.Write(p.data) // what a machine does not take is lost
		}
	})
}

func (r *relay) stop() {
	for _, f := range []*os.File{r.a, r.b} {
		if f != nil {
			_ = f.Close()
		}
	}
	r.running.Wait()
}
