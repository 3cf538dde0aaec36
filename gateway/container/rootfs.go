package container

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// rootfs is a container's root file system.
type rootfs struct {
	dir string // of ours: scratch and root lie in it
	// mounts that were made, the last first.
	mounts []string
	// overlaid: it is an overlay; else a copy.
	overlaid bool
}

func (r *rootfs) root() string { return filepath.Join(r.dir, "root") }

// newRootfs makes a container's root of an image's layers in dir, with scratch
// bytes for what it writes. A copy has no such bound: its files are on the disk.
func newRootfs(i *Image, dir string, scratch int64) (r *rootfs, err error) {
	r = &rootfs{dir: dir}
	if err := os.MkdirAll(r.root(), 0o755); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, r.remove())
		}
	}()
	err = r.overlay(i, scratch)
	if err == nil {
		r.overlaid = true
		return r, nil
	}
	if !errors.Is(err, unix.EPERM) && !errors.Is(err, unix.ENODEV) && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.EOPNOTSUPP) {
		return nil, err
	}
	if err := r.unmount(); err != nil {
		return nil, err
	}
	return r, copyLayers(i, r.root())
}

// overlay mounts the layers over each other, and memory over them all.
func (r *rootfs) overlay(i *Image, scratch int64) error {
	memory := filepath.Join(r.dir, "scratch")
	if err := os.MkdirAll(memory, 0o700); err != nil {
		return err
	}
	if err := unix.Mount("chiron", memory, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, fmt.Sprintf("size=%d,mode=0700", scratch)); err != nil {
		return fmt.Errorf("memory for what a container writes: %w", err)
	}
	r.mounts = append(r.mounts, memory)
	upper, work := filepath.Join(memory, "upper"), filepath.Join(memory, "work")
	if err := errors.Join(os.Mkdir(upper, 0o755), os.Mkdir(work, 0o700)); err != nil {
		return err
	}
	// The kernel takes one page of options. An open folder has a short name there,
	// whatever its own is and holds.
	var lower []string
	for _, chain := range slices.Backward(i.layers) {
		f, err := os.Open(filepath.Join(i.store.layerDir(chain), "tree"))
		if err != nil {
			return err
		}
		defer func() { _ = f.Close() }()
		lower = append(lower, fmt.Sprintf("/proc/self/fd/%d", f.Fd()))
	}
	up, err := os.Open(upper)
	if err != nil {
		return err
	}
	defer func() { _ = up.Close() }()
	wk, err := os.Open(work)
	if err != nil {
		return err
	}
	defer func() { _ = wk.Close() }()
	options := fmt.Sprintf("lowerdir=%s,upperdir=/proc/self/fd/%d,workdir=/proc/self/fd/%d", strings.Join(lower, ":"), up.Fd(), wk.Fd())
	if err := unix.Mount("chiron", r.root(), "overlay", unix.MS_NOSUID|unix.MS_NODEV, options); err != nil {
		return fmt.Errorf("lay an image's layers over each other: %w", err)
	}
	r.mounts = append(r.mounts, r.root())
	return nil
}

func (r *rootfs) unmount() error {
	var failures []error
	for _, m := range slices.Backward(r.mounts) {
		if err := unix.Unmount(m, unix.MNT_DETACH); err != nil {
			failures = append(failures, fmt.Errorf("unmount %s: %w", m, err))
		}
	}
	r.mounts = nil
	return errors.Join(failures...)
}

// remove takes it away, with all that was written to it.
func (r *rootfs) remove() error {
	if err := r.unmount(); err != nil {
		return err // below are layers, which are others' too
	}
	return os.RemoveAll(r.dir)
}

// removeLeft takes away what an earlier process has left in a folder of containers.
func removeLeft(dir string) error {
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return err
	}
	var ours []string
	for line := range strings.Lines(string(mounts)) {
		// The fifth field, in which a space is "\040" (proc_pid_mountinfo(5)).
		if fields := strings.Fields(line); len(fields) > 4 {
			point := strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace(fields[4])
			if strings.HasPrefix(point, dir+"/") {
				ours = append(ours, point)
			}
		}
	}
	for _, point := range slices.Backward(ours) {
		if err := unix.Unmount(point, unix.MNT_DETACH); err != nil {
			return fmt.Errorf("unmount %s: %w", point, err)
		}
	}
	return os.RemoveAll(dir)
}

// copyLayers writes an image's files to a folder.
func copyLayers(i *Image, to string) error {
	dst, err := os.OpenRoot(to)
	if err != nil {
		return err
	}
	defer func() { _ = dst.Close() }()
	for _, chain := range i.layers {
		dir := i.store.layerDir(chain)
		var l layerFile
		data, err := os.ReadFile(filepath.Join(dir, "layer"))
		if err == nil {
			err = json.Unmarshal(data, &l)
		}
		if err == nil {
			err = copyLayer(filepath.Join(dir, "tree"), dst, l.Opaque)
		}
		if err != nil {
			return fmt.Errorf("copy an image's files: %w", err)
		}
	}
	return nil
}

func copyLayer(from string, dst *os.Root, opaque []string) error {
	src, err := os.OpenRoot(from)
	if err != nil {
		return err
	}
	defer func() { _ = src.Close() }()
	for _, dir := range opaque {
		if err := empty(dst, dir); err != nil {
			return err
		}
	}
	return fs.WalkDir(src.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || name == "." {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		s, ok := info.Sys().(*syscall.Stat_t)
		if !ok {
			return fmt.Errorf("%s: its owner is not told", name)
		}
		there, err := dst.Lstat(name)
		if known := err == nil && there.IsDir() && info.IsDir(); !known {
			if err := dst.RemoveAll(name); err != nil {
				return err
			}
			if isWhiteout(info) {
				return nil
			}
			if err := copyEntry(src, dst, name, info); err != nil {
				return err
			}
		}
		if err := dst.Lchown(name, int(s.Uid), int(s.Gid)); err != nil || info.Mode()&fs.ModeSymlink != 0 {
			return err
		}
		return dst.Chmod(name, info.Mode().Perm()|info.Mode()&fs.ModeSticky)
	})
}

// empty removes what a folder holds, where it is one.
func empty(root *os.Root, dir string) error {
	entries, err := fs.ReadDir(root.FS(), dir)
	if err != nil {
		return nil // there is none to hide
	}
	for _, e := range entries {
		if err := root.RemoveAll(path.Join(dir, e.Name())); err != nil {
			return err
		}
	}
	return nil
}

func copyEntry(src, dst *os.Root, name string, info fs.FileInfo) error {
	switch {
	case info.IsDir():
		return dst.Mkdir(name, 0o755)
	case info.Mode()&fs.ModeSymlink != 0:
		target, err := src.Readlink(name)
		if err != nil {
			return err
		}
		return dst.Symlink(target, name)
	}
	in, err := src.Open(name)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }()
	out, err := dst.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	if err = errors.Join(err, out.Close()); err != nil {
		return err
	}
	return dst.Chtimes(name, info.ModTime(), info.ModTime())
}
