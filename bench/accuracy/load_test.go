package accuracy

import (
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

func TestProcessLoad(t *testing.T) {
	line := "42 (a) b (c)) S 7 42 42 0 -1 4194560 1 2 3 4 11 22 33 44 20 0 1 0 100\n"
	pid, parent, ticks, ok := processLoad([]byte(line))
	if !ok || pid != 42 || parent != 7 || ticks != 110 {
		t.Errorf("pid %d, parent %d, %v ticks, %v; want 42, 7, 110", pid, parent, ticks, ok)
	}
	for _, bad := range []string{"", "42 (x", "42 (x) S 7", "x (x) S 7 42 42 0 -1 4194560 1 2 3 4 11 22 33 44"} {
		if _, _, _, ok := processLoad([]byte(bad)); ok {
			t.Errorf("%q was read", bad)
		}
	}
}

func TestOthers(t *testing.T) {
	got := others(load{busy: 100, all: 1000, own: 50}, load{busy: 400, all: 2000, own: 150})
	if got < 0.1999 || got > 0.2001 { // (300 - 100) of 1000
		t.Errorf("others used %v, want 0.2", got)
	}
	if got := others(load{all: 10}, load{all: 10}); got != 0 {
		t.Errorf("others used %v of no time", got)
	}
}

// What this process burns is its own.
func TestOwnLoad(t *testing.T) {
	begin, err := readLoad()
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for until := time.Now().Add(300 * time.Millisecond); time.Now().Before(until); n++ {
	}
	end, err := readLoad()
	if err != nil {
		t.Fatal(err)
	}
	// 300 ms are 30 ticks of 10 ms; on a busy machine this process gets fewer.
	if own := end.own - begin.own; own < 3 || own > 300 {
		t.Errorf("%v ticks in %d turns, want about 30", own, n)
	}
	if end.all <= begin.all {
		t.Errorf("the machine had no time: %v then %v ticks", begin.all, end.all)
	}
}
