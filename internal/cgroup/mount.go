package cgroup

import (
	"fmt"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
)

// controllers are those that a wrap is limited with.
var controllers = []string{"cpuset", "memory", "pids", "cpu"}

// Mount is a mounted hierarchy and this process' own group in it.
type Mount struct {
	// Point is where the hierarchy is mounted, Own the folder of the own group.
	Point, Own string
	V2         bool
	// Controllers of a version 1 hierarchy, of those that limit; version 2 names
	// them in each group.
	Controllers []string
}

// Root reports whether Own is the hierarchy's root, as far as can be seen.
func (m Mount) Root() bool { return m.Own == m.Point }

// Mounts lists the hierarchies that can limit something. A machine may have both
// versions (systemd's hybrid layout): a controller is in one of them only.
func Mounts() ([]Mount, error) {
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, fmt.Errorf("find control groups: %w", err)
	}
	own, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return nil, fmt.Errorf("find control groups: %w", err)
	}
	return parseMounts(string(mounts), string(own)), nil
}

// parseMounts reads /proc/self/mountinfo and /proc/self/cgroup
// (proc_pid_mountinfo(5), cgroups(7)) and keeps the hierarchies of use here.
func parseMounts(mountinfo, cgroup string) []Mount {
	own := make(map[string]string) // by list of controllers; "" is version 2
	for line := range strings.Lines(cgroup) {
		parts := strings.SplitN(strings.TrimSuffix(line, "\n"), ":", 3)
		if len(parts) == 3 {
			own[parts[1]] = parts[2]
		}
	}
	var mounts []Mount
	seen := make(map[string]bool)
	for line := range strings.Lines(mountinfo) {
		before, after, ok := strings.Cut(strings.TrimSpace(line), " - ")
		left, right := strings.Fields(before), strings.Fields(after)
		if !ok || len(left) < 6 || len(right) < 3 {
			continue
		}
		root, point := unescape(left[3]), unescape(left[4])
		var m Mount
		var key string
		switch right[0] {
		case "cgroup2":
			m.V2 = true
		case "cgroup":
			for _, o := range strings.Split(right[2], ",") {
				if slices.Contains(controllers, o) {
					m.Controllers = append(m.Controllers, o)
				}
			}
			if len(m.Controllers) == 0 {
				continue
			}
			for list := range own {
				if slices.Contains(strings.Split(list, ","), m.Controllers[0]) {
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
		m.Point, m.Own = point, path.Join(point, rel)
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
