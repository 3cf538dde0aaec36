package local

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestParseMounts: the lines are of the forms that proc_pid_mountinfo(5) and
// cgroups(7) describe, put together for each case.
func TestParseMounts(t *testing.T) {
	for _, c := range []struct {
		name, mounts, own string
		want              []mount
	}{
		{
			"version 2, below the root",
			"30 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw\n", "0::/user.slice/a\n",
			[]mount{{own: "/sys/fs/cgroup/user.slice/a", v2: true}},
		},
		{
			"both versions",
			"31 30 0:27 / /sys/fs/cgroup/cpu rw shared:9 - cgroup cgroup rw,cpu,cpuacct\n" +
				"32 30 0:28 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n", "3:cpu,cpuacct:/\n0::/\n",
			[]mount{{own: "/sys/fs/cgroup/cpu", root: true, controllers: []string{"cpu"}}, {own: "/sys/fs/cgroup/unified", root: true, v2: true}},
		},
		{
			"a controller of no use here",
			"31 30 0:27 / /sys/fs/cgroup/freezer rw - cgroup cgroup rw,freezer\n", "3:freezer:/\n", nil,
		},
		{
			"a part of the tree, as in a container",
			"31 30 0:27 /docker/x /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n", "3:memory:/docker/x/y\n",
			[]mount{{own: "/sys/fs/cgroup/memory/y", controllers: []string{"memory"}}},
		},
		{
			"a folder with a space",
			"30 23 0:26 / /mnt/a\\040b rw - cgroup2 cgroup2 rw\n", "0::/\n",
			[]mount{{own: "/mnt/a b", root: true, v2: true}},
		},
		{"nonsense", "x\n- -\n\n", "y\n::\n", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := parseMounts(c.mounts, c.own)
			if d := cmp.Diff(c.want, got, cmp.AllowUnexported(mount{})); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestParseCPUList(t *testing.T) {
	for text, want := range map[string][]int{
		"0-3,8,10-11": {0, 1, 2, 3, 8, 10, 11}, "5": {5}, "": nil, "x,2-y,3": {3}, "0-99999999": nil,
	} {
		if got := parseCPUList(text); !cmp.Equal(got, want) {
			t.Errorf("%q: %v, want %v", text, got, want)
		}
	}
}
