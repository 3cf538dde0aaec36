// Package wheeltest writes wheels, and makes a folder of them all that pip finds,
// for tests that have requirements installed.
package wheeltest

import (
	"archive/zip"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Any is the tag of a wheel for every Python and machine.
const Any = "py3-none-any"

// Wheel is a package of one module, which says its VERSION and TAG: as small as
// they go (PEP 427).
type Wheel struct {
	Name, Version string
	// Tag says which Pythons and machines it is for; empty: Any.
	Tag string
	// Script says that it has one, NAME-tool.
	Script bool
	// Metadata are further lines, such as "Requires-Python: >=3.12".
	Metadata []string
}

// Write writes the wheel to a folder.
func (w Wheel) Write(t testing.TB, dir string) {
	t.Helper()
	if w.Tag == "" {
		w.Tag = Any
	}
	info := fmt.Sprintf("%s-%s.dist-info/", w.Name, w.Version)
	var metadata strings.Builder
	fmt.Fprintf(&metadata, "Metadata-Version: 2.1\nName: %s\nVersion: %s\n", w.Name, w.Version)
	for _, line := range w.Metadata {
		fmt.Fprintln(&metadata, line)
	}
	type file struct{ name, text string }
	files := []file{
		{w.Name + "/__init__.py", fmt.Sprintf("VERSION = %q\nTAG = %q\n", w.Version, w.Tag)},
		{info + "METADATA", metadata.String()},
		{info + "WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: " + w.Tag + "\n"},
	}
	if w.Script {
		files = append(files, file{info + "entry_points.txt", fmt.Sprintf("[console_scripts]\n%s-tool = %s:main\n", w.Name, w.Name)})
	}
	var record strings.Builder
	for _, f := range files {
		sum := sha256.Sum256([]byte(f.text))
		fmt.Fprintf(&record, "%s,sha256=%s,%d\n", f.name, base64.RawURLEncoding.EncodeToString(sum[:]), len(f.text))
	}
	fmt.Fprintf(&record, "%sRECORD,,\n", info)
	files = append(files, file{info + "RECORD", record.String()})
	out, err := os.Create(filepath.Join(dir, fmt.Sprintf("%s-%s-%s.whl", w.Name, w.Version, w.Tag)))
	if err != nil {
		t.Fatal(err)
	}
	z := zip.NewWriter(out)
	for _, f := range files {
		w, err := z.Create(f.name)
		if err == nil {
			_, err = w.Write([]byte(f.text))
		}
		if err != nil {
			t.Fatal(errors.Join(err, out.Close()))
		}
	}
	if err := errors.Join(z.Close(), out.Close()); err != nil {
		t.Fatal(err)
	}
}

// Only makes a new folder the only place where pip looks, until the test ends.
func Only(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	t.Setenv("PIP_NO_INDEX", "1")
	t.Setenv("PIP_FIND_LINKS", dir)
	t.Setenv("PIP_CONFIG_FILE", os.DevNull)
	return dir
}
