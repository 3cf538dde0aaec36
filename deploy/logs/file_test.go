package logs

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chiron-faas/chiron/deploy"
)

// TestRotation: a log keeps to its size, and who follows it misses nothing.
func TestRotation(t *testing.T) {
	path := filepath.Join(t.TempDir(), "w.log")
	log, err := Open(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	r := &reader{path: path}
	defer r.close()
	long := strings.Repeat("x", 1<<20)
	seen := 0
	const lines = 20
	for range lines {
		log.Add(deploy.LogLine{Wrap: "w", Text: long})
		seen += len(r.read(deploy.LogOptions{}))
	}
	if seen != lines {
		t.Errorf("the follower saw %d of %d lines", seen, lines)
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	for _, p := range []string{path, path + ".1"} {
		if info, err := os.Stat(p); err != nil || info.Size() > maxFile {
			t.Errorf("%s: %v, %v: over %d bytes", p, info, err, maxFile)
		}
	}
	if entries, err := os.ReadDir(filepath.Dir(path)); err != nil || len(entries) != 2 {
		t.Errorf("files %v, %v, want the log and one older", entries, err)
	}
}
