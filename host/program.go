package host

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/chiron-faas/chiron/host/python"
)

// WriteProgram writes the host program into dir/chiron_host, so that dir can
// be a Spec's Program. What is there already is replaced, its bytecode too.
func WriteProgram(dir string) error {
	if err := os.RemoveAll(filepath.Join(dir, "chiron_host")); err != nil {
		return fmt.Errorf("write the host program: %w", err)
	}
	files := python.Files()
	err := fs.WalkDir(files, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		path := filepath.Join(dir, filepath.FromSlash(name))
		if d.IsDir() {
			return os.MkdirAll(path, 0o755)
		}
		data, err := fs.ReadFile(files, name)
		if err != nil {
			return err
		}
		return os.WriteFile(path, data, 0o644)
	})
	if err != nil {
		return fmt.Errorf("write the host program: %w", err)
	}
	return nil
}
