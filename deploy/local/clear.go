package local

import (
	"syscall"
	"time"
)

// clearPatience bounds the wait for killed processes to be gone.
const clearPatience = 3 * time.Second

// clearTree kills what is left of a wrap, whatever its agent has done to end it:
// all of its control group, else all of the agent's session and below it. It
// returns when nothing is left, or nothing more can be done.
func clearTree(g group, agent identity) {
	for end := time.Now().Add(clearPatience); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		left := remains(g, agent)
		if len(left) == 0 {
			return
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
func remains(g group, agent identity) []int {
	all, err := processes()
	if err != nil {
		return nil
	}
	live := make(map[int]bool, len(all))
	for _, s := range all {
		live[s.pid] = true
	}
	var left []int
	for _, pid := range g.processes() {
		if live[pid] {
			left = append(left, pid)
		}
	}
	if agent.PID == 0 {
		return left
	}
	if s, err := readStat(agent.PID); err == nil && s.start != agent.Start {
		return left // another process has the pid, so the session is gone
	}
	for _, pid := range family(all, agent.PID) {
		if live[pid] {
			left = append(left, pid)
		}
	}
	return left
}
