package bundle

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/chiron-faas/chiron/host"
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

func findInterpreter(ctx context.Context, lang, runtime string) (string, error) {
	i, err := host.FindInterpreter(ctx, lang, runtime)
	return i.Path, err
}
