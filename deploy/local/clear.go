package local

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/chiron-faas/chiron/internal/procfs"
)

// clearPatience bounds the wait for killed processes to be gone.
const clearPatience = 3 * time.Second

// clearTree kills what is left of a wrap, whatever its agent has done to end it:
// all of its control group, all of the agent's session and below it, and all that
// lives in its working folder. It returns when nothing is left; an error says what would
// not go.
func clearTree(g group, agent identity, work string) error {
	for end := time.Now().Add(clearPatience); ; time.Sleep(5 * time.Millisecond) {
		left, err := remains(g, agent, work)
		if err != nil {
			return err
		}
		if len(left) == 0 {
			return nil
		}
		if time.Now().After(end) {
			return fmt.Errorf("processes %v do not end: look at what they wait for (ps -o pid,stat,wchan,args)", left)
		}
		g.kill()
		for _, pid := range left {
			_ = syscall.Kill(pid, syscall.SIGKILL) // it may have ended since
		}
	}
}

// remains lists the processes of a wrap that run. A session keeps its leader's
// pid from being given away, so it is the wrap's as long as the agent's start
// time, where there is an agent, fits.
func remains(g group, agent identity, work string) ([]int, error) {
	all, err := processes()
	if err != nil {
		return nil, err
	}
	live := make(map[int]bool, len(all))
	for _, s := range all {
		live[s.PID] = true
	}
	var left []int
	for _, pid := range g.processes() {
		if live[pid] {
			left = append(left, pid)
		}
	}
	for _, s := range all {
		if s.PID != os.Getpid() && livesIn(s.PID, work) {
			left = append(left, s.PID)
		}
	}
	if agent.PID == 0 {
		return left, nil
	}
	if s, err := procfs.ReadStat(agent.PID); err == nil && s.Start != agent.Start {
		return left, nil // another process has the pid, so the session is gone
	}
	for _, pid := range family(all, agent.PID) {
		if live[pid] {
			left = append(left, pid)
		}
	}
	return left, nil
}

// livesIn reports whether a process was started with its temporary or home
// folder below a wrap's working folder, as the agent and all that its functions
// start are. It finds what a session of its own and the death of its parents hide
// where there are no control groups. The current folder does not count: a user's
// shell may have gone there to look.
func livesIn(pid int, work string) bool {
	env, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "environ"))
	if err != nil {
		return false // it has ended, or is another user's
	}
	for v := range strings.SplitSeq(string(env), "\x00") {
		key, value, _ := strings.Cut(v, "=")
		if (key == "TMPDIR" || key == "HOME") && strings.HasPrefix(value, work+"/") {
			return true
		}
	}
	return false
}
