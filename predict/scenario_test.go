package predict

import (
	"strings"
	"testing"
	"time"

	"github.com/chiron-faas/chiron/predict/predicttest"
	"github.com/chiron-faas/chiron/profile"
)

const ms = time.Millisecond

// The arithmetic of each case stands beside it.
func TestPredict(t *testing.T) {
	paper := Paper()
	paper.ThreadStart = 0
	paper.IPC = ms
	own := Calibration{Request: ms, Dispatch: 500 * time.Microsecond, SwitchInterval: 5 * ms}
	free := Calibration{SwitchInterval: 5 * ms}
	started := free
	started.ThreadStart = 600 * time.Microsecond
	slower := free
	slower.Beside = 0.1
	busyAgent := free
	busyAgent.Agent = ms
	forks := Calibration{Startup: 3 * ms, Block: 2 * ms, Exit: ms, SwitchInterval: 5 * ms}
	ahead := forks
	ahead.Standby = 500 * time.Microsecond
	for _, c := range []struct {
		name        string
		graph       any
		profile     string
		plan        string
		calibration Calibration
		machine     int
		want        float64 // ms
	}{
		// 1 request + 0.5 dispatch + 10.
		{"one task", "a", "a: cpu 10", "1: pool a", own, 0, 11.5},
		// 1 + (0.5 + 10) + (0.5 + 4 + 3).
		{"two tasks in series", predicttest.Seq{"a", "b"}, "a: cpu 10, b: cpu 4 block 3", "1: pool a b", own, 0, 19},
		// A 0-5, B 5-10, A 10-15, B 15-20: one lock, no pause.
		{"two threads compute", predicttest.Par{"a", "b"}, "a: cpu 10, b: cpu 10", "2: pool a b", free, 0, 20},
		// B comes at 0.6 and asks at 5.6; the lock is never free before 20.
		{"the second thread starts later", predicttest.Par{"a", "b"}, "a: cpu 10, b: cpu 10", "2: pool a b", started, 0, 20},
		// B computes from 1. A wakes at 11, asks at 16 (B holds since 1), runs
		// 16-17; B has 5 left then: 17-22.
		{"a waking thread waits for the interval", predicttest.Par{"a", "b"}, "a: cpu 1 block 10 cpu 1, b: cpu 20", "1: pool a b", free, 0, 22},
		// Blocks overlap: 1 + 1 of CPU, then both sleep; the second wakes at 12.
		{"blocks overlap", predicttest.Par{"a", "b"}, "a: cpu 1 block 10, b: cpu 1 block 10", "1: pool a b", free, 0, 12},
		// No lock is needed: 10 on two CPUs, 20 on one.
		{"native on two CPUs", predicttest.Par{"a", "b"}, "a: native 10, b: native 10", "2: pool a b", free, 0, 10},
		{"native on one CPU", predicttest.Par{"a", "b"}, "a: native 10, b: native 10", "1: pool a b", free, 0, 20},
		// Native beside Python on one CPU: they share it, 8 + 8.
		{"native beside Python", predicttest.Par{"a", "b"}, "a: native 8, b: cpu 8", "1: pool a b", free, 0, 16},
		// Equations 3 and 4: (3-1)·4 + 13 + 10 = 31, + (3-1)·1 = 33.
		{"three forks", predicttest.Par{"a", "b", "c"}, "a: cpu 10, b: cpu 10, c: cpu 10", "3: fork a | fork b | fork c", paper, 0, 33},
		// Children that wait are called, at once; a call of one that was not measured
		// is a fork.
		{"a standby process", "a", "a: cpu 10", "1: standby a", ahead, 0, 10.5},
		{"three standby processes", predicttest.Par{"a", "b", "c"}, "a: cpu 10, b: cpu 10, c: cpu 10", "3: standby a | standby b | standby c", ahead, 0, 10.5},
		{"standby beside fork", predicttest.Par{"a", "b"}, "a: cpu 10, b: cpu 10", "2: standby a | fork b", ahead, 0, 13},
		{"a standby process that nobody measured", "a", "a: cpu 10", "1: standby a", forks, 0, 13},
		// Equation 2: wrap 2: 10 + 1·4 + 20 = 34; wrap 3: 10 + 2·4 + 20 = 38.
		{"three wraps", predicttest.Par{"a", "b", "c"}, "a: cpu 10, b: cpu 10, c: cpu 10", "1: pool a; 1: pool b; 1: pool c", paper, 0, 38},
		// Wrap 1 gathers two processes, 40 + 1; wrap 2 is done at 4 + 20 + 3.
		{"the slowest wrap decides", predicttest.Par{"a", "b", "c"}, "a: cpu 40, b: cpu 2, c: cpu 3", "2: pool a | pool b; 1: pool c", paper, 0, 41},
		// Equation 2 for a stage of one task in wrap 2: 4 + 20 + 10.
		{"a task elsewhere", "a", "a: cpu 10", "1: pool ; 1: pool a", paper, 0, 34},
		// Two processes on one CPU take turns: 10 + 10.
		{"fewer CPUs than processes", predicttest.Par{"a", "b"}, "a: cpu 10, b: cpu 10", "1: pool a | pool b", free, 0, 20},
		// C waits for A's CPU until 4, A for C until 8. B is done at 10, and C, which has
		// 6 left, gets its CPU: in drawn requests later (TestIdleCPUsAreLate).
		{"three processes on two CPUs", predicttest.Par{"a", "b", "c"}, "a: cpu 10, b: cpu 10, c: cpu 10", "2: pool a | pool b | pool c", free, 0, 16},
		// The agent's two calls take 1 each of the only CPU, or of the other.
		{"the agent works too", predicttest.Par{"a", "b"}, "a: cpu 10, b: cpu 10", "1: pool a | pool b", busyAgent, 0, 22},
		{"the agent works beside", "a", "a: cpu 10", "2: pool a", busyAgent, 0, 10},
		// A and B are pinned to CPU 0: 20. C has the other: 10.
		{"pinned together", predicttest.Par{"a", "b", "c"}, "a: cpu 10, b: cpu 10, c: cpu 10", "2: pool@0 a | pool@0 b | pool c", free, 0, 20},
		// Two wraps of a CPU each, on a machine with one.
		{"wraps share the machine", predicttest.Par{"a", "b"}, "a: cpu 10, b: cpu 10", "1: pool a; 1: pool b", free, 1, 20},
		// (a 3, b 4) beside c 5, then d 2: 7 + 2; a process each.
		{"a branch of several states", predicttest.Seq{predicttest.Par{predicttest.Seq{"a", "b"}, "c"}, "d"}, "a: cpu 3, b: cpu 4, c: cpu 5, d: cpu 2", "3: pool a d | pool b | pool c", free, 0, 9},
		// Inside b|c: 6; the branch: 1 + 6 + 1 = 8; beside it e: 9.
		{"a Parallel in a branch", predicttest.Par{predicttest.Seq{"a", predicttest.Par{"b", "c"}, "d"}, "e"}, "a: cpu 1, b: cpu 6, c: cpu 2, d: cpu 1, e: cpu 9", "4: pool a d | pool b | pool c | pool e", free, 0, 9},
		// The branch's second task runs in wrap 2: 5 + (4 + 20 + 5).
		{"a branch over two wraps", predicttest.Par{predicttest.Seq{"a", "b"}, "c"}, "a: cpu 5, b: cpu 5, c: cpu 1", "2: pool a | pool c; 1: pool b", paper, 0, 35},
		{"nothing to do", "a", "a:", "1: pool a", own, 0, 1.5},
		// Both compute, each a tenth slower: 11. On one CPU none computes beside
		// another: 20. A has 10 of 20 left when B is done at 11: 11 + 10.
		{"beside another CPU", predicttest.Par{"a", "b"}, "a: cpu 10, b: cpu 10", "2: pool a | pool b", slower, 0, 11},
		{"no other CPU", predicttest.Par{"a", "b"}, "a: cpu 10, b: cpu 10", "1: pool a | pool b", slower, 0, 20},
		{"beside another for a while", predicttest.Par{"a", "b"}, "a: cpu 20, b: cpu 10", "2: pool a | pool b", slower, 0, 21},
		// B's call comes while A computes, and begins when A's turn ends at 5.
		{"a call waits for the lock to begin", predicttest.Par{"a", "b"}, "a: cpu 20, b: block 18", "2: pool a b", free, 0, 23},
		// B's call returns at 4 and has the lock when A has been asked, at 9.
		{"a call waits for the lock to return", predicttest.Par{"b", "a"}, "b: block 4, a: cpu 8", "2: pool b a", free, 0, 8},
		// On one CPU, A computes 1 ms without the lock and has it back before B has
		// a CPU: 1 + 1 + 1, then B's 10.
		// B has had nothing when A's turn ends, at 4, and is done at 7.
		{"a turn on one CPU", predicttest.Par{"a", predicttest.Seq{"b", "c"}}, "a: cpu 10, b: cpu 3, c: block 20", "1: pool a | pool b c", free, 0, 27},
		// A wakes at 11, where B has had 9 more, and has the CPU at once.
		{"a waking thread takes the CPU", predicttest.Par{predicttest.Seq{"a", "c"}, "b"}, "a: cpu 1 block 10 cpu 1, b: cpu 30, c: block 30", "1: pool a c | pool b", free, 0, 42},
		{"a short release on one CPU", predicttest.Par{"a", "b"}, "a: cpu 1 native 1 cpu 1, b: cpu 10", "1: pool a b", free, 0, 13},
		// On two it is B's from 1 to 6 (A comes back at 2 and asks at 7: B holds it
		// since 1, and asks of 2 are heard at 7), then A's 1, then B's last 4.
		{"a short release on two CPUs", predicttest.Par{"a", "b"}, "a: cpu 1 native 1 cpu 1, b: cpu 10", "2: pool a b", free, 0, 12},
		// On one CPU all forks are work: 2·3, then 2·10.
		{"forks on one CPU", predicttest.Par{"a", "b"}, "a: cpu 10, b: cpu 10", "1: fork a | fork b", forks, 0, 26},
		// The zygote 0-2, A's start 2-3 beside the zygote's second, B's 4-5.
		{"forks on two CPUs", predicttest.Par{"a", "b"}, "a: cpu 10, b: cpu 10", "2: fork a | fork b", forks, 0, 15},
		// What ends behind the forks takes its part: 6 + 2·1, then beside c's 5 the
		// ends' 2·1.
		{"ends of forks", predicttest.Seq{predicttest.Par{"a", "b"}, "c"}, "a: cpu 1, b: cpu 1, c: cpu 5", "1: fork a | fork b | pool c", forks, 0, 15},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, err := New(predicttest.Define(t, c.graph), predicttest.Behave(t, c.profile), &c.calibration, Options{CPUs: c.machine})
			if err != nil {
				t.Fatal(err)
			}
			pl := predicttest.Arrange(t, c.plan)
			got, err := p.Predict(pl)
			if err != nil {
				t.Fatal(err)
			}
			if want := time.Duration(c.want * 1e6); got.Latency != want {
				t.Errorf("latency %v, want %v\n%v", got.Latency, want, got.Timeline)
			}
			again, err := p.Latency(pl)
			if err != nil || again != got.Latency {
				t.Errorf("without the timeline: %v, %v, want %v", again, err, got.Latency)
			}
		})
	}
}

func TestSwitchIntervalOfThePlan(t *testing.T) {
	// As "a waking thread waits", with 1 ms: A wakes at 11, asks at 12, runs
	// 12-13; B has 9 left then: 13-22. A is done 4 ms earlier.
	c := Calibration{SwitchInterval: 5 * ms}
	pl := predicttest.Arrange(t, "1: pool a b")
	pl.Wraps[0].Processes[0].SwitchInterval = ms
	got, err := Predict(predicttest.Define(t, predicttest.Par{"a", "b"}), predicttest.Behave(t, "a: cpu 1 block 10 cpu 1, b: cpu 20"), pl, &c)
	if err != nil {
		t.Fatal(err)
	}
	end := time.Duration(0)
	for _, s := range got.Timeline {
		if s.Task == "a" {
			end = s.End
		}
	}
	if got.Latency != 22*ms || end != 13*ms {
		t.Errorf("latency %v and a's end %v, want 22ms and 13ms\n%v", got.Latency, end, got.Timeline)
	}
}

func TestPredictRefuses(t *testing.T) {
	d, prof := predicttest.Define(t, predicttest.Seq{"a", "b"}), predicttest.Behave(t, "a: cpu 1, b: cpu 1")
	c := Calibration{SwitchInterval: 5 * ms}
	for name, k := range map[string]struct {
		profile *profile.Profile
		plan    string
		want    string
	}{
		"a task without a place":   {prof, "1: pool a", `no place for task "b"`},
		"a task placed twice":      {prof, "1: pool a b a", `"a" twice`},
		"an unknown task":          {prof, "1: pool a b z", `"z"`},
		"a CPU that is not there":  {prof, "1: pool@1 a b", "CPU 1 of 1"},
		"a task without a profile": {predicttest.Behave(t, "a: cpu 1"), "1: pool a b", `profile has no task "b"`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Predict(d, k.profile, predicttest.Arrange(t, k.plan), &c)
			if err == nil || !strings.Contains(err.Error(), k.want) {
				t.Errorf("error %v, want one with %s", err, k.want)
			}
		})
	}
}
