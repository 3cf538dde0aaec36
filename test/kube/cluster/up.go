package cluster

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/chiron-faas/chiron/internal/atomicfile"
)

// Options of Up. Both folders are needed.
type Options struct {
	// Dir keeps the cluster's files; it is made.
	Dir string
	// Bin has the programs that make kube builds.
	Bin string
	// CPUs that the node promises to pods; zero: as many as the machine has.
	CPUs int
}

// readyTime bounds the way from the start of the node until it takes pods.
const readyTime = 3 * time.Minute

// Up brings a cluster up and returns when its node takes pods. After an error
// nothing of it is left but its logs.
func Up(ctx context.Context, o Options) (_ *Cluster, err error) {
	c := &Cluster{}
	if c.dir, err = filepath.Abs(o.Dir); err != nil {
		return nil, fmt.Errorf("cluster: %w", err)
	}
	if o.Bin, err = filepath.Abs(o.Bin); err != nil {
		return nil, fmt.Errorf("cluster: %w", err)
	}
	unlock, err := c.lock()
	if err != nil {
		return nil, err
	}
	defer unlock()
	if _, err := Attach(c.dir); err == nil {
		return nil, fmt.Errorf("cluster: one runs in %s: take it down first: make kube-down", c.dir)
	}
	if err := c.check(); err != nil {
		return nil, err
	}
	if err := checkPrograms(o.Bin); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.down())
		}
	}()
	if err := c.prepare(o.CPUs); err != nil {
		return nil, err
	}
	if err := c.start(ctx, o.Bin); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, readyTime)
	defer cancel()
	image, err := pause(filepath.Join(o.Bin, pauseProgram))
	if err != nil {
		return nil, err
	}
	if err := c.until(ctx, "containerd takes images", func(ctx context.Context) error {
		return c.Import(ctx, bytes.NewReader(image))
	}); err != nil {
		return nil, err
	}
	if err := c.until(ctx, "the node takes pods", c.Healthy); err != nil {
		return nil, err
	}
	return c, nil
}

// check finds what is in the way before anything is made.
func (c *Cluster) check() error {
	if os.Geteuid() != 0 {
		return errors.New("cluster: only root can make namespaces, links and control groups: run it as root")
	}
	for folder := range c.over() {
		if strings.HasPrefix(c.dir+"/", folder+"/") {
			return fmt.Errorf("cluster: %s is below %s, which the node has another for: name a folder elsewhere", c.dir, folder)
		}
	}
	if _, err := net.InterfaceByName(hostLink); err == nil {
		return fmt.Errorf("cluster: there is a network interface %s: another cluster runs on this machine: take it down first", hostLink)
	}
	ours := netip.MustParsePrefix(prefix)
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		return fmt.Errorf("cluster: %w", err)
	}
	for _, a := range addresses {
		if other, err := netip.ParsePrefix(a.String()); err == nil && ours.Overlaps(other.Masked()) {
			return fmt.Errorf("cluster: this machine is in the network %s, which overlaps the cluster's %s", other, prefix)
		}
	}
	return nil
}

// prepare makes folders, keys, settings and control groups.
func (c *Cluster) prepare(cpus int) error {
	// Of a cluster whose end was not seen by Down, and logs of the last one.
	if err := c.clear(); err != nil {
		return err
	}
	if err := os.RemoveAll(c.logs()); err != nil {
		return fmt.Errorf("cluster: %w", err)
	}
	folders := []string{c.logs(), c.pki(""), c.config(""), c.config("network"), c.registry("")}
	for _, folder := range c.over() {
		folders = append(folders, folder)
	}
	for _, folder := range folders {
		if err := os.MkdirAll(folder, 0o700); err != nil {
			return fmt.Errorf("cluster: %w", err)
		}
	}
	if err := writePKI(c.layout); err != nil {
		return err
	}
	if err := writeConfig(c.layout); err != nil {
		return err
	}
	if err := promiseCPUs(c.layout, cpus); err != nil {
		return err
	}
	return makeGroups()
}

// start starts the node, in namespaces of its own, and its link to the machine.
func (c *Cluster) start(ctx context.Context, bin string) error {
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("cluster: %w", err)
	}
	log, err := os.Create(c.log("node"))
	if err != nil {
		return fmt.Errorf("cluster: %w", err)
	}
	defer func() { _ = log.Close() }() // the node has its own
	goAhead, send, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("cluster: %w", err)
	}
	defer func() { _, _ = goAhead.Close(), send.Close() }() // the node has its own, or has what it needs
	cmd := exec.Command(self, "node", c.dir, bin)
	cmd.Env = []string{"PATH=" + path}
	cmd.Stdout, cmd.Stderr = log, log
	cmd.ExtraFiles = []*os.File{goAhead}
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: namespaces, Setsid: true}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("cluster: start the node in namespaces of its own: %w", err)
	}
	go func() { _ = cmd.Wait() }() // its log says how it ended
	c.Node = processOf(cmd.Process.Pid)
	data, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return fmt.Errorf("cluster: %w", err)
	}
	if err := atomicfile.Write(c.state(), append(data, '\n')); err != nil {
		return fmt.Errorf("cluster: %w", err)
	}
	for _, args := range []string{
		"link add " + hostLink + " type veth peer name " + nodeLink + " netns " + strconv.Itoa(c.Node.PID),
		"addr add " + hostAddress + "/30 dev " + hostLink,
		"link set " + hostLink + " up",
		"route add " + prefix + " via " + nodeAddress,
	} {
		if err := ip(ctx, args); err != nil {
			return err
		}
	}
	if _, err := send.Write([]byte{1}); err != nil {
		return fmt.Errorf("cluster: the node has ended: %s", c.lastWords())
	}
	return nil
}

// until waits for a cluster that may end meanwhile.
func (c *Cluster) until(ctx context.Context, what string, ask func(context.Context) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	return until(ctx, what, func(ctx context.Context) error {
		if !c.Node.alive() {
			cancel() // it does not come back
			return fmt.Errorf("the node has ended: %s", c.lastWords())
		}
		return ask(ctx)
	})
}

// lastWords are the last line of the node's log.
func (c *Cluster) lastWords() string {
	data, err := os.ReadFile(c.log("node"))
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(data)), "\n")
	return lines[len(lines)-1] + " (" + c.logs() + ")"
}
