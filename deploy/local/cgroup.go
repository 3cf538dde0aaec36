package local

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// limits of a wrap. Zero fields limit nothing.
type limits struct {
	cpus   []int // the machine's CPU ids, each once, ascending
	quota  int   // CPUs' worth of time, where cpus cannot be enforced
	memory int64 // bytes
	pids   int   // processes and threads
}

// defaultPids bounds a wrap's processes and threads: far more than a plan asks
// for, and fewer than a fork bomb needs to take the machine along.
const defaultPids = 8192

// group is one wrap's control group: a folder in each hierarchy that is of use.
// The zero group is that of a machine without.
type group struct {
	// dirs are version 1's folders; unified is version 2's, or empty.
	dirs    []string
	unified string
	// enforced says which limits hold.
	enforced map[string]bool
}

// newGroup makes a wrap's group in the hierarchies. What cannot be enforced
// comes back as notes, one for each limit.
func newGroup(hierarchies []hierarchy, name string, l limits) (g group, notes []string) {
	g.enforced = make(map[string]bool)
	failures := make(map[string]error) // by controller
	for _, h := range hierarchies {
		dir, err := h.make(name)
		if err != nil {
			for _, c := range h.controllers {
				failures[c] = err
			}
			continue
		}
		useful := h.v2 // it knows and kills its processes
		for _, c := range h.controllers {
			set, err := l.apply(h, dir, c)
			switch {
			case err != nil:
				failures[c] = err
			case set:
				g.enforced[c], useful = true, true
			}
		}
		switch {
		case h.v2:
			g.unified = dir
		case useful:
			g.dirs = append(g.dirs, dir)
		default:
			_ = os.Remove(dir) // empty; if it stays, remove finds it
		}
	}
	missing := func(what string, controller string) {
		reason := "no such control group here"
		if err := failures[controller]; err != nil {
			reason = err.Error()
		}
		notes = append(notes, fmt.Sprintf("%s not enforced: %s", what, reason))
	}
	if len(l.cpus) > 0 && !g.enforced["cpuset"] {
		missing("the CPU set is a default that functions may leave,", "cpuset")
	}
	if l.memory > 0 && !g.enforced["memory"] {
		missing("memory limits are", "memory")
	}
	return g, notes
}

// apply writes one controller's limit; set is false where there is none to set.
func (l limits) apply(h hierarchy, dir, controller string) (set bool, err error) {
	write := func(file, value string) error {
		return os.WriteFile(filepath.Join(dir, file), []byte(value), 0o644)
	}
	switch controller {
	case "cpuset":
		if len(l.cpus) == 0 {
			return false, nil
		}
		if !h.v2 {
			mems, err := os.ReadFile(filepath.Join(h.parent, "cpuset.mems"))
			if err != nil {
				return false, err
			}
			if err := write("cpuset.mems", strings.TrimSpace(string(mems))); err != nil {
				return false, err
			}
		}
		return true, write("cpuset.cpus", joinInts(l.cpus))
	case "cpu":
		if l.quota <= 0 {
			return false, nil
		}
		const period = 100_000 // µs, the kernel's default
		if h.v2 {
			return true, write("cpu.max", fmt.Sprintf("%d %d", l.quota*period, period))
		}
		return true, errors.Join(write("cpu.cfs_period_us", strconv.Itoa(period)), write("cpu.cfs_quota_us", strconv.Itoa(l.quota*period)))
	case "memory":
		if l.memory <= 0 {
			return false, nil
		}
		limit := strconv.FormatInt(l.memory, 10)
		if h.v2 {
			// Without swap accounting there is no such file, and no harm.
			_ = write("memory.swap.max", "0")
			return true, write("memory.max", limit)
		}
		if err := write("memory.limit_in_bytes", limit); err != nil {
			return true, err
		}
		_ = write("memory.memsw.limit_in_bytes", limit) // the same as above
		return true, nil
	case "pids":
		if l.pids <= 0 {
			return false, nil
		}
		return true, write("pids.max", strconv.Itoa(l.pids))
	default:
		return false, nil
	}
}

func joinInts(n []int) string {
	parts := make([]string, len(n))
	for i, v := range n {
		parts[i] = strconv.Itoa(v)
	}
	return strings.Join(parts, ",")
}

// exists reports whether there is any group at all.
func (g group) exists() bool { return g.unified != "" || len(g.dirs) > 0 }

// addTree moves a process, and what it has started by then, into the group. What
// it starts afterwards is born there.
func (g group) addTree(leader int) error {
	if err := g.add(leader); err != nil {
		return err
	}
	all, err := processes()
	if err != nil {
		return err
	}
	inside := g.processes()
	for _, pid := range family(all, leader) {
		if slices.Contains(inside, pid) {
			continue
		}
		if err := g.add(pid); err != nil && !errors.Is(err, syscall.ESRCH) { // ESRCH: it has ended
			return err
		}
	}
	return nil
}

// add moves one process into the group.
func (g group) add(pid int) error {
	dirs := g.dirs
	if g.unified != "" {
		dirs = append(slices.Clone(dirs), g.unified)
	}
	for _, dir := range dirs {
		if err := os.WriteFile(filepath.Join(dir, "cgroup.procs"), []byte(strconv.Itoa(pid)), 0o644); err != nil {
			return fmt.Errorf("put process %d into its control group: %w", pid, err)
		}
	}
	return nil
}

// processes lists the group's, dead ones that were not yet waited for included.
func (g group) processes() []int {
	var pids []int
	for _, top := range append(slices.Clone(g.dirs), g.unified) {
		if top == "" {
			continue
		}
		_ = filepath.WalkDir(top, func(name string, d fs.DirEntry, err error) error {
			if err != nil || !d.IsDir() {
				return nil
			}
			data, err := os.ReadFile(filepath.Join(name, "cgroup.procs"))
			if err != nil {
				return nil // it is gone, and so are its processes
			}
			for _, field := range strings.Fields(string(data)) {
				if pid, err := strconv.Atoi(field); err == nil && pid > 0 { // 0: of another pid namespace
					pids = append(pids, pid)
				}
			}
			return nil
		})
	}
	slices.Sort(pids)
	return slices.Compact(pids)
}

// kill sends SIGKILL to the whole group where the kernel can do so at once
// (cgroup.kill, since Linux 5.14): a process cannot fork its way out.
func (g group) kill() bool {
	return g.unified != "" && os.WriteFile(filepath.Join(g.unified, "cgroup.kill"), []byte("1"), 0o644) == nil
}

// remove takes the group's folders away. The kernel keeps one busy until its
// last process has been waited for.
func (g group) remove() error {
	var failures []error
	for _, top := range append(slices.Clone(g.dirs), g.unified) {
		if top == "" {
			continue
		}
		failures = append(failures, removeGroup(top))
		// The folder of all deployments goes with the last of them.
		_ = os.Remove(filepath.Dir(top))
	}
	return errors.Join(failures...)
}

// groupPatience bounds the wait for a group's last process to be waited for.
const groupPatience = 2 * time.Second

func removeGroup(top string) error {
	var err error
	for end := time.Now().Add(groupPatience); ; time.Sleep(5 * time.Millisecond) {
		var dirs []string
		_ = filepath.WalkDir(top, func(name string, d fs.DirEntry, err error) error {
			if err == nil && d.IsDir() {
				dirs = append(dirs, name)
			}
			return nil
		})
		slices.Reverse(dirs) // children first
		err = nil
		for _, dir := range dirs {
			if e := os.Remove(dir); e != nil && !errors.Is(e, fs.ErrNotExist) {
				err = fmt.Errorf("remove control group: %w", e)
			}
		}
		if err == nil || time.Now().After(end) {
			return err
		}
	}
}

// groupsBelow names a deployment's groups, whoever made them. No deployment's
// name holds a dot, so the groups of "a" are told from those of "a-b".
func groupsBelow(hierarchies []hierarchy, deployment string) []string {
	var names []string
	for _, h := range hierarchies {
		entries, err := os.ReadDir(h.parent)
		if err != nil {
			continue // there is none
		}
		for _, e := range entries {
			if e.IsDir() && strings.HasPrefix(e.Name(), groupName(deployment, "")) {
				names = append(names, e.Name())
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// groupsOf finds the groups of one wrap that another process made.
func groupsOf(hierarchies []hierarchy, name string) group {
	var g group
	for _, h := range hierarchies {
		dir := filepath.Join(h.parent, name)
		if info, err := os.Stat(dir); err != nil || !info.IsDir() {
			continue
		}
		if h.v2 {
			g.unified = dir
		} else {
			g.dirs = append(g.dirs, dir)
		}
	}
	return g
}
