package local

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// hierarchy is a tree of control groups in which this process may make groups.
type hierarchy struct {
	// parent is the folder that holds the groups of a state folder's deployments.
	parent string
	// v2 is the unified hierarchy (cgroups(7)); else the tree is version 1's.
	v2 bool
	// controllers that limit groups made in parent.
	controllers []string
	// from is what parent was made in: parent goes with the last deployment, and
	// the next one needs it again.
	from mount
}

// make makes a group, and the folder of all deployments where it has gone.
func (h hierarchy) make(name string) (dir string, err error) {
	dir = filepath.Join(h.parent, name)
	// Whoever removes the folder may do so again in between, but not for long.
	for range 10 {
		err = os.Mkdir(dir, 0o755)
		if err == nil || errors.Is(err, fs.ErrExist) {
			return dir, nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return dir, err
		}
		if _, err = h.from.prepare(filepath.Base(h.parent)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return dir, err
		}
	}
	return dir, err
}

func (h hierarchy) has(controller string) bool { return slices.Contains(h.controllers, controller) }

// wanted are the controllers that a wrap is limited with.
var wanted = []string{"cpuset", "memory", "pids", "cpu"}

// mount is a mounted hierarchy and this process' own group in it.
type mount struct {
	own         string // folder
	root        bool   // own is the hierarchy's root, as far as can be seen
	v2          bool
	controllers []string // version 1 only
}

// findCgroups prepares every hierarchy that this process may make groups in. A
// machine may have both versions (systemd's hybrid layout): then version 1 has
// the controllers, and version 2 serves to know and kill a group's processes.
//
// The folder of the groups is the state folder's own: deployments of one name in
// two state folders must not share groups, for stopping one kills its group.
func findCgroups(stateDir string) ([]hierarchy, error) {
	sum := sha256.Sum256([]byte(stateDir))
	folder := fmt.Sprintf("chiron-%d-%x", os.Getuid(), sum[:6])
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, fmt.Errorf("find control groups: %w", err)
	}
	own, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return nil, fmt.Errorf("find control groups: %w", err)
	}
	var found []hierarchy
	var refused error
	for _, m := range parseMounts(string(mounts), string(own)) {
		h, err := m.prepare(folder)
		if err != nil {
			refused = errors.Join(refused, err)
			continue
		}
		_ = os.Remove(h.parent) // it can be made; who only looks leaves nothing. Busy: it is in use
		found = append(found, h)
	}
	if len(found) == 0 && refused == nil {
		refused = errors.New("no control groups are mounted")
	}
	if len(found) == 0 {
		return nil, refused
	}
	return found, nil
}

// prepare makes the folder of all deployments in this process' own group.
func (m mount) prepare(name string) (hierarchy, error) {
	h := hierarchy{parent: filepath.Join(m.own, name), v2: m.v2, controllers: m.controllers, from: m}
	if err := os.Mkdir(h.parent, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return h, err
	}
	if m.v2 {
		// A controller has to be handed down twice: to the folder and to the
		// groups in it. A group that has processes of its own, as ours has
		// unless it is the root, cannot hand any down: then there are none.
		for _, c := range wanted {
			if delegate(m.own, c) == nil && delegate(h.parent, c) == nil {
				h.controllers = append(h.controllers, c)
			}
		}
		return h, nil
	}
	if h.has("cpuset") {
		// A new group of version 1 has no CPU and no memory node, and nothing
		// can run in it before it has.
		for _, file := range []string{"cpuset.cpus", "cpuset.mems"} {
			data, err := os.ReadFile(filepath.Join(m.own, file))
			if err == nil {
				err = os.WriteFile(filepath.Join(h.parent, file), data, 0o644)
			}
			if err != nil {
				return h, fmt.Errorf("set up %s: %w", h.parent, err)
			}
		}
	}
	return h, nil
}

// delegate hands a controller down to a group's children.
func delegate(dir, controller string) error {
	file := filepath.Join(dir, "cgroup.subtree_control")
	if data, err := os.ReadFile(file); err == nil && slices.Contains(strings.Fields(string(data)), controller) {
		return nil
	}
	return os.WriteFile(file, []byte("+"+controller), 0o644)
}

// parseMounts reads /proc/self/mountinfo and /proc/self/cgroup
// (proc_pid_mountinfo(5), cgroups(7)) and keeps the hierarchies of use here.
func parseMounts(mountinfo, cgroup string) []mount {
	own := make(map[string]string) // by list of controllers; "" is version 2
	for line := range strings.Lines(cgroup) {
		parts := strings.SplitN(strings.TrimSuffix(line, "\n"), ":", 3)
		if len(parts) == 3 {
			own[parts[1]] = parts[2]
		}
	}
	var mounts []mount
	seen := make(map[string]bool)
	for line := range strings.Lines(mountinfo) {
		before, after, ok := strings.Cut(strings.TrimSpace(line), " - ")
		left, right := strings.Fields(before), strings.Fields(after)
		if !ok || len(left) < 6 || len(right) < 3 {
			continue
		}
		root, point := unescape(left[3]), unescape(left[4])
		var m mount
		var key string
		switch right[0] {
		case "cgroup2":
			m.v2 = true
		case "cgroup":
			for _, o := range strings.Split(right[2], ",") {
				if slices.Contains(wanted, o) {
					m.controllers = append(m.controllers, o)
				}
			}
			if len(m.controllers) == 0 {
				continue
			}
			for list := range own {
				if slices.Contains(strings.Split(list, ","), m.controllers[0]) {
					key = list
				}
			}
		default:
			continue
		}
		where, ok := own[key]
		if !ok || seen[key] {
			continue
		}
		seen[key] = true
		// The mount may show only a part of the tree, as in a container.
		rel := strings.TrimPrefix(where, root)
		if root == "/" {
			rel = where
		} else if !strings.HasPrefix(where, root) || strings.HasPrefix(rel, "..") {
			rel = ""
		}
		m.own = path.Join(point, rel)
		m.root = m.own == point
		mounts = append(mounts, m)
	}
	return mounts
}

// unescape decodes the octal escapes of mountinfo (\040 is a space).
func unescape(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(n))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}
