package pipeline

import (
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// nearest is the folder itself or the closest one above it that exists.
func nearest(dir string) string {
	for {
		if _, err := os.Stat(dir); err == nil || dir == filepath.Dir(dir) {
			return dir
		}
		dir = filepath.Dir(dir)
	}
}

// examineCgroups looks whether this process may make control groups below its
// own (cgroups(7)), which is what deploy/local does.
func examineCgroups() Finding {
	lacks := Finding{
		Subject: "cgroups", Level: Lacks,
		Cost: "wraps are held to their CPUs by affinity alone and to no memory limit",
		Fix:  "run as root, or below a group of your own: systemd-run --user --scope -p Delegate=yes chiron …",
	}
	own, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		lacks.Found = "none: " + err.Error()
		return lacks
	}
	var writable, seen []string
	for line := range strings.Lines(string(own)) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(parts) != 3 {
			continue
		}
		controllers, group := parts[1], parts[2]
		dir := filepath.Join("/sys/fs/cgroup", controllers, group)
		name := "version 2"
		if controllers != "" {
			name = controllers
		}
		if _, err := os.Stat(dir); err != nil {
			continue
		}
		seen = append(seen, name)
		if unix.Access(dir, unix.W_OK) == nil && !readOnly(dir) {
			writable = append(writable, name)
		}
	}
	switch {
	case len(seen) == 0:
		lacks.Found = "none are mounted"
	case len(writable) == 0:
		lacks.Found = "no permission to make groups (" + strings.Join(seen, ", ") + ")"
	default:
		return Finding{Subject: "cgroups", Level: Good, Found: "may make groups: " + strings.Join(writable, ", ")}
	}
	return lacks
}

func readOnly(dir string) bool {
	var s unix.Statfs_t
	return unix.Statfs(dir, &s) == nil && s.Flags&unix.ST_RDONLY != 0
}
