package journal

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

type entry struct {
	N int `json:"n"`
}

// gather returns a take, and where it puts what it is given.
func gather() (func([]byte) error, *[]int) {
	var all []int
	return func(line []byte) error {
		var e entry
		if err := Decode(line, &e); err != nil {
			return err
		}
		all = append(all, e.N)
		return nil
	}, &all
}

func TestGoesOn(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "run")
	for i := range 3 {
		take, got := gather()
		w, err := Open(dir, take)
		if err != nil {
			t.Fatal(err)
		}
		want := []int{0, 1, 2}[:i]
		if diff := cmp.Diff(want, append([]int{}, *got...)); diff != "" {
			t.Errorf("run %d: %s", i, diff)
		}
		if err := errors.Join(w.Write(entry{i}), w.Close()); err != nil {
			t.Fatal(err)
		}
	}
}

// TestCutShort: a journal that ends within a line, wherever, loses that line only.
func TestCutShort(t *testing.T) {
	whole := "{\"n\":1}\n{\"n\":22}\n"
	for cut := range len(whole) + 1 {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, File), []byte(whole[:cut]), 0o600); err != nil {
			t.Fatal(err)
		}
		take, _ := gather()
		w, err := Open(dir, take)
		if err != nil {
			t.Fatalf("cut at %d: %v", cut, err)
		}
		if err := errors.Join(w.Write(entry{3}), w.Close()); err != nil {
			t.Fatal(err)
		}
		want := append([]int{1, 22}[:strings.Count(whole[:cut], "\n")], 3)
		take, got := gather()
		if _, err := Read(dir, take); err != nil {
			t.Fatalf("cut at %d: %v", cut, err)
		}
		if diff := cmp.Diff(want, *got); diff != "" {
			t.Errorf("cut at %d: %s", cut, diff)
		}
	}
}

func TestReadRefuses(t *testing.T) {
	take, _ := gather()
	if _, err := Read(t.TempDir(), take); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without a journal: %v", err)
	}
	for bad, want := range map[string]string{
		"{\"n\":1}\nnonsense\n{\"n\":2}\n": "line 2",
		"{\"m\":1}\n":                      "unknown field",
		"{\"n\":1} {}\n":                   "behind its object",
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, File), []byte(bad), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(dir, take); err == nil || !strings.Contains(fmt.Sprint(err), want) {
			t.Errorf("%q: %v, want %q", bad, err, want)
		}
	}
}
