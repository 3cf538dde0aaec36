package cgroup

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

	"golang.org/x/sys/unix"
)

// keeperLeaf is the group that this process moves to where its own has to hand
// controllers down.
const keeperLeaf = "chiron-keeper"

// Parent is the folder that groups are made in: the own group's, or the one that
// it was before this process moved for HandDown.
func (m Mount) Parent() string {
	if m.V2 && filepath.Base(m.Own) == keeperLeaf {
		return filepath.Dir(m.Own)
	}
	return m.Own
}

// HandDown lets groups made in Parent have a controller of version 2. Where this
// process stands in the way, it moves.
func (m Mount) HandDown(controller string) error {
	parent := Group(m.Parent())
	err := parent.HandDown(controller)
	if !errors.Is(err, syscall.EBUSY) {
		return err
	}
	if reason := parent.occupied(); reason != "" {
		return fmt.Errorf("%s: %w", reason, err)
	}
	leaf := filepath.Join(string(parent), keeperLeaf)
	if err := os.Mkdir(leaf, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	if err := Group(leaf).Add(os.Getpid()); err != nil {
		return err
	}
	return parent.HandDown(controller)
}

// HandDown lets the groups in g have a controller of version 2. A group other
// than the root hands controllers down or has processes, never both
// (cgroup-v2.rst, "No Internal Process Constraint"): EBUSY.
func (g Group) HandDown(controller string) error {
	file := filepath.Join(string(g), "cgroup.subtree_control")
	if data, err := os.ReadFile(file); err == nil && slices.Contains(strings.Fields(string(data)), controller) {
		return nil
	}
	return os.WriteFile(file, []byte("+"+controller), 0o644)
}

// occupied says why this process may not make room in its group, empty: it may. A
// login's shell is not ours to move, and only a group that was given away for it
// is to be divided.
func (g Group) occupied() string {
	members := g.Members()
	members = slices.DeleteFunc(members, func(pid int) bool { return pid == os.Getpid() })
	switch {
	case len(members) > 0:
		pids := make([]string, len(members))
		for i, pid := range members {
			pids[i] = strconv.Itoa(pid)
		}
		return fmt.Sprintf("processes %s are in this one's control group", strings.Join(pids, ", "))
	case !g.delegated():
		return "this process' control group is not delegated"
	}
	return ""
}

// delegated reports whether a group was given away: systemd says so in an
// attribute (its CGROUP_DELEGATION; since version 251), and one that belongs to a
// user other than root was given to that user.
func (g Group) delegated() bool {
	value := make([]byte, 8)
	for _, name := range []string{"user.delegate", "trusted.delegate"} {
		if n, err := unix.Getxattr(string(g), name, value); err == nil && string(value[:n]) == "1" {
			return true
		}
	}
	var info unix.Stat_t
	return os.Getuid() != 0 && unix.Stat(string(g), &info) == nil && int(info.Uid) == os.Getuid()
}

// Permitted lists the controllers that groups made by this process could be
// limited with, and says why others could not; it changes nothing.
func (m Mount) Permitted() (permitted []string, reason string) {
	dir := m.Parent()
	var s unix.Statfs_t
	switch {
	case unix.Access(dir, unix.W_OK) != nil:
		return nil, "no permission to make control groups in " + dir
	case unix.Statfs(dir, &s) == nil && s.Flags&unix.ST_RDONLY != 0:
		return nil, dir + " is mounted read-only"
	case !m.V2:
		return m.Controllers, ""
	}
	data, err := os.ReadFile(filepath.Join(dir, "cgroup.controllers"))
	if err != nil {
		return nil, err.Error()
	}
	there := strings.Fields(string(data))
	handed, _ := os.ReadFile(filepath.Join(dir, "cgroup.subtree_control")) // none, where it cannot be read
	if !m.Root() && len(strings.Fields(string(handed))) == 0 {
		reason = Group(dir).occupied()
	}
	for _, c := range controllers {
		if slices.Contains(there, c) && (reason == "" || slices.Contains(strings.Fields(string(handed)), c)) {
			permitted = append(permitted, c)
		}
	}
	if len(permitted) == 0 && reason != "" && !slices.ContainsFunc(controllers, func(c string) bool { return slices.Contains(there, c) }) {
		reason = "" // there is nothing to hand down: version 1 has it, or nobody
	}
	return permitted, reason
}
