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

	"github.com/chiron-faas/chiron/internal/cgroup"
)

// limits of a wrap. Zero fields limit nothing.
type limits struct {
	cpus   []int // the machine's CPU ids, each once, ascending
	quota  int   // CPUs' worth of time, where cpus cannot be enforced
	memory int64 // bytes
	pids   int   // processes and threads
}

// DefaultProcesses bounds the processes and threads of a wrap's functions: far
// more than a plan asks for, and fewer than a fork bomb needs to take the machine
// along.
const DefaultProcesses = 8192

// group is one wrap's control group: a folder in each hierarchy that is of use.
// The zero group is that of a machine without.
type group struct {
	// dirs are version 1's folders; unified is version 2's, or empty.
	dirs    []string
	unified string
	// agent is the folder within unified that the agent lives in where unified
	// hands a controller down and so can have no processes of its own.
	agent string
	// functions is the folder, below one of these, that the agent puts the
	// functions' processes into: what they start is counted there, so that a fork
	// bomb leaves the agent the threads that it needs. Empty: none.
	functions cgroup.Group
	// memory is the folder that limits and accounts for memory, or empty.
	memory cgroup.Group
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
			target := dir
			if c == "pids" && l.pids > 0 {
				if target, err = g.divide(h, dir); err != nil {
					failures[c] = err
					continue
				}
			}
			set, err := l.apply(h, target, c)
			if c == "memory" && set && err == nil {
				g.memory = cgroup.Group(dir)
			}
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
			_ = removeGroup(dir) // empty
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
	if l.pids > 0 && !g.enforced["pids"] {
		missing("the number of processes is", "pids")
	}
	return g, notes
}

// divide makes the functions' group within dir, and the agent's where dir can
// then have no processes.
func (g *group) divide(h hierarchy, dir string) (functions string, err error) {
	functions = filepath.Join(dir, "functions")
	for _, sub := range []string{functions, filepath.Join(dir, "agent")} {
		if err := os.Mkdir(sub, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
			return "", err
		}
		if !h.v2 {
			break
		}
		g.agent = sub
	}
	if h.v2 {
		if err := cgroup.Group(dir).HandDown("pids"); err != nil {
			return "", err
		}
	}
	g.functions = cgroup.Group(functions)
	return functions, nil
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
			_ = write("memory.oom.group", "0") // one process' failure is not the wrap's
			return true, write("memory.max", limit)
		}
		if err := write("memory.limit_in_bytes", limit); err != nil {
			return true, err
		}
		_ = write("memory.memsw.limit_in_bytes", limit) // the same as above
		_ = write("memory.oom_control", "0")            // kill, rather than stop what allocates
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

// flags tell the agent what it cannot see for itself: its groups, since it is
// moved into them, and limits that no group keeps, which it then keeps for each
// process (setrlimit(2)).
func (g group) flags(l limits) []string {
	var flags []string
	if g.functions != "" {
		flags = append(flags, "--functions-group", string(g.functions))
	}
	if g.memory != "" {
		flags = append(flags, "--memory-group", string(g.memory))
	}
	if l.memory > 0 && !g.enforced["memory"] {
		flags = append(flags, "--data-limit", strconv.FormatInt(l.memory, 10))
	}
	if l.pids > 0 && !g.enforced["pids"] {
		flags = append(flags, "--process-limit", strconv.Itoa(l.pids))
	}
	return flags
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
	for _, pid := range family(all, leader) {
		if err := g.add(pid); err != nil && !errors.Is(err, syscall.ESRCH) { // ESRCH: it has ended
			return err
		}
	}
	return nil
}

// procs are the files that take the group's new members.
func (g group) procs() []string {
	var files []string
	for _, top := range g.tops() {
		if top == g.unified && g.agent != "" {
			top = g.agent
		}
		files = append(files, filepath.Join(top, "cgroup.procs"))
	}
	return files
}

// add moves one process into the group, wherever it is not yet.
func (g group) add(pid int) error {
	for _, top := range g.tops() {
		if slices.Contains(processesBelow(top), pid) {
			continue
		}
		if top == g.unified && g.agent != "" {
			top = g.agent
		}
		if err := cgroup.Group(top).Add(pid); err != nil {
			return err
		}
	}
	return nil
}

// tops are the group's folders in all hierarchies.
func (g group) tops() []string {
	if g.unified == "" {
		return g.dirs
	}
	return append(slices.Clone(g.dirs), g.unified)
}

// processes lists the group's, dead ones that were not yet waited for included.
func (g group) processes() []int {
	var pids []int
	for _, top := range g.tops() {
		pids = append(pids, processesBelow(top)...)
	}
	slices.Sort(pids)
	return slices.Compact(pids)
}

// processesBelow lists the processes of a folder and of those in it.
func processesBelow(top string) []int {
	var pids []int
	_ = filepath.WalkDir(top, func(name string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return nil
		}
		pids = append(pids, cgroup.Group(name).Members()...)
		return nil
	})
	return pids
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
	for _, top := range g.tops() {
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
