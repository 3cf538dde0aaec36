package cluster

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Process is one that outlives who started it.
type Process struct {
	PID int `json:"pid"`
	// Started is when it did, in the kernel's ticks since the machine's start: a
	// process of that number with another one is a stranger.
	Started uint64 `json:"started"`
}

func processOf(pid int) Process {
	started, _ := startOf(pid)
	return Process{PID: pid, Started: started}
}

// alive reports whether the process runs; one that waits to be reaped does not.
func (p Process) alive() bool {
	started, state := startOf(p.PID)
	return started != 0 && started == p.Started && state != 'Z'
}

// startOf reads a process' start and state; zeros: there is none.
func startOf(pid int) (started uint64, state byte) {
	data, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return 0, 0
	}
	// The name, in parentheses, may hold anything; state is the first field after
	// it and the start the twentieth (proc(5)).
	fields := strings.Fields(string(data[bytes.LastIndexByte(data, ')')+1:]))
	if len(fields) < 20 {
		return 0, 0
	}
	started, _ = strconv.ParseUint(fields[19], 10, 64) // 0 if it is none
	return started, fields[0][0]
}

// end kills the process and waits until it has ended. It is the first of its
// namespace, so the kernel has killed and reaped all others before.
func (p Process) end() error {
	if !p.alive() {
		return nil
	}
	if err := syscall.Kill(p.PID, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("cluster: end the node (process %d): %w", p.PID, err)
	}
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if !p.alive() {
			return nil
		}
	}
	return fmt.Errorf("cluster: the node (process %d) has not ended %v after it was killed", p.PID, patience)
}
