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

// Cluster is one that runs.
type Cluster struct {
	// Node is the process whose end is the cluster's.
	Node Process `json:"node"`

	layout
}

// readyTime bounds the way from the start of the node until it takes pods.
const readyTime = 3 * time.Minute

// patience bounds the end of what has been told to.
const patience = 20 * time.Second

// ErrDown says that no cluster runs in a folder.
var ErrDown = errors.New("cluster: none runs: bring one up with make kube-up")

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
			err = errors.Join(err, c.Down())
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

// Attach finds the cluster that runs in a folder.
func Attach(dir string) (*Cluster, error) {
	c, err := read(dir)
	if err != nil {
		return nil, err
	}
	if !c.Node.alive() {
		return nil, ErrDown
	}
	return c, nil
}

// read finds the cluster of a folder, whether it runs or not.
func read(dir string) (*Cluster, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("cluster: %w", err)
	}
	c := &Cluster{layout: layout{dir}}
	data, err := os.ReadFile(c.state())
	if errors.Is(err, os.ErrNotExist) {
		return c, ErrDown
	}
	if err != nil {
		return nil, fmt.Errorf("cluster: %w", err)
	}
	if err := json.Unmarshal(data, c); err != nil {
		return nil, fmt.Errorf("cluster: %s is damaged: end the node by hand and remove it: %w", c.state(), err)
	}
	return c, nil
}

// Machine is this machine's address for the cluster's pods.
func (c *Cluster) Machine() string { return hostAddress }

// Kubeconfig is the administrator's file.
func (c *Cluster) Kubeconfig() string { return c.kubeconfig() }

// Healthy says what keeps the cluster from running pods.
func (c *Cluster) Healthy(ctx context.Context) error {
	api, err := newClient(c.kubeconfig())
	if err != nil {
		return err
	}
	defer api.close()
	return api.healthy(ctx)
}

// Down ends the cluster of a folder, if one runs there, and removes what is left
// of it.
func Down(dir string) error {
	c, err := read(dir)
	if err != nil && !errors.Is(err, ErrDown) {
		return err
	}
	return c.Down()
}

// Down ends the cluster and removes everything of it but its logs.
func (c *Cluster) Down() error {
	if err := c.Node.end(); err != nil {
		return err
	}
	// The kernel takes a namespace's links away after its last process has ended.
	for end := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		if _, err := net.InterfaceByName(hostLink); err != nil {
			break
		}
		if time.Now().After(end) {
			return fmt.Errorf("cluster: the network interface %s stays: ip link del %s", hostLink, hostLink)
		}
	}
	return c.clear()
}

// clear removes what a node that has ended leaves.
func (c *Cluster) clear() error {
	if err := removeGroups(); err != nil {
		return err
	}
	for _, name := range c.transient() {
		if err := os.RemoveAll(name); err != nil {
			return fmt.Errorf("cluster: %w", err)
		}
	}
	return nil
}
