package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// namespaces are those that the node has for itself.
const namespaces = syscall.CLONE_NEWPID | syscall.CLONE_NEWNS | syscall.CLONE_NEWNET | syscall.CLONE_NEWUTS | syscall.CLONE_NEWIPC

// startTime bounds the start of the daemons, on a machine that has other work.
const startTime = 2 * time.Minute

// Node is the first process of the cluster's namespaces, which Up starts: it runs
// the daemons until it is told to end, or one of them ends. With it end all
// processes in its namespaces (pid_namespaces(7)), so it has nothing to clear up.
//
// goAhead is a pipe with a byte in it once the node has its link to the machine; one
// that closes empty says that who started the node is gone.
func Node(dir, bin string, goAhead io.Reader) error {
	if os.Getpid() != 1 {
		return errors.New("cluster: only Up starts a node: it needs namespaces of its own")
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	if _, err := io.ReadFull(goAhead, make([]byte, 1)); err != nil {
		return fmt.Errorf("cluster: who started the node has ended: %w", err)
	}
	l := layout{dir}
	if err := mounts(l); err != nil {
		return err
	}
	if err := network(ctx); err != nil {
		return err
	}
	n := &node{layout: l, bin: bin, names: make(map[int]string), ended: make(chan error, 1)}
	started := make(chan error, 1)
	go func() { started <- n.startAll(ctx) }()
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-n.ended:
			return err
		case err := <-started:
			if err != nil {
				return err
			}
			started = nil
		}
	}
}

// mounts gives the node folders of its own for those of the machine that daemons
// write to, and its own view of processes.
func mounts(l layout) error {
	mount := func(source, target, kind string, flags uintptr) error {
		if err := unix.Mount(source, target, kind, flags, ""); err != nil {
			return fmt.Errorf("cluster: mount %s: %w", target, err)
		}
		return nil
	}
	// Nothing that is mounted here is seen outside; inside, containers see what
	// kubelet mounts (mount_namespaces(7): slave of the machine's, shared below).
	if err := mount("", "/", "", unix.MS_REC|unix.MS_SLAVE); err != nil {
		return err
	}
	if err := mount("", "/", "", unix.MS_REC|unix.MS_SHARED); err != nil {
		return err
	}
	for _, folders := range []map[string]string{l.over(), promised(l)} {
		for target, source := range folders {
			if err := mount(source, target, "", unix.MS_BIND); err != nil {
				return err
			}
		}
	}
	if err := mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC); err != nil {
		return err
	}
	if err := unix.Sethostname([]byte(NodeName)); err != nil {
		return fmt.Errorf("cluster: name the node: %w", err)
	}
	return nil
}

// network brings up what the node has of networks: loopback, and its end of the
// link. There is no default route: nothing in the cluster reaches further.
func network(ctx context.Context) error {
	for _, args := range []string{
		"link set lo up",
		"addr add " + nodeAddress + "/30 dev " + nodeLink,
		"link set " + nodeLink + " up",
	} {
		if err := ip(ctx, args); err != nil {
			return err
		}
	}
	for file, value := range map[string]string{
		"/proc/sys/net/ipv4/ip_forward": "1", // between the link and the pods
		// Pods on one bridge reach each other's Services only if the bridge shows
		// its frames to the packet filter, which translates addresses.
		"/proc/sys/net/bridge/bridge-nf-call-iptables": "1",
	} {
		if err := os.WriteFile(file, []byte(value), 0o644); err != nil {
			return fmt.Errorf("cluster: %w", err)
		}
	}
	return nil
}

// ip runs ip(8).
func ip(ctx context.Context, args string) error {
	if text, err := exec.CommandContext(ctx, "ip", strings.Fields(args)...).CombinedOutput(); err != nil {
		return fmt.Errorf("cluster: ip %s: %w: %s", args, err, text)
	}
	return nil
}

// node runs the daemons.
type node struct {
	layout
	bin   string
	ended chan error // the first daemon that ended

	mu    sync.Mutex
	names map[int]string // of daemons, by process; guarded by mu
}

// startAll starts the daemons in the order in which they need each other.
func (n *node) startAll(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	for i, d := range foundation(n.layout) {
		if err := n.start(d); err != nil {
			return err
		}
		if i == 0 { // from here on there is a child to wait for
			go n.reap()
		}
	}
	if err := until(ctx, "containerd answers", func(ctx context.Context) error {
		conn, err := (&net.Dialer{}).DialContext(ctx, "unix", containerdSocket)
		if err == nil {
			err = conn.Close()
		}
		return err
	}); err != nil {
		return err
	}
	api, err := newClient(n.kubeconfig())
	if err != nil {
		return err
	}
	if err := until(ctx, "the API server is ready", api.ready); err != nil {
		return err
	}
	for _, d := range rest(n.layout) {
		if err := n.start(d); err != nil {
			return err
		}
	}
	return nil
}

func (n *node) start(d daemon) error {
	log, err := os.Create(n.log(d.name))
	if err != nil {
		return fmt.Errorf("cluster: %w", err)
	}
	defer func() { _ = log.Close() }() // the daemon has its own
	n.mu.Lock()
	defer n.mu.Unlock()
	cmd, err := d.command(n.layout, n.bin, log)
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		return fmt.Errorf("cluster: start %s: %w", d.name, err)
	}
	n.names[cmd.Process.Pid] = d.name
	return nil
}

// reap waits for every process that ends, which is the first process' duty:
// containers' keepers have no other parent. It ends with the last one.
func (n *node) reap() {
	for {
		var status unix.WaitStatus
		pid, err := unix.Wait4(-1, &status, 0, nil)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return
		}
		n.mu.Lock()
		name, ours := n.names[pid]
		n.mu.Unlock()
		if !ours {
			continue
		}
		how := fmt.Sprintf("exit status %d", status.ExitStatus())
		if status.Signaled() {
			how = status.Signal().String()
		}
		select {
		case n.ended <- fmt.Errorf("cluster: %s ended (%s): see %s", name, how, n.log(name)):
		default: // the first says more
		}
	}
}

// until asks until there is no error, at most as long as ctx lasts.
func until(ctx context.Context, what string, ask func(context.Context) error) error {
	for {
		err := ask(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("cluster: waited in vain until %s: %w", what, err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}
