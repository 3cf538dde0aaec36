package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// Cluster is one that runs.
type Cluster struct {
	// Node is the process whose end is the cluster's.
	Node Process `json:"node"`

	layout
}

// patience bounds the end of what has been told to.
const patience = 20 * time.Second

// ErrDown says that no cluster runs in a folder.
var ErrDown = errors.New("cluster: none runs: bring one up with make kube-up")

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

// lock keeps other processes from bringing the folder's cluster up or down
// meanwhile.
func (c *Cluster) lock() (unlock func(), err error) {
	if err := os.MkdirAll(c.dir, 0o755); err != nil {
		return nil, fmt.Errorf("cluster: %w", err)
	}
	folder, err := os.Open(c.dir)
	if err != nil {
		return nil, fmt.Errorf("cluster: %w", err)
	}
	if err := syscall.Flock(int(folder.Fd()), syscall.LOCK_EX); err != nil {
		return nil, fmt.Errorf("cluster: lock %s: %w", c.dir, errors.Join(err, folder.Close()))
	}
	return func() { _ = folder.Close() }, nil // which unlocks it
}

// Down ends the cluster of a folder and removes everything of it but its logs; ErrDown
// where there is none. Another folder's, whose link and control groups have the same
// names, it leaves alone.
func Down(dir string) error {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return fmt.Errorf("cluster: %w", err)
	}
	unlock, err := (&Cluster{layout: layout{dir}}).lock()
	if err != nil {
		return err
	}
	defer unlock()
	c, err := read(dir)
	if err != nil {
		return err
	}
	return c.down()
}

func (c *Cluster) down() error {
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
