package touched

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestFiles(t *testing.T) {
	var f Files
	f.Opened(1, "/plain", false)
	f.Opened(1, "/temporary", true)
	f.Opened(1, "/removed", false)
	f.Removed(1, "/removed")
	f.Removed(1, "/was there")
	f.Opened(1, "/lock", true)
	f.Opened(2, "/lock", true)
	f.Opened(1, "/renamed from", true)
	f.Changed(1, "/renamed from")
	f.Changed(1, "/renamed to")
	f.Opened(1, "", false)
	f.Changed(1, "")
	f.Removed(1, "")
	want := []string{"/lock", "/plain", "/renamed to", "/was there"}
	if diff := cmp.Diff(want, f.List()); diff != "" {
		t.Error(diff)
	}
	var none Files
	if got := none.List(); len(got) != 0 {
		t.Errorf("got %v of none", got)
	}
}

func TestAbsolute(t *testing.T) {
	for name, want := range map[string]string{
		"a": "/w/a", "../a/./b": "/a/b", "/x//y": "/x/y", "": "", "/dev/null": "", "/dev/shm/x": "/dev/shm/x",
		"/proc/1/maps": "", "socket:[7]": "", "anon_inode:[eventfd]": "", "/sys/x": "", "/dev/pts/0": "",
	} {
		if got := Absolute("/w", name); got != want {
			t.Errorf("%q: got %q, want %q", name, got, want)
		}
	}
}
