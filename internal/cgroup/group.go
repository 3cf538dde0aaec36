package cgroup

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Group is the folder of one group; empty: none.
type Group string

// Limit is what a group holds its processes to.
type Limit struct {
	// Value in bytes, or in processes and threads.
	Value int64
	// File that holds it, for who wants to change it.
	File string
}

// Own finds the group that accounts for a controller of this process: the
// nearest with that controller, from its own one upwards; empty: none, as in the
// root of version 2.
func Own(mounts []Mount, controller string) Group {
	file := map[string]string{"memory": "memory.stat", "pids": "pids.current", "cpu": "cpu.stat", "cpuset": "cpuset.cpus"}[controller]
	for _, m := range mounts {
		if !m.V2 && !slices.Contains(m.Controllers, controller) {
			continue
		}
		for dir := m.Own; len(dir) >= len(m.Point); dir = filepath.Dir(dir) {
			if _, err := os.Stat(filepath.Join(dir, file)); err == nil {
				return Group(dir)
			}
		}
	}
	return ""
}

// OOMKills counts the processes of the group, and of those below it, that the
// kernel has killed for want of memory; version 1 tells since Linux 4.13.
func (g Group) OOMKills() (int64, error) {
	if g == "" {
		return 0, errNone
	}
	n, err := field(filepath.Join(string(g), "memory.events"), "oom_kill")
	if errors.Is(err, fs.ErrNotExist) {
		return field(filepath.Join(string(g), "memory.oom_control"), "oom_kill")
	}
	return n, err
}

// RefusedForks counts how often the group's limit of processes stood in the way
// of one more; both versions tell since Linux 4.7.
func (g Group) RefusedForks() (int64, error) {
	if g == "" {
		return 0, errNone
	}
	return field(filepath.Join(string(g), "pids.events"), "max")
}

// Memory is the smallest limit of memory from the group upwards; zero: none.
func (g Group) Memory() Limit { return g.smallest("memory.max", "memory.limit_in_bytes") }

// Processes is the smallest limit of processes and threads from the group
// upwards; zero: none.
func (g Group) Processes() Limit { return g.smallest("pids.max") }

// Add moves a process into the group.
func (g Group) Add(pid int) error {
	err := os.WriteFile(filepath.Join(string(g), "cgroup.procs"), []byte(strconv.Itoa(pid)), 0o644)
	if err != nil {
		return fmt.Errorf("put process %d into its control group: %w", pid, err)
	}
	return nil
}

var errNone = errors.New("no control group")

// smallest reads a limit's file, the first of the names that is there, of the
// group and of those above it.
func (g Group) smallest(names ...string) Limit {
	var least Limit
	for dir := string(g); len(dir) > 1; dir = filepath.Dir(dir) {
		for _, name := range names {
			data, err := os.ReadFile(filepath.Join(dir, name))
			if err != nil {
				continue
			}
			// "max" is no limit, and version 1's of memory is the largest number
			// of whole pages.
			n, err := strconv.ParseInt(strings.TrimSpace(string(data)), 10, 64)
			if err == nil && n < math.MaxInt64>>1 && (least.File == "" || n < least.Value) {
				least = Limit{n, filepath.Join(dir, name)}
			}
			break
		}
	}
	return least
}

// field reads a number of a file of "name number" lines.
func field(file, name string) (int64, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(data)) {
		if rest, ok := strings.CutPrefix(line, name+" "); ok {
			return strconv.ParseInt(strings.TrimSpace(rest), 10, 64)
		}
	}
	return 0, fmt.Errorf("%s has no %q: %w", file, name, fs.ErrNotExist)
}

// Members lists the group's processes, dead ones that were not yet waited for
// included.
func (g Group) Members() []int {
	data, err := os.ReadFile(filepath.Join(string(g), "cgroup.procs"))
	if err != nil {
		return nil // it is gone, and so are its processes
	}
	var pids []int
	for _, f := range strings.Fields(string(data)) {
		if pid, err := strconv.Atoi(f); err == nil && pid > 0 { // 0: of another pid namespace
			pids = append(pids, pid)
		}
	}
	return pids
}
