package systems

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"

	"github.com/chiron-faas/chiron/pipeline"
	"github.com/chiron-faas/chiron/workflow"
)

// equalJSON compares values that a decoder with UseNumber made.
func equalJSON(a, b any) bool { return reflect.DeepEqual(a, b) }

// copyProject copies a project's folder, less what is made of it, and returns a
// digest of what it copied.
func copyProject(p *workflow.Project, to string) (digest string, err error) {
	files := pipeline.FilesOf(p)
	h := sha256.New()
	err = filepath.WalkDir(p.Dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(p.Dir, path)
		if err != nil {
			return err
		}
		at := filepath.Join(to, name)
		if d.IsDir() {
			if name != "." && (strings.HasPrefix(d.Name(), ".") || d.Name() == "__pycache__") {
				return filepath.SkipDir
			}
			return os.MkdirAll(at, 0o755)
		}
		if path == files.Plan || path == files.Profile {
			return nil
		}
		info, err := os.Stat(path) // a link's target
		if err != nil {
			return err
		}
		if !info.Mode().IsRegular() {
			return nil
		}
		fmt.Fprintf(h, "%d:%s%d:", len(name), name, info.Size())
		return copyFile(path, at, info.Mode().Perm(), h)
	})
	if err != nil {
		return "", fmt.Errorf("copy the project: %w", err)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// copyFile copies a file, and its content into a hash.
func copyFile(from, to string, mode fs.FileMode, h io.Writer) (err error) {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode|0o200)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.MultiWriter(out, h), in)
	if closeErr := out.Close(); err == nil {
		err = closeErr
	}
	return err
}
