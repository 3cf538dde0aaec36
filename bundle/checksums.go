package bundle

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/chiron-faas/chiron/internal/dnslabel"
	"github.com/chiron-faas/chiron/plan"
)

// checksumsFile lists every other file of a bundle.
const checksumsFile = "checksums"

// maxManifest bounds wrap.json and checksums when read, bytes.
const maxManifest = 64 << 20

// seal writes the file checksums: what the bundle is from now on. It also gives
// the folders their modes.
func seal(dir string) error {
	files, err := list(dir)
	if err != nil {
		return err
	}
	var out bytes.Buffer
	for _, name := range files {
		sum, err := fileSum(filepath.Join(dir, filepath.FromSlash(name)))
		if err != nil {
			return err
		}
		fmt.Fprintf(&out, "%s  %s\n", sum, name)
	}
	if err := writeFile(filepath.Join(dir, checksumsFile), out.Bytes(), 0o644); err != nil {
		return err
	}
	return filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return err
		}
		return os.Chmod(name, 0o755) // whatever the umask says
	})
}

// list names every file of a bundle but its checksums, with slashes, sorted.
func list(dir string) ([]string, error) {
	var files []string
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, name)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		switch {
		case d.IsDir():
			return nil
		case !d.Type().IsRegular():
			return fmt.Errorf("%s is no file: a bundle holds only files and folders", rel)
		case !isPortable(rel):
			return fmt.Errorf("file name %q has a control character or a backslash", rel)
		case rel != checksumsFile:
			files = append(files, rel)
		}
		return nil
	})
	slices.Sort(files)
	return files, err
}

func fileSum(name string) (string, error) {
	f, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }()
	sum := sha256.New()
	if _, err := io.Copy(sum, f); err != nil {
		return "", fmt.Errorf("read %s: %w", name, err)
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

// Open reads what a bundle's folder says of itself. It does not read the
// functions' files; Verify does.
func Open(dir string) (Bundle, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return Bundle{}, fmt.Errorf("open bundle: %w", err)
	}
	b := Bundle{Dir: dir}
	data, err := readBounded(filepath.Join(dir, plan.ManifestFile))
	if errors.Is(err, os.ErrNotExist) {
		return b, fmt.Errorf("%s is no bundle: it has no wrap.json: build it again: %w", dir, err)
	}
	if err != nil {
		return b, fmt.Errorf("open bundle: %w", err)
	}
	m, err := plan.DecodeManifest(data)
	if err != nil {
		return b, fmt.Errorf("bundle %s: wrap.json: %w: build it again", dir, err)
	}
	if !dnslabel.Valid(m.Wrap) {
		return b, fmt.Errorf("bundle %s: wrap name %q is no DNS label: build it again", dir, m.Wrap)
	}
	b.Wrap, b.PlanID = m.Wrap, m.PlanID
	for _, f := range m.Functions {
		b.Functions = append(b.Functions, f.Name)
	}
	slices.Sort(b.Functions)
	if b.Digest, err = Digest(dir); err != nil {
		return b, err
	}
	return b, nil
}

// Digest returns the digest of a bundle's file checksums: two bundles with the
// same digest have the same files, if Verify finds no fault.
func Digest(dir string) (string, error) {
	data, err := readBounded(filepath.Join(dir, checksumsFile))
	if err != nil {
		return "", fmt.Errorf("bundle %s: %w: build it again", dir, err)
	}
	sum := sha256.Sum256(data)
	return "sha256:" + hex.EncodeToString(sum[:]), nil
}

// Verify opens a bundle and reads every file of it: none may differ from the
// checksums, be missing or be there besides.
func Verify(dir string) (Bundle, error) {
	b, err := Open(dir)
	if err != nil {
		return b, err
	}
	data, err := readBounded(filepath.Join(b.Dir, checksumsFile))
	if err != nil {
		return b, fmt.Errorf("verify bundle: %w", err)
	}
	want, err := parseChecksums(data)
	if err != nil {
		return b, fmt.Errorf("bundle %s: %w: build it again", b.Dir, err)
	}
	files, err := list(b.Dir)
	if err != nil {
		return b, fmt.Errorf("bundle %s: %w", b.Dir, err)
	}
	for _, name := range files {
		sum, ok := want[name]
		if !ok {
			return b, fmt.Errorf("bundle %s: %s is not in its checksums: build it again", b.Dir, name)
		}
		delete(want, name)
		got, err := fileSum(filepath.Join(b.Dir, filepath.FromSlash(name)))
		if err != nil {
			return b, fmt.Errorf("verify bundle: %w", err)
		}
		if got != sum {
			return b, fmt.Errorf("bundle %s: %s was changed after the build: build it again", b.Dir, name)
		}
	}
	for name := range want {
		return b, fmt.Errorf("bundle %s: %s is missing: build it again", b.Dir, name)
	}
	return b, nil
}

// parseChecksums reads sha256sum's form: 64 hex digits, two spaces, a path.
func parseChecksums(data []byte) (map[string]string, error) {
	sums := make(map[string]string)
	s := bufio.NewScanner(bytes.NewReader(data))
	s.Buffer(nil, 64<<10)
	for line := 1; s.Scan(); line++ {
		sum, name, ok := strings.Cut(s.Text(), "  ")
		if raw, err := hex.DecodeString(sum); !ok || err != nil || len(raw) != sha256.Size || sum != strings.ToLower(sum) {
			return nil, fmt.Errorf("checksums:%d: not a line of sha256sum", line)
		}
		if !filepath.IsLocal(filepath.FromSlash(name)) || !isPortable(name) {
			return nil, fmt.Errorf("checksums:%d: path %q lies outside the bundle", line, name)
		}
		if _, ok := sums[name]; ok {
			return nil, fmt.Errorf("checksums:%d: %s is listed twice", line, name)
		}
		sums[name] = sum
	}
	if err := s.Err(); err != nil {
		return nil, fmt.Errorf("checksums: %w", err)
	}
	return sums, nil
}

func readBounded(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	data, err := io.ReadAll(io.LimitReader(f, maxManifest+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxManifest {
		return nil, fmt.Errorf("%s is larger than %d bytes", name, maxManifest)
	}
	return data, nil
}
