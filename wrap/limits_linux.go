package wrap

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/chiron-faas/chiron/internal/procfs"
	"github.com/chiron-faas/chiron/plan"
)

// processLimit is the RLIMIT_NPROC that lets functions add n processes and
// threads to those that their user has now; 0 for root, of whom it is not asked
// (kernel/fork.c, copy_process).
func processLimit(n int) (int, error) {
	if os.Getuid() == 0 {
		return 0, nil
	}
	files, err := filepath.Glob("/proc/[0-9]*/status")
	if err != nil {
		return 0, fmt.Errorf("count the user's processes: %w", err)
	}
	uid := strconv.Itoa(os.Getuid())
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			continue // it has ended
		}
		owner := strings.Fields(statusField(data, "Uid:"))
		threads, err := strconv.Atoi(statusField(data, "Threads:"))
		if err == nil && len(owner) > 0 && owner[0] == uid {
			n += threads
		}
	}
	return n, nil
}

// statusField reads a line of /proc/PID/status.
func statusField(data []byte, name string) string {
	for line := range bytes.Lines(data) {
		if rest, ok := bytes.CutPrefix(line, []byte(name)); ok {
			return string(bytes.TrimSpace(rest))
		}
	}
	return ""
}

// relieve kills the worker whose handlers have used up the wrap's processes: one
// whose process group (what a handler starts is born into it) has more than half
// of what the wrap may have. Else nobody could start anything for as long as they
// live. What it was working on fails; fork processes end with their request.
func (a *Agent) relieve() {
	most := a.limits.processes.Processes().Value
	if a.options.FunctionsGroup == "" || most == 0 {
		return
	}
	held := make(map[int]int64) // threads by process group
	for _, pid := range a.limits.processes.Members() {
		if s, err := procfs.ReadStat(pid); err == nil {
			held[s.Group] += s.Threads
		}
	}
	for _, p := range a.layout.processes {
		if p.mode != plan.Pool {
			continue
		}
		m, ok := p.pool.live.peek()
		if ok && held[m.Pid()] > most/2 {
			a.log.Error("a worker's handlers used up the wrap's processes: it is replaced", "process", p.index, "pid", m.Pid(), "held", held[m.Pid()], "limit", most)
			p.pool.retire(m, fmt.Errorf("its handlers used up the wrap's processes"))
			m.Kill()
		}
	}
}
