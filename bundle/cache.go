package bundle

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// CacheFolder is where what is kept between builds lies: dir, or where that is empty the
// folder chiron in the user's cache folder (os.UserCacheDir).
func CacheFolder(dir string) (string, error) {
	if dir != "" {
		return dir, nil
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("no cache folder: %w: set HOME, or name a folder", err)
	}
	return filepath.Join(cache, "chiron"), nil
}

// keep makes a folder of the cache, unless it is there. fill makes it as made, and
// may leave what it likes in work; what it fails with is keep's.
func keep(cached string, fill func(made, work string) error) error {
	if info, err := os.Stat(cached); err == nil && info.IsDir() {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(cached), 0o700); err != nil {
		return fmt.Errorf("cache: %w", err)
	}
	work, err := os.MkdirTemp(filepath.Dir(cached), ".making-")
	if err != nil {
		return fmt.Errorf("cache: %w", err)
	}
	defer func() { _ = removeAll(work) }()
	made := filepath.Join(work, "made")
	if err := fill(made, work); err != nil {
		return err
	}
	// Another build may have been quicker: then its folder serves as well.
	if err := os.Rename(made, cached); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("cache: %w", err)
	}
	return nil
}
