package local

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/chiron-faas/chiron/internal/cgroup"
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
	from cgroup.Mount
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
		if _, err = prepare(h.from, filepath.Base(h.parent), wanted); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return dir, err
		}
	}
	return dir, err
}

func (h hierarchy) has(controller string) bool { return slices.Contains(h.controllers, controller) }

// wanted are the controllers that a wrap is limited with.
var wanted = []string{"cpuset", "memory", "pids", "cpu"}

// findCgroups prepares every hierarchy that this process may make groups in. A
// machine may have both versions (systemd's hybrid layout): then version 1 has
// the controllers, and version 2 serves to know and kill a group's processes.
//
// The folder of the groups is the state folder's own: deployments of one name in
// two state folders must not share groups, for stopping one kills its group.
func findCgroups(stateDir string) ([]hierarchy, error) {
	sum := sha256.Sum256([]byte(stateDir))
	folder := fmt.Sprintf("chiron-%d-%x", os.Getuid(), sum[:6])
	mounts, err := cgroup.Mounts()
	if err != nil {
		return nil, err
	}
	var found []hierarchy
	var refused error
	for _, m := range mounts {
		h, err := prepare(m, folder, wanted)
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
func prepare(m cgroup.Mount, name string, controllers []string) (hierarchy, error) {
	own := m.Parent()
	h := hierarchy{parent: filepath.Join(own, name), v2: m.V2, controllers: m.Controllers, from: m}
	if err := os.Mkdir(h.parent, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return h, err
	}
	if m.V2 {
		// A controller has to be handed down twice: to the folder and to the
		// groups in it.
		for _, c := range controllers {
			if m.HandDown(c) == nil && cgroup.Group(h.parent).HandDown(c) == nil {
				h.controllers = append(h.controllers, c)
			}
		}
		return h, nil
	}
	if h.has("cpuset") {
		// A new group of version 1 has no CPU and no memory node, and nothing
		// can run in it before it has.
		for _, file := range []string{"cpuset.cpus", "cpuset.mems"} {
			data, err := os.ReadFile(filepath.Join(own, file))
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
