package wrap

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/chiron-faas/chiron/internal/procfs"
)

// processTree takes care of the processes below the agent that nobody else
// does: what a handler starts and leaves behind becomes the agent's child
// (PR_SET_CHILD_SUBREAPER, prctl(2)), is reaped while the agent runs and killed
// at its end.
type processTree struct {
	// mu keeps the reaper from a child that os/exec is about to wait for.
	mu sync.Mutex
	// own are the children that are waited for elsewhere. guarded by mu
	own map[int]bool
}

// killPatience bounds how long the agent waits for the killed to be gone.
const killPatience = 2 * time.Second

func newProcessTree() (*processTree, error) {
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return nil, os.NewSyscallError("prctl(PR_SET_CHILD_SUBREAPER)", err)
	}
	return &processTree{own: make(map[int]bool)}, nil
}

// start runs f, which starts a child that somebody else waits for and returns
// its pid; 0 where there is none.
func (t *processTree) start(f func() int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if pid := f(); pid != 0 {
		t.own[pid] = true
	}
}

// ended says that an own child has been waited for.
func (t *processTree) ended(pid int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.own, pid)
}

// reap collects adopted children as they die, until ctx ends.
func (t *processTree) reap(ctx context.Context) {
	died := make(chan os.Signal, 1)
	signal.Notify(died, syscall.SIGCHLD)
	defer signal.Stop(died)
	for {
		select {
		case <-died:
			t.collect()
		case <-ctx.Done():
			return
		}
	}
}

// collect waits for every dead child that is not an own one.
func (t *processTree) collect() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.collectLocked()
}

func (t *processTree) collectLocked() {
	for _, pid := range procfs.Children(os.Getpid()) {
		if !t.own[pid] {
			waitFor(pid)
		}
	}
}

func waitFor(pid int) {
	for {
		if _, err := unix.Wait4(pid, nil, unix.WNOHANG, nil); !errors.Is(err, unix.EINTR) {
			return
		}
	}
}

// kill ends every process below the agent and returns when they are gone, or
// after killPatience. A process that is killed hands its children to the agent,
// so it goes on until there are none.
func (t *processTree) kill() {
	for end := time.Now().Add(killPatience); time.Now().Before(end); time.Sleep(time.Millisecond) {
		below := descendants(os.Getpid())
		if len(below) == 0 {
			return
		}
		for _, pid := range below {
			_ = unix.Kill(pid, unix.SIGKILL) // it may have ended by itself
		}
		// A start in progress holds mu; what is adopted meanwhile is reaped in
		// the next round, or by init.
		if t.mu.TryLock() {
			t.collectLocked()
			t.mu.Unlock()
		}
	}
}

// descendants lists all processes below pid, an own child that is dead and not
// yet waited for excluded.
func descendants(pid int) []int {
	var all []int
	for _, child := range procfs.Children(pid) {
		if s, err := procfs.ReadStat(child); err == nil && !s.Dead() {
			all = append(all, child)
		}
		all = append(all, descendants(child)...)
	}
	return all
}
