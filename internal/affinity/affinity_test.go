package affinity

import (
	"runtime"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

func TestCPUs(t *testing.T) {
	runtime.LockOSThread() // and never unlocked: the thread ends with the test
	all, err := CPUs()
	if err != nil {
		t.Fatal(err)
	}
	// NumCPU is what Go's runtime found when this process began.
	if len(all) != runtime.NumCPU() || !slices.IsSorted(all) {
		t.Fatalf("%v: %d CPUs, want %d, ascending", all, len(all), runtime.NumCPU())
	}
	for _, want := range [][]int{all[:1], all[len(all)-1:], slices.Compact([]int{all[0], all[len(all)-1]}), all} {
		var set unix.CPUSet
		for _, cpu := range want {
			set.Set(cpu)
		}
		if err := unix.SchedSetaffinity(0, &set); err != nil {
			t.Fatal(err)
		}
		if got, err := CPUs(); err != nil || !slices.Equal(got, want) {
			t.Errorf("bound to %v: %v, %v", want, got, err)
		}
	}
}
