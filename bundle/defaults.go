package bundle

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/chiron-faas/chiron/host"
	"github.com/chiron-faas/chiron/host/python"
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

// hostProgram is the program that runs functions of a language, as it is
// embedded in this binary.
func hostProgram(lang string) (fs.FS, error) {
	if lang != "python" {
		return nil, fmt.Errorf("no host for lang %q: use python", lang)
	}
	return python.Files(), nil
}
