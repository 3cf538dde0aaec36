package bundle

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/chiron-faas/chiron/host"
	"github.com/chiron-faas/chiron/host/python"
)

// hostProgram is the program that runs functions of a language, as it is
// embedded in this binary.
func hostProgram(lang string) (fs.FS, error) {
	if lang != "python" {
		return nil, fmt.Errorf("no host for lang %q: use python", lang)
	}
	return python.Files(), nil
}

// copyHost writes the host program, with its bytecode where an interpreter can make
// that.
func (b *builder) copyHost(ctx context.Context, lang string, python interpreter, to string) error {
	program, err := hostProgram(lang)
	if err != nil {
		return err
	}
	if python.compiler == "" {
		return copyFS(program, to)
	}
	compiled, err := b.compiledHost(ctx, program, lang, python)
	if err != nil {
		return err
	}
	c := copier{root: compiled, limits: DefaultLimits, all: true} // ours, not the user's
	return c.tree(compiled, to)
}

// compiledHost is the host program with its bytecode, kept in the cache.
func (b *builder) compiledHost(ctx context.Context, program fs.FS, lang string, python interpreter) (string, error) {
	key := sha256.New()
	fmt.Fprintf(key, "chiron host 1\n%s\n", python.compiler)
	err := fs.WalkDir(program, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := fs.ReadFile(program, name)
		fmt.Fprintf(key, "%s %d\n%s", name, len(data), data)
		return err
	})
	if err != nil {
		return "", err
	}
	cached := filepath.Join(b.CacheDir, "hosts", hex.EncodeToString(key.Sum(nil)))
	return cached, keep(cached, func(made, _ string) error {
		if err := copyFS(program, made); err != nil {
			return err
		}
		return host.Compile(ctx, python.path, made, "host/"+lang)
	})
}
