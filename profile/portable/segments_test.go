package portable

import (
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"github.com/chiron-faas/chiron/profile"
	"github.com/chiron-faas/chiron/profile/syscalls"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

const ms = time.Millisecond

var epoch = time.Unix(1000, 0)

// at is a sample so many milliseconds after the call's start.
func at(when, cpu, queued float64, was syscalls.State) sample {
	scale := func(x float64) time.Duration { return time.Duration(x * float64(ms)) }
	return sample{at: epoch.Add(scale(when)), cpu: scale(cpu), queued: scale(queued), was: was}
}

func TestSegments(t *testing.T) {
	const sleeps = syscalls.State(unix.SYS_CLOCK_NANOSLEEP)
	const receives = syscalls.State(unix.SYS_RECVFROM)
	cpu := func(took time.Duration) profile.Segment { return profile.Segment{Class: profile.CPU, Took: took} }
	block := func(took time.Duration, cause string) profile.Segment {
		return profile.Segment{Class: profile.Block, Took: took, Cause: cause}
	}
	for name, test := range map[string]struct {
		samples []sample
		call    profile.Call
		want    []profile.Segment
	}{
		"before and after only": {
			[]sample{at(-1, 0, 0, receives), at(5, 0, 0, receives)}, profile.Call{Run: 4 * ms}, nil,
		},
		"computes": {
			[]sample{at(-1, 7, 0, receives), at(1, 8, 0, syscalls.Running), at(2, 9, 0, syscalls.Running)},
			profile.Call{Run: 3 * ms, CPU: 3 * ms},
			[]profile.Segment{cpu(3 * ms)},
		},
		"sleeps, computes, receives": {
			[]sample{
				at(-1, 0, 0, receives), at(1, 0, 0, sleeps), at(2, 0, 0, sleeps), at(3, 0.5, 0, syscalls.Running),
				at(4, 1.5, 0, syscalls.Running), at(5, 1.7, 0, receives), at(6, 1.7, 0, receives),
			},
			profile.Call{Run: 7 * ms, CPU: 1700 * time.Microsecond},
			[]profile.Segment{
				block(2500*time.Microsecond, "clock_nanosleep"), // its end lies in an interval of half a millisecond of CPU
				cpu(1700 * time.Microsecond), block(2800*time.Microsecond, "recvfrom"),
			},
		},
		// The kernel counts 3 ms in the queue when they end: they are those
		// before.
		"waits for a CPU": {
			[]sample{at(-1, 0, 0, receives), at(1, 1, 0, syscalls.Running), at(2, 1, 0, syscalls.Running), at(3, 1, 0, syscalls.Running), at(4, 1, 0, syscalls.Running), at(5, 2, 3, syscalls.Running)},
			profile.Call{Run: 6 * ms, CPU: 3 * ms},
			[]profile.Segment{cpu(6 * ms)},
		},
		// Off the CPU in no system call: a page that has to come.
		"page fault": {
			[]sample{at(-1, 0, 0, receives), at(1, 0, 0, syscalls.Fault), at(2, 1, 0, syscalls.Running)},
			profile.Call{Run: 3 * ms, CPU: 2 * ms},
			[]profile.Segment{cpu(3 * ms)},
		},
		"what it does cannot be read": {
			[]sample{at(-1, 0, 0, syscalls.Unknown), at(1, 0, 0, syscalls.Unknown), at(2, 1, 0, syscalls.Unknown)},
			profile.Call{Run: 3 * ms, CPU: 2 * ms},
			[]profile.Segment{block(1*ms, ""), cpu(2 * ms)},
		},
	} {
		t.Run(name, func(t *testing.T) {
			test.call.Start = epoch
			if diff := cmp.Diff(test.want, segments(test.samples, test.call)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// Whatever was sampled, the segments are as long as the call.
func TestSegmentsAddUp(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 2000 {
		when, used, queued := -2.0, 0.0, 0.0
		var samples []sample
		for range r.IntN(30) {
			step := r.Float64() * 2
			when += step
			used += r.Float64() * step * 1.1 // the clocks are read one after the other
			queued += max(0, r.Float64()*4-3)
			was := []syscalls.State{syscalls.Unknown, syscalls.Running, syscalls.Fault, syscalls.State(unix.SYS_FUTEX), syscalls.State(unix.SYS_READ)}[r.IntN(5)]
			samples = append(samples, at(when, used, queued, was))
		}
		call := profile.Call{Start: epoch, Run: time.Duration(r.IntN(20000)) * time.Microsecond}
		call.CPU = time.Duration(r.Int64N(int64(call.Run) + 1))
		var total time.Duration
		got := segments(samples, call)
		for _, s := range got {
			if s.Took <= 0 {
				t.Fatalf("%+v of %+v", got, samples)
			}
			total += s.Took
		}
		if got != nil && total != call.Run {
			t.Fatalf("%+v add up to %v, want %v", got, total, call.Run)
		}
	}
}

func TestCPUTime(t *testing.T) {
	before, err := cpuTime(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	for begin := time.Now(); time.Since(begin) < 30*ms; {
	}
	after, err := cpuTime(os.Getpid())
	if err != nil || after-before < ms {
		t.Errorf("%v after %v, %v", after, before, err)
	}
	if _, err := cpuTime(1 << 28); err == nil {
		t.Error("a process that is not there has a clock")
	}
}
