package bundle

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/chiron-faas/chiron/workflow"
)

// skipped are names that are never code: what tools leave beside it.
var skipped = []string{
	"__pycache__", ".git", ".hg", ".svn", ".mypy_cache", ".pytest_cache", ".ruff_cache", ".venv", ".DS_Store",
}

func isSkipped(name string) bool {
	return slices.Contains(skipped, name) || strings.HasSuffix(name, ".pyc") || strings.HasSuffix(name, ".pyo")
}

// copyFunction copies a function's code to functions/NAME in dir and returns
// its handler's path in the bundle, with slashes.
func copyFunction(f *workflow.Function, dir string, limits Limits) (string, error) {
	if !filepath.IsLocal(f.File) {
		return "", fmt.Errorf("handler %q lies outside its folder %s", f.File, f.Dir)
	}
	to := filepath.Join(dir, "functions", f.Name)
	// A folder named by a link is the user's choice; links inside it must stay.
	root, err := filepath.EvalSymlinks(f.Dir)
	if err != nil {
		return "", fmt.Errorf("handler folder: %w", err)
	}
	c := copier{root: root, limits: limits}
	handler := filepath.ToSlash(f.File)
	if f.Folder {
		if err := c.tree(root, to); err != nil {
			return "", err
		}
	} else {
		handler = path.Base(handler)
		source := filepath.Join(root, f.File)
		info, err := os.Stat(source) // a single file may be a link to anywhere
		if err != nil {
			return "", fmt.Errorf("handler file: %w", err)
		}
		if err := os.MkdirAll(to, 0o755); err != nil {
			return "", err
		}
		if err := c.file(source, filepath.Join(to, handler), info); err != nil {
			return "", err
		}
	}
	if _, err := os.Stat(filepath.Join(to, filepath.FromSlash(handler))); err != nil {
		return "", fmt.Errorf("handler file %s is not among the files that were copied from %s: %w", f.File, f.Dir, err)
	}
	return path.Join("functions", f.Name, handler), nil
}

// copier copies folders within limits. Links are followed where they lead to
// something inside root, and refused where they leave it.
type copier struct {
	root   string // without links
	limits Limits
	all    bool // what tools leave beside code, too: the bytecode is host.Compile's
	files  int
	bytes  int64
	open   []string // folders that are being copied, without links: a link to one of them would never end
}

func (c *copier) tree(from, to string) error {
	real, err := filepath.EvalSymlinks(from)
	if err != nil {
		return err
	}
	if slices.Contains(c.open, real) {
		return fmt.Errorf("link %s leads to a folder that it is in: remove it", from)
	}
	c.open = append(c.open, real)
	defer func() { c.open = c.open[:len(c.open)-1] }()
	entries, err := os.ReadDir(real) // sorted by name
	if err != nil {
		return err
	}
	if err := os.MkdirAll(to, 0o755); err != nil {
		return err
	}
	for _, e := range entries {
		if !c.all && isSkipped(e.Name()) {
			continue
		}
		source, target := filepath.Join(real, e.Name()), filepath.Join(to, e.Name())
		if !isPortable(e.Name()) {
			return fmt.Errorf("file name %q in %s has a control character or a backslash: rename it", e.Name(), from)
		}
		info, err := c.stat(source, e)
		if err != nil {
			return err
		}
		if info.IsDir() {
			err = c.tree(source, target)
		} else {
			err = c.file(source, target, info)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// stat returns what source is, a link followed.
func (c *copier) stat(source string, e fs.DirEntry) (fs.FileInfo, error) {
	if e.Type()&fs.ModeSymlink == 0 {
		return e.Info()
	}
	real, err := filepath.EvalSymlinks(source)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("link %s leads nowhere: remove it", source)
	}
	if err != nil {
		return nil, err
	}
	if rel, err := filepath.Rel(c.root, real); err != nil || !filepath.IsLocal(rel) {
		return nil, fmt.Errorf("link %s leaves the folder %s: copy what it leads to, or remove it", source, c.root)
	}
	return os.Stat(real)
}

func (c *copier) file(from, to string, info fs.FileInfo) error {
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s is neither a file nor a folder (%s): remove it", from, info.Mode().Type())
	}
	if c.files++; c.files > c.limits.Files {
		return fmt.Errorf("%s holds more than %d files: is it the right folder?", c.root, c.limits.Files)
	}
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }()
	// One byte more than may be copied tells a file that is too large, or grows.
	n, err := writeFrom(to, io.LimitReader(in, c.limits.Bytes-c.bytes+1), info.Mode().Perm())
	if err != nil {
		return err
	}
	if c.bytes += n; c.bytes > c.limits.Bytes {
		return fmt.Errorf("%s holds more than %d bytes: is it the right folder?", c.root, c.limits.Bytes)
	}
	return nil
}

// copyFS writes a file system's files below to.
func copyFS(from fs.FS, to string) error {
	count := 0
	err := fs.WalkDir(from, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := fs.ReadFile(from, name)
		if err != nil {
			return err
		}
		count++
		return writeFile(filepath.Join(to, filepath.FromSlash(name)), data, 0o644)
	})
	if err == nil && count == 0 {
		return errors.New("it has no file: the binary was built wrong")
	}
	return err
}

func writeFile(name string, data []byte, perm fs.FileMode) error {
	_, err := writeFrom(name, strings.NewReader(string(data)), perm)
	return err
}

// writeFrom writes a file whose mode and times follow from its contents and
// from whether it may be executed.
func writeFrom(name string, r io.Reader, perm fs.FileMode) (int64, error) {
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return 0, err
	}
	mode := fs.FileMode(0o644)
	if perm&0o111 != 0 {
		mode = 0o755
	}
	out, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return 0, err
	}
	sum := sha256.New()
	n, err := io.Copy(out, io.TeeReader(r, sum))
	if err == nil {
		err = out.Chmod(mode) // whatever the umask says
	}
	if err = errors.Join(err, out.Close()); err != nil {
		return n, err
	}
	when := timeOf(sum)
	return n, os.Chtimes(name, when, when)
}

// timeOf makes a file's time from its contents: a second between 2000 and 2017.
// One fixed time for all would be simpler, but CPython takes a module's cached
// bytecode for current when the source's time and size have not changed
// (importlib/_bootstrap_external.py, _validate_timestamp_pyc), so that a handler
// in which only a digit changed could run its old code.
func timeOf(sum hash.Hash) time.Time {
	const year2000 = 946_684_800
	seconds := binary.BigEndian.Uint32(sum.Sum(nil)) >> 3 // 29 bits: 17 years
	return time.Unix(year2000+int64(seconds), 0)
}

// removeAll is os.RemoveAll for trees in which a folder may be read-only.
func removeAll(dir string) error {
	err := os.RemoveAll(dir)
	if err == nil || !errors.Is(err, os.ErrPermission) {
		return err
	}
	_ = filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			_ = os.Chmod(name, 0o700)
		}
		return nil
	})
	return os.RemoveAll(dir)
}
