package runtime

import (
	"bytes"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/chiron-faas/chiron/internal/programtest"
)

// TestCold runs one round of everything with real interpreters.
func TestCold(t *testing.T) {
	r, err := Cold(t.Context(), ColdOptions{Agent: programtest.BuildAgent(t), Rounds: 1, Rest: 100 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Rows) != 2*len(coldHandlers) || r.Rest == nil || r.Rest.AgentMB <= 0 || r.Rest.AgentOwnMB > r.Rest.AgentMB {
		t.Fatalf("report %+v, rest %+v", r, r.Rest)
	}
	for _, row := range r.Rows {
		if row.New <= 0 || row.Forked <= 0 || (row.What == ColdInstance) != (row.Handler == 0) {
			t.Errorf("row %+v", row)
		}
	}
	var text bytes.Buffer
	if err := r.WriteText(&text); err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(text.String()) {
		if n := len([]rune(strings.TrimRight(line, "\n"))); n > 100 {
			t.Errorf("%d columns: %s", n, line)
		}
	}
}

// What a process computes is seen: an agent that is told to take nothing takes
// nothing.
func TestCPUTimes(t *testing.T) {
	self := []int{os.Getpid()}
	before, err := cpuTimes(self)
	if err != nil {
		t.Skip(err)
	}
	const busy = 50 * time.Millisecond
	var used unix.Rusage
	for start := usage(t, &used); usage(t, &used)-start < busy; {
	}
	after, err := cpuTimes(self)
	if err != nil {
		t.Fatal(err)
	}
	// A tick (10 ms at most) may not be counted yet.
	if took := after[0] - before[0]; took < busy-10*time.Millisecond {
		t.Errorf("%v seen of %v", took, busy)
	}
}

// usage is this process' time on CPUs so far.
func usage(t *testing.T, used *unix.Rusage) time.Duration {
	t.Helper()
	if err := unix.Getrusage(unix.RUSAGE_SELF, used); err != nil {
		t.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}
