package benchtest

import (
	"os"
	"path/filepath"
	"testing"
)

// Services are where a test has services of its own: their folder, and the object
// server's program. built is false where that is not there: it takes minutes to
// build, so make test does not.
func Services(t testing.TB) (dir, gateway string, built bool) {
	t.Helper()
	gateway, err := filepath.Abs("../../.cache/bin/versitygw")
	if err != nil {
		t.Fatal(err)
	}
	// Not t.TempDir, whose parent is closed to the user that the servers run as.
	if dir, err = os.MkdirTemp("", "chiron-services-"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	_, err = os.Stat(gateway)
	return dir, gateway, err == nil
}
