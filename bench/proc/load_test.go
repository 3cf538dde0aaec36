package proc

import (
	"syscall"
	"testing"
	"time"
)

func TestMachineLoad(t *testing.T) {
	l, err := machineLoad([]byte("cpu  100 10 50 800 20 3 7 10 5 0\ncpu0 1 2 3\n"))
	// All but the idle 800 and the 20 of waiting for disks; 1000 in all.
	if err != nil || l.busy != 180 || l.all != 1000 {
		t.Errorf("busy %v of %v, error %v, want 180 of 1000", l.busy, l.all, err)
	}
	for _, bad := range []string{"", "cpu 1 2", "intr 1 2 3 4 5 6 7 8", "cpu 1 2 3 x 5 6 7 8"} {
		if _, err := machineLoad([]byte(bad)); err == nil {
			t.Errorf("%q was read", bad)
		}
	}
}

func TestOthers(t *testing.T) {
	got := Others(Load{busy: 100, all: 1000, own: 50}, Load{busy: 400, all: 2000, own: 150})
	if got < 0.1999 || got > 0.2001 { // (300 - 100) of 1000
		t.Errorf("others used %v, want 0.2", got)
	}
	if got := Others(Load{all: 10}, Load{all: 10}); got != 0 {
		t.Errorf("others used %v of no time", got)
	}
}

// What this process burns is its own.
func TestOwnLoad(t *testing.T) {
	begin, err := ReadLoad()
	if err != nil {
		t.Fatal(err)
	}
	// Until it has had 200 ms of a CPU, however many others there are.
	for start := usedCPU(t); usedCPU(t)-start < 200*time.Millisecond; {
	}
	end, err := ReadLoad()
	if err != nil {
		t.Fatal(err)
	}
	// 200 ms are 20 ticks of 10 ms; the collector and the test's other threads
	// may have used more.
	if own := end.own - begin.own; own < 18 {
		t.Errorf("%v ticks of its own, want 20 or more", own)
	}
	if end.all <= begin.all {
		t.Errorf("the machine had no time: %v then %v ticks", begin.all, end.all)
	}
}

func usedCPU(t *testing.T) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
