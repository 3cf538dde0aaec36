package container

import (
	"archive/tar"
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/chiron-faas/chiron/bundle/oci/ocitest"
)

// unpacked unpacks a layer beside a file that nothing may touch, and returns its
// folder.
func unpacked(t *testing.T, layer []byte, left room, lower ...string) (string, []string, error) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("files of an image have owners, which only root can give")
	}
	around := t.TempDir()
	outside := filepath.Join(around, "outside")
	if err := os.WriteFile(outside, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	tree := filepath.Join(around, "a", "tree")
	if err := os.MkdirAll(tree, 0o755); err != nil {
		t.Fatal(err)
	}
	root, err := os.OpenRoot(tree)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	u := &unpacker{root: root, room: &left, lower: lower}
	err = u.unpack(t.Context(), bytes.NewReader(layer))
	if data, readErr := os.ReadFile(outside); readErr != nil || string(data) != "mine" {
		t.Errorf("a file outside: %q, %v", data, readErr)
	}
	for dir, want := range map[string]int{around: 2, filepath.Join(around, "a"): 1} {
		if entries, readErr := os.ReadDir(dir); readErr != nil || len(entries) != want {
			t.Errorf("in %s: %v, %v", dir, entries, readErr)
		}
	}
	return tree, u.opaque, err
}

func wide() room { return room{bytes: 1 << 20, files: 1000} }

// TestUnpackRefuses has layers that would leave their folder, or bring what a
// function must not have.
func TestUnpackRefuses(t *testing.T) {
	file := func(name string) ocitest.Entry { return ocitest.Entry{Name: name, Text: "evil", Mode: 0o644} }
	link := func(name, to string) ocitest.Entry {
		return ocitest.Entry{Name: name, Link: to, Type: tar.TypeSymlink, Mode: 0o777}
	}
	for name, c := range map[string]struct {
		entries []ocitest.Entry
		part    string
	}{
		"up":                     {[]ocitest.Entry{file("../../outside")}, `".."`},
		"up within":              {[]ocitest.Entry{file("x/../../../outside")}, `".."`},
		"through a link up":      {[]ocitest.Entry{link("d", "../.."), file("d/outside")}, "d/outside"},
		"through an absolute":    {[]ocitest.Entry{link("d", "/etc"), file("d/passwd")}, "d/passwd"},
		"through links in a row": {[]ocitest.Entry{link("d", "e"), link("e", "../../.."), file("d/x")}, "d/x"},
		"hard link out":          {[]ocitest.Entry{{Name: "x", Link: "../../outside", Type: tar.TypeLink}}, `".."`},
		"hard link absolute":     {[]ocitest.Entry{{Name: "x", Link: "/etc/passwd", Type: tar.TypeLink}}, "no file of its layer"},
		"hard link to a link":    {[]ocitest.Entry{link("l", "/etc/passwd"), {Name: "x", Link: "l", Type: tar.TypeLink}}, "no file of its layer"},
		"hard link through one":  {[]ocitest.Entry{link("d", "../.."), {Name: "x", Link: "d/outside", Type: tar.TypeLink}}, "no file of its layer"},
		"device":                 {[]ocitest.Entry{{Name: "dev/sda", Type: tar.TypeBlock}}, "device"},
		"character device":       {[]ocitest.Entry{{Name: "dev/mem", Type: tar.TypeChar}}, "device"},
		"pipe":                   {[]ocitest.Entry{{Name: "p", Type: tar.TypeFifo}}, "pipe"},
		"unknown":                {[]ocitest.Entry{{Name: "p", Type: 'Z'}}, "not known"},
		"file as folder":         {[]ocitest.Entry{file("f"), file("f/g")}, "f"},
		"takes away nothing":     {[]ocitest.Entry{file("d/.wh.")}, "no file has"},
		"takes away up":          {[]ocitest.Entry{file("d/.wh...")}, "no file has"},
		"takes away itself":      {[]ocitest.Entry{file("d/.wh..")}, "no file has"},
		"takes away through":     {[]ocitest.Entry{link("d", "../.."), file("d/.wh.outside")}, "d/.wh.outside"},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := unpacked(t, ocitest.Tar(t, c.entries...), wide())
			if err == nil || !strings.Contains(err.Error(), c.part) {
				t.Errorf("got %v, want %q", err, c.part)
			}
		})
	}
	if _, _, err := unpacked(t, ocitest.Tar(t, file("a"), file("b")), room{bytes: 7, files: 10}); err == nil || !strings.Contains(err.Error(), "bytes") {
		t.Errorf("too large: %v", err)
	}
	if _, _, err := unpacked(t, ocitest.Tar(t, file("a"), file("b")), room{bytes: 100, files: 1}); err == nil || !strings.Contains(err.Error(), "files") {
		t.Errorf("too many: %v", err)
	}
	if _, _, err := unpacked(t, []byte(strings.Repeat("no tar", 200)), wide()); err == nil {
		t.Error("what is no tar is unpacked")
	}
}

// TestUnpack: what a layer holds is there with its owner and mode, and what it takes
// away is told.
func TestUnpack(t *testing.T) {
	lower := t.TempDir()
	if err := os.Mkdir(filepath.Join(lower, "tmp"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(lower, "tmp"), 0o777|fs.ModeSticky); err != nil {
		t.Fatal(err)
	}
	tree, opaque, err := unpacked(t, ocitest.Tar(t,
		ocitest.Entry{Name: "./", Type: tar.TypeDir, Mode: 0o700},
		ocitest.Entry{Name: "etc/", Type: tar.TypeDir, Mode: 0o750, UID: 5, GID: 6},
		ocitest.Entry{Name: "etc/f", Text: "first", Mode: 0o4755, UID: 7, GID: 8},
		ocitest.Entry{Name: "/etc/f2", Link: "etc/f", Type: tar.TypeLink},
		ocitest.Entry{Name: "etc/l", Link: "/etc/f", Type: tar.TypeSymlink, UID: 9},
		ocitest.Entry{Name: "etc/r", Link: "f", Type: tar.TypeSymlink},
		ocitest.Entry{Name: "etc/g", Text: "old", Mode: 0o600},
		ocitest.Entry{Name: "etc/g", Text: "new", Mode: 0o640},
		ocitest.Entry{Name: "etc/.wh.gone", Mode: 0o600},
		ocitest.Entry{Name: "etc/.wh.g", Mode: 0o600}, // of the lower layers; this one's stays
		ocitest.Entry{Name: "opt/.wh..wh..opq", Mode: 0o600},
		ocitest.Entry{Name: "tmp/x", Text: "x", Mode: 0o600},
		ocitest.Entry{Name: "real/a", Text: "1", Mode: 0o644},
		ocitest.Entry{Name: "alias", Link: "real", Type: tar.TypeSymlink},
		ocitest.Entry{Name: "alias/b", Text: "2", Mode: 0o644},
	), wide(), lower)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]struct {
		mode     fs.FileMode
		uid, gid uint32
		text     string
	}{
		"etc":    {fs.ModeDir | 0o750, 5, 6, ""},
		"etc/f":  {0o755, 7, 8, "first"}, // no setuid
		"etc/f2": {0o755, 7, 8, "first"},
		"etc/l":  {fs.ModeSymlink | 0o777, 9, 0, ""},
		"etc/g":  {0o640, 0, 0, "new"},
		"tmp":    {fs.ModeDir | fs.ModeSticky | 0o777, 0, 0, ""}, // as the lower layer has it
		"real/b": {0o644, 0, 0, "2"},
	} {
		file := filepath.Join(tree, name)
		info, err := os.Lstat(file)
		if err != nil {
			t.Error(err)
			continue
		}
		s := info.Sys().(*syscall.Stat_t)
		if info.Mode() != want.mode || s.Uid != want.uid || s.Gid != want.gid {
			t.Errorf("%s: %v %d:%d, want %v %d:%d", name, info.Mode(), s.Uid, s.Gid, want.mode, want.uid, want.gid)
		}
		if want.text != "" {
			if data, err := os.ReadFile(file); err != nil || string(data) != want.text {
				t.Errorf("%s: %q, %v", name, data, err)
			}
		}
	}
	if info, err := os.Lstat(filepath.Join(tree, "etc/gone")); err != nil || !isWhiteout(info) {
		t.Errorf("etc/gone is not taken away: %v, %v", info, err)
	}
	if len(opaque) != 1 || opaque[0] != "opt" {
		t.Errorf("opaque: %v", opaque)
	}
}

// FuzzUnpack: whatever a layer holds, nothing outside of its folder is touched.
func FuzzUnpack(f *testing.F) {
	for _, entries := range [][]ocitest.Entry{
		{{Name: "a/b", Text: "x", Mode: 0o644}, {Name: "a/.wh.c"}},
		{{Name: "d", Link: "../..", Type: tar.TypeSymlink}, {Name: "d/outside", Text: "evil"}},
		{{Name: "d", Link: "/", Type: tar.TypeSymlink}, {Name: "x", Link: "d/etc/passwd", Type: tar.TypeLink}},
	} {
		f.Add(ocitest.Tar(f, entries...))
	}
	f.Fuzz(func(t *testing.T, layer []byte) { _, _, _ = unpacked(t, layer, wide()) })
}

func TestUserOf(t *testing.T) {
	root := t.TempDir()
	if err := os.Mkdir(filepath.Join(root, "etc"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"passwd": "root:x:0:0:root:/root:/bin/sh\nadmin:x:0:0::/:\napp:x:100:101:app:/home/app:/bin/sh\nbad:x:many:1::/:\nshort:x\nwheel:x:7:0::/h:\n",
		"group":  "root:x:0:app\napp:x:101:\nstaff:x:50:other,app\nbad:x:many:app\n",
	} {
		if err := os.WriteFile(filepath.Join(root, "etc", name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string]struct {
		uid, gid uint32
		groups   int
		home     string
		bad      bool
	}{
		"":            {nobody, nobody, 0, "/", false},
		"root":        {nobody, nobody, 0, "/", false},
		"0":           {nobody, nobody, 0, "/", false},
		"0:0":         {nobody, nobody, 0, "/", false},
		"admin":       {nobody, nobody, 0, "/", false},
		"app":         {100, 101, 1, "/home/app", false},
		"100":         {100, 101, 1, "/home/app", false},
		"app:staff":   {100, 50, 0, "/home/app", false},
		"4000":        {4000, 4000, 0, "/", false},
		"4000:5":      {4000, 5, 0, "/", false},
		"4000:0":      {4000, nobody, 0, "/", false},
		"wheel":       {7, nobody, 0, "/h", false},
		"nobody":      {bad: true},
		"app:none":    {bad: true},
		"bad":         {bad: true},
		"short":       {bad: true},
		"99999999999": {bad: true},
		"-1":          {bad: true},
	} {
		u, err := userOf(root, name)
		if want.bad {
			if err == nil {
				t.Errorf("%q: %+v", name, u)
			}
			continue
		}
		if err != nil || u.uid != want.uid || u.gid != want.gid || len(u.groups) != want.groups || u.home != want.home {
			t.Errorf("%q: %+v, %v, want %+v", name, u, err, want)
		}
	}
	// A link in the image leads nowhere on this machine.
	linked := t.TempDir()
	if err := os.Mkdir(filepath.Join(linked, "etc"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/etc/passwd", filepath.Join(linked, "etc", "passwd")); err != nil {
		t.Fatal(err)
	}
	if u, err := userOf(linked, "daemon"); err == nil {
		t.Errorf("the machine's own users are an image's: %+v", u)
	}
}
