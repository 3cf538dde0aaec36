package cgroup

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// folder holds files as a control group does; the texts are of the forms that
// cgroup-v1/memory.rst, cgroup-v1/pids.rst and cgroup-v2.rst describe.
func folder(t *testing.T, files map[string]string) Group {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return Group(dir)
}

func TestCounters(t *testing.T) {
	for _, c := range []struct {
		name           string
		files          map[string]string
		kills, refused string
	}{
		{"version 2", map[string]string{
			"memory.events": "low 0\nhigh 0\nmax 51\noom 3\noom_kill 2\noom_group_kill 0\n",
			"pids.events":   "max 7\n",
		}, "2 <nil>", "7 <nil>"},
		{"version 1", map[string]string{
			"memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 4\n",
			"pids.events":        "max 1\n",
		}, "4 <nil>", "1 <nil>"},
		{"an old kernel", map[string]string{"memory.oom_control": "oom_kill_disable 0\nunder_oom 0\n"}, "file does not exist", "no such file"},
		{"nonsense", map[string]string{"memory.events": "oom_kill x\n", "pids.events": "max\n"}, "invalid syntax", `no "max"`},
		{"none", nil, "no such file", "no such file"},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := folder(t, c.files)
			if n, err := g.OOMKills(); !strings.Contains(fmt.Sprint(n, " ", err), c.kills) {
				t.Errorf("kills: %d, %v; want %s", n, err, c.kills)
			}
			if n, err := g.RefusedForks(); !strings.Contains(fmt.Sprint(n, " ", err), c.refused) {
				t.Errorf("refused: %d, %v; want %s", n, err, c.refused)
			}
		})
	}
	if _, err := Group("").OOMKills(); err == nil {
		t.Error("no group has kills")
	}
}

func TestSmallestLimit(t *testing.T) {
	const none = "9223372036854771712\n" // version 1's, in whole pages
	for _, c := range []struct {
		name              string
		files             map[string]string
		memory, processes int64
		file              string
	}{
		{"its own", map[string]string{"a/b/memory.max": "1000\n", "a/memory.max": "max\n", "a/b/pids.max": "5\n"}, 1000, 5, "a/b/memory.max"},
		{"one above", map[string]string{"a/b/memory.limit_in_bytes": none, "a/memory.limit_in_bytes": "4096\n", "a/b/pids.max": "max\n"}, 4096, 0, "a/memory.limit_in_bytes"},
		{"the smaller one", map[string]string{"a/b/memory.max": "4096\n", "a/memory.max": "4000\n"}, 4000, 0, "a/memory.max"},
		{"none", map[string]string{"a/b/memory.max": "max\n", "a/memory.max": "x\n"}, 0, 0, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := folder(t, c.files)
			m, p := (g + "/a/b").Memory(), (g + "/a/b").Processes()
			if m.Value != c.memory || p.Value != c.processes || strings.TrimPrefix(m.File, string(g)+"/") != c.file {
				t.Errorf("%+v, %+v; want %d in %q, %d", m, p, c.memory, c.file, c.processes)
			}
		})
	}
}

// TestHandDown: a process in a delegated group makes room for groups below; one
// in a group that is not delegated, or not alone there, does not. It needs a
// controller of version 2, whichever.
func TestHandDown(t *testing.T) {
	if dir := os.Getenv("CHIRON_TEST_GROUP"); dir != "" {
		handDownInside(dir, os.Getenv("CHIRON_TEST_CONTROLLER"))
		return
	}
	mounts, err := Mounts()
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(mounts, func(m Mount) bool { return m.V2 && m.Root() })
	if i < 0 || os.Getuid() != 0 {
		t.Skip("only root, at the root of version 2, can make a group to be delegated")
	}
	root := Group(mounts[i].Own)
	data, err := os.ReadFile(filepath.Join(string(root), "cgroup.controllers"))
	if err != nil || len(strings.Fields(string(data))) == 0 {
		t.Skipf("version 2 has no controllers here: %v", err)
	}
	controller := strings.Fields(string(data))[0]
	before, err := os.ReadFile(filepath.Join(string(root), "cgroup.subtree_control"))
	if err != nil {
		t.Fatal(err)
	}
	if err := root.HandDown(controller); err != nil {
		t.Skipf("no groups may be made here: %v", err)
	}
	for _, c := range []struct {
		name             string
		delegated, alone bool
		want             string
	}{
		{"delegated", true, true, "handed down"},
		{"not delegated", false, true, "is not delegated"},
		{"not alone", true, false, "are in this one's control group"},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := root + Group(fmt.Sprintf("/chiron-test-%d", os.Getpid()))
			if err := os.Mkdir(string(g), 0o755); err != nil {
				t.Skipf("no groups may be made here: %v", err)
			}
			defer func() {
				for _, dir := range []Group{g + "/" + keeperLeaf, g} {
					if err := os.Remove(string(dir)); err != nil && !os.IsNotExist(err) {
						t.Error(err)
					}
				}
			}()
			if c.delegated {
				if err := unix.Setxattr(string(g), "user.delegate", []byte("1"), 0); err != nil {
					if err = unix.Setxattr(string(g), "trusted.delegate", []byte("1"), 0); err != nil {
						t.Skipf("the attribute that says that a group is delegated cannot be set: %v", err)
					}
				}
			}
			if !c.alone {
				other := exec.Command("sleep", "60")
				if err := other.Start(); err != nil {
					t.Fatal(err)
				}
				defer func() { _, _ = other.Process.Kill(), other.Wait() }()
				if err := g.Add(other.Process.Pid); err != nil {
					t.Fatal(err)
				}
			}
			inside := exec.Command(os.Args[0], "-test.run", "^TestHandDown$")
			inside.Env = append(os.Environ(), "CHIRON_TEST_GROUP="+string(g), "CHIRON_TEST_CONTROLLER="+controller)
			out, err := inside.Output()
			if err != nil || !strings.Contains(string(out), c.want) {
				t.Errorf("%v: %s; want %q", err, out, c.want)
			}
		})
	}
	if !slices.Contains(strings.Fields(string(before)), controller) {
		if err := os.WriteFile(filepath.Join(string(root), "cgroup.subtree_control"), []byte("-"+controller), 0o644); err != nil {
			t.Error(err)
		}
	}
}

// handDownInside runs in a process of its own that enters the group.
func handDownInside(dir, controller string) {
	out := bufio.NewWriter(os.Stdout)
	defer func() { _ = out.Flush() }()
	if err := Group(dir).Add(os.Getpid()); err != nil {
		fmt.Fprintln(out, err)
		return
	}
	mounts, err := Mounts()
	if err != nil {
		fmt.Fprintln(out, err)
		return
	}
	m := mounts[slices.IndexFunc(mounts, func(m Mount) bool { return m.V2 })]
	if err := m.HandDown(controller); err != nil {
		fmt.Fprintln(out, err)
		return
	}
	if err := os.Mkdir(filepath.Join(dir, "below"), 0o755); err != nil {
		fmt.Fprintln(out, err)
		return
	}
	data, err := os.ReadFile(filepath.Join(dir, "below", "cgroup.controllers"))
	again, err2 := Mounts()
	moved := err2 == nil && again[slices.IndexFunc(again, func(m Mount) bool { return m.V2 })].Parent() == dir
	if err == nil && slices.Contains(strings.Fields(string(data)), controller) && moved {
		fmt.Fprintln(out, "handed down")
	} else {
		fmt.Fprintln(out, "below has", string(data), err, moved)
	}
	_ = os.Remove(filepath.Join(dir, "below"))
}
