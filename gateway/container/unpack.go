package container

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Bounds of an image, which anybody may have made.
const (
	// maxLayers of an image: Docker's own bound.
	maxLayers = 127
	// maxImageBytes and maxImageFiles are what its layers may hold unpacked.
	maxImageBytes = 8 << 30
	maxImageFiles = 1 << 20
)

// Names by which a layer takes away what lower ones have (OCI image
// specification, layer.md, "Whiteouts").
const (
	whiteout       = ".wh."
	opaqueWhiteout = ".wh..wh..opq"
)

// room is what an image's layers may still take.
type room struct{ bytes, files int64 }

// unpacker writes one layer to a folder in the form that overlayfs has: a name
// that is taken away is a device 0/0, and a folder that hides those below it is
// told in opaque.
type unpacker struct {
	root *os.Root
	// lower are the folders of the layers below, the nearest first: a folder that
	// is not told of here, and has something in it, is as it is there.
	lower  []string
	room   *room
	opaque []string
}

// unpack reads a layer's tar. What leads out of the layer, is no file, folder or
// link, or does not fit in its room is an error.
func (u *unpacker) unpack(ctx context.Context, r io.Reader) error {
	for t := tar.NewReader(r); ; {
		h, err := t.Next()
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("it is no tar: %w", err)
		}
		if u.room.files--; u.room.files < 0 {
			return fmt.Errorf("the image has more than %d files", maxImageFiles)
		}
		if err := u.entry(h, t); err != nil {
			return fmt.Errorf("%q: %w", h.Name, err)
		}
	}
}

// local is a name of a tar as a path within the layer.
func local(name string) (string, error) {
	clean := strings.TrimPrefix(path.Clean("/"+name), "/")
	if clean == "" {
		return ".", nil
	}
	for part := range strings.SplitSeq(name, "/") {
		if part == ".." {
			return "", errors.New("the name has \"..\" in it")
		}
	}
	if strings.ContainsRune(clean, 0) || !filepath.IsLocal(clean) {
		return "", errors.New("that is no name of a file")
	}
	return clean, nil
}

func (u *unpacker) entry(h *tar.Header, r io.Reader) error {
	if h.Typeflag == tar.TypeXGlobalHeader {
		return nil // of the tar, not of a file
	}
	name, err := local(h.Name)
	if err != nil {
		return err
	}
	if name == "." {
		return nil // the root is as we make it
	}
	if err := u.above(path.Dir(name)); err != nil {
		return err
	}
	if base := path.Base(name); strings.HasPrefix(base, whiteout) {
		return u.takeAway(path.Dir(name), base)
	}
	switch h.Typeflag {
	case tar.TypeDir:
		err = u.folder(name)
	case tar.TypeReg:
		err = u.file(name, h.Size, r)
	case tar.TypeSymlink:
		if err = u.clear(name); err == nil {
			err = u.root.Symlink(h.Linkname, name)
		}
	case tar.TypeLink:
		return u.link(name, h.Linkname) // it shares its owner and mode
	case tar.TypeChar, tar.TypeBlock, tar.TypeFifo:
		return errors.New("it is a device or a pipe, which functions are not given")
	default:
		return fmt.Errorf("entries of type %q are not known", h.Typeflag)
	}
	if err != nil {
		return err
	}
	return u.dress(name, h)
}

// dress gives an entry its owner, mode and time. Bits that change who runs a
// program mean nothing to a container without new privileges, and are left out.
func (u *unpacker) dress(name string, h *tar.Header) error {
	if err := u.root.Lchown(name, h.Uid, h.Gid); err != nil {
		return err
	}
	if h.Typeflag == tar.TypeSymlink {
		return nil
	}
	mode := fs.FileMode(h.Mode & 0o777)
	if h.Typeflag == tar.TypeDir && h.Mode&unix.S_ISVTX != 0 {
		mode |= fs.ModeSticky // of /tmp
	}
	if err := u.root.Chmod(name, mode); err != nil {
		return err
	}
	if h.Typeflag == tar.TypeReg {
		return u.root.Chtimes(name, h.ModTime, h.ModTime)
	}
	return nil
}

// above makes the folders that a name lies in, where the layer does not tell of
// them itself.
func (u *unpacker) above(dir string) error {
	if dir == "." {
		return nil
	}
	info, err := u.root.Stat(dir) // a link to a folder is one
	if err == nil && info.IsDir() {
		return nil
	}
	if err == nil {
		return fmt.Errorf("%q is no folder", dir)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := u.above(path.Dir(dir)); err != nil {
		return err
	}
	if err := u.root.Mkdir(dir, 0o755); err != nil {
		return err
	}
	for _, below := range u.lower {
		info, err := lstatIn(below, dir)
		if err != nil || !info.IsDir() {
			continue
		}
		s := info.Sys().(*syscall.Stat_t)
		if err := u.root.Lchown(dir, int(s.Uid), int(s.Gid)); err != nil {
			return err
		}
		mode := info.Mode().Perm() | info.Mode()&fs.ModeSticky
		return u.root.Chmod(dir, mode)
	}
	return u.root.Chmod(dir, 0o755)
}

func (u *unpacker) folder(name string) error {
	if info, err := u.root.Lstat(name); err == nil && info.IsDir() {
		return nil
	}
	if err := u.clear(name); err != nil {
		return err
	}
	return u.root.Mkdir(name, 0o755)
}

func (u *unpacker) file(name string, size int64, r io.Reader) (err error) {
	if u.room.bytes -= size; u.room.bytes < 0 {
		return fmt.Errorf("the image holds more than %d bytes", int64(maxImageBytes))
	}
	if err := u.clear(name); err != nil {
		return err
	}
	f, err := u.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.CopyN(f, r, size)
	return errors.Join(err, f.Close())
}

// link makes a second name of a file of the same layer.
func (u *unpacker) link(name, of string) error {
	target, err := local(of)
	if err != nil {
		return fmt.Errorf("it is a link to %q: %w", of, err)
	}
	if info, err := u.root.Lstat(target); err != nil || !info.Mode().IsRegular() {
		return fmt.Errorf("it is a link to %q, which is no file of its layer", of)
	}
	if target == name {
		return nil
	}
	if err := u.clear(name); err != nil {
		return err
	}
	return u.root.Link(target, name)
}

// clear removes what an earlier entry of the layer has made of a name.
func (u *unpacker) clear(name string) error {
	return u.root.RemoveAll(name) // a link goes, not what it leads to
}

// takeAway hides a name of the lower layers, or all that they have in a folder.
func (u *unpacker) takeAway(dir, base string) error {
	if base == opaqueWhiteout {
		u.opaque = append(u.opaque, dir)
		return nil
	}
	name := strings.TrimPrefix(base, whiteout)
	if name == "" || name == "." || name == ".." || strings.HasPrefix(name, whiteout) {
		return errors.New("it takes away a name that no file has")
	}
	if _, err := u.root.Lstat(path.Join(dir, name)); err == nil {
		return nil // what the layer itself has stays
	}
	in, err := u.root.Open(dir)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }()
	return unix.Mknodat(int(in.Fd()), name, unix.S_IFCHR, 0)
}

// isWhiteout says that a layer takes a name away.
func isWhiteout(info fs.FileInfo) bool {
	s, ok := info.Sys().(*syscall.Stat_t)
	return ok && info.Mode()&fs.ModeCharDevice != 0 && s.Rdev == 0
}

// lstatIn looks at a name in a layer's folder.
func lstatIn(dir, name string) (fs.FileInfo, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer func() { _ = root.Close() }()
	return root.Lstat(name)
}
