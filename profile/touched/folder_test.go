package touched

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestFolder(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"same", "longer", "gone", "sub/deep"} {
		write(name, "x")
	}
	before := Look(dir)
	write("longer", "xx")
	write("sub/new", "")
	if err := os.Remove(filepath.Join(dir, "gone")); err != nil {
		t.Fatal(err)
	}
	later := time.Now().Add(time.Hour)
	if err := os.Chtimes(filepath.Join(dir, "sub/deep"), later, later); err != nil {
		t.Fatal(err)
	}
	if note := before.Note(Look(dir)); !strings.Contains(note, "only changes in the working folder") {
		t.Errorf("the note is %q", note)
	}
	want := []string{"gone", "longer", "sub/deep", "sub/new"}
	for i := range want {
		want[i] = filepath.Join(dir, want[i])
	}
	if diff := cmp.Diff(want, before.Changed(Look(dir))); diff != "" {
		t.Error(diff)
	}
	if got := Look("").Changed(Look(filepath.Join(dir, "none"))); len(got) != 0 {
		t.Errorf("got %v of no folder", got)
	}
}
