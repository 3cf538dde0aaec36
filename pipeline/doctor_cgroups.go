package pipeline

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/chiron-faas/chiron/internal/cgroup"
)

// nearest is the folder itself or the closest one above it that exists.
func nearest(dir string) string {
	for {
		if _, err := os.Stat(dir); err == nil || dir == filepath.Dir(dir) {
			return dir
		}
		dir = filepath.Dir(dir)
	}
}

// examineLimits says what holds wraps to their CPUs, memory and processes: control
// groups (cgroups(7)) that this process may make, as deploy/local does, and else
// what is done without.
func examineLimits() []Finding {
	mounts, err := cgroup.Mounts()
	if err != nil {
		mounts = nil // as where there are none
	}
	permitted := make(map[string]string) // version, by controller
	var reasons []string
	for _, m := range mounts {
		controllers, reason := m.Permitted()
		if reason != "" && !slices.Contains(reasons, reason) {
			reasons = append(reasons, reason)
		}
		for _, c := range controllers {
			permitted[c] = "version 1"
			if m.V2 {
				permitted[c] = "version 2"
			}
		}
	}
	why := "no control groups are mounted"
	if len(mounts) > 0 {
		why = "no such control group"
		if len(reasons) > 0 {
			why = strings.Join(reasons, "; ")
		}
	}
	const fix = "run as root, or below a group of your own: systemd-run --user --scope -p Delegate=yes chiron …"
	var all []Finding
	for _, l := range []struct{ controller, what, without, cost string }{
		{
			"cpuset", "CPUs", "by affinity (sched_setaffinity)",
			"a function that sets its own affinity leaves its wrap's CPUs",
		},
		{
			"memory", "memory", "by RLIMIT_DATA",
			"each process of a wrap may have what the wrap is to have in all; thread stacks count, shared and file pages do not",
		},
		{
			"pids", "processes", nprocWithout(),
			nprocCost(),
		},
	} {
		f := Finding{Subject: "limits", Level: Good, Found: fmt.Sprintf("%s by control group (%s)", l.what, permitted[l.controller])}
		if permitted[l.controller] == "" {
			f.Level, f.Found, f.Cost, f.Fix = Lacks, fmt.Sprintf("%s %s: %s", l.what, l.without, why), l.cost, fix
		}
		all = append(all, f)
	}
	return all
}

func nprocWithout() string {
	if os.Getuid() == 0 {
		return "not limited (root)"
	}
	return "by RLIMIT_NPROC"
}

func nprocCost() string {
	if os.Getuid() == 0 {
		return "a fork bomb in a function takes the machine's processes: the kernel does not ask RLIMIT_NPROC of root"
	}
	return "it counts all of the user's processes on the machine: others that the user starts are taken from what functions may start"
}
