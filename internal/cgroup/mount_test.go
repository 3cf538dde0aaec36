package cgroup

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestParseMounts: the lines are of the forms that proc_pid_mountinfo(5) and
// cgroups(7) describe, put together for each case.
func TestParseMounts(t *testing.T) {
	for _, c := range []struct {
		name, mounts, own string
		want              []Mount
	}{
		{
			"version 2, below the root",
			"30 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw\n", "0::/user.slice/a\n",
			[]Mount{{Point: "/sys/fs/cgroup", Own: "/sys/fs/cgroup/user.slice/a", V2: true}},
		},
		{
			"both versions",
			"31 30 0:27 / /sys/fs/cgroup/cpu rw shared:9 - cgroup cgroup rw,cpu,cpuacct\n" +
				"32 30 0:28 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n", "3:cpu,cpuacct:/\n0::/\n",
			[]Mount{
				{Point: "/sys/fs/cgroup/cpu", Own: "/sys/fs/cgroup/cpu", Controllers: []string{"cpu"}},
				{Point: "/sys/fs/cgroup/unified", Own: "/sys/fs/cgroup/unified", V2: true},
			},
		},
		{
			"a controller of no use here",
			"31 30 0:27 / /sys/fs/cgroup/freezer rw - cgroup cgroup rw,freezer\n", "3:freezer:/\n", nil,
		},
		{
			"a part of the tree, as in a container",
			"31 30 0:27 /docker/x /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n", "3:memory:/docker/x/y\n",
			[]Mount{{Point: "/sys/fs/cgroup/memory", Own: "/sys/fs/cgroup/memory/y", Controllers: []string{"memory"}}},
		},
		{
			"a folder with a space",
			"30 23 0:26 / /mnt/a\\040b rw - cgroup2 cgroup2 rw\n", "0::/\n",
			[]Mount{{Point: "/mnt/a b", Own: "/mnt/a b", V2: true}},
		},
		{"nonsense", "x\n- -\n\n", "y\n::\n", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := parseMounts(c.mounts, c.own)
			if d := cmp.Diff(c.want, got); d != "" {
				t.Error(d)
			}
		})
	}
}
