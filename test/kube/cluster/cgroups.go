package cluster

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// groupsRoot has a folder for each hierarchy (version 1), or is the one of all
// (version 2).
const groupsRoot = "/sys/fs/cgroup"

// hierarchies lists the roots of the hierarchies of control groups.
func hierarchies() ([]string, error) {
	if _, err := os.Stat(filepath.Join(groupsRoot, "cgroup.controllers")); err == nil {
		return []string{groupsRoot}, nil
	}
	found, err := filepath.Glob(filepath.Join(groupsRoot, "*", "cgroup.procs"))
	if err != nil || len(found) == 0 {
		return nil, fmt.Errorf("cluster: no control groups are mounted below %s: mount them", groupsRoot)
	}
	for i := range found {
		found[i] = filepath.Dir(found[i])
	}
	return found, nil
}

// makeGroups makes the group that kubelet makes those of its pods in, which it
// wants to find in every hierarchy.
func makeGroups() error {
	roots, err := hierarchies()
	if err != nil {
		return err
	}
	for _, root := range roots {
		dir := filepath.Join(root, group)
		if err := os.Mkdir(dir, 0o755); err != nil {
			return fmt.Errorf("cluster: make a control group (is there another cluster?): %w", err)
		}
		// A group of cpuset takes no process before it has these (cpusets.rst).
		for _, file := range []string{"cpuset.cpus", "cpuset.mems"} {
			have, err := os.ReadFile(filepath.Join(root, file))
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err == nil {
				err = os.WriteFile(filepath.Join(dir, file), have, 0o644)
			}
			if err != nil {
				return fmt.Errorf("cluster: %w", err)
			}
		}
	}
	return nil
}

// removeGroups removes the groups of a node that has ended. The kernel lets go of
// a process' group only some time after its end.
func removeGroups() error {
	roots, err := hierarchies()
	if err != nil {
		return err
	}
	for _, root := range roots {
		dir := filepath.Join(root, group)
		for end := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
			err := removeTree(dir)
			if err == nil {
				break
			}
			if time.Now().After(end) {
				return fmt.Errorf("cluster: remove the control group %s: %w", dir, err)
			}
		}
	}
	return nil
}

// removeTree removes a group and those in it, the deepest first. Their files are
// the kernel's, and go with them.
func removeTree(dir string) error {
	inside, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range inside {
		if e.IsDir() {
			if err := removeTree(filepath.Join(dir, e.Name())); err != nil {
				return err
			}
		}
	}
	if err := os.Remove(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
