package predict

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/chiron-faas/chiron/predict/predicttest"
	"github.com/chiron-faas/chiron/profile"
)

// testBed has the paper's switch interval and the constants of its artifact:
// 0.6 ms to start a thread, of which 0.8 pass until its function begins, and
// 5 µs for a change of the lock's holder.
var testBed = algorithm1{interval: int64(5 * ms), start: int64(600 * time.Microsecond), begin: int64(200 * time.Microsecond), turn: int64(5 * time.Microsecond)}

// publishedExec is what threads of these functions take on the test bed. The
// artifact starts the longest first.
func publishedExec(t *testing.T, functions ...string) time.Duration {
	t.Helper()
	var behaviours [][]period
	for _, name := range functions {
		var b []period
		for _, p := range predicttest.Published(t, name) {
			b = append(b, period{class: p.Class, work: int64(p.Mean)})
		}
		behaviours = append(behaviours, b)
	}
	length := func(b []period) (sum int64) {
		for _, p := range b {
			sum += p.work
		}
		return sum
	}
	slices.SortStableFunc(behaviours, func(a, b []period) int { return cmp.Compare(length(b), length(a)) })
	return time.Duration(testBed.exec(behaviours))
}

// publishedAlone is a stage of one function, which the main thread runs.
func publishedAlone(t *testing.T, function string) time.Duration {
	t.Helper()
	sum := time.Duration(testBed.begin)
	for _, p := range predicttest.Published(t, function) {
		sum += p.Mean
	}
	return sum
}

// TestPublishedFigures: what the authors' planner answers for their own profiles
// with one process, in ms with two decimals.
func TestPublishedFigures(t *testing.T) {
	for _, c := range []struct {
		name   string
		stages [][]string
		want   string
	}{
		{"SN", [][]string{
			{"compose-post"},
			{"upload-user-mentions", "upload-creator", "upload-media", "upload-text", "upload-unique-id"},
			{"compose-and-upload"},
			{"post-storage", "upload-home-timeline", "upload-user-timeline"},
		}, "48.18"},
		{"MR", [][]string{
			{"compose-review"},
			{"upload-user-id", "upload-movie-id", "mr-upload-text", "mr-upload-unique-id"},
			{"mr-compose-and-upload"},
			{"store-review", "upload-user-review", "upload-movie-review"},
		}, "43.77"},
		{"FINRA-5", [][]string{
			{"marketdata", "lastpx", "side", "trddate", "volume"},
			{"margin-balance"},
		}, "99.07"},
	} {
		var sum time.Duration // equation 1
		for _, stage := range c.stages {
			if len(stage) == 1 {
				sum += publishedAlone(t, stage[0])
			} else {
				sum += publishedExec(t, stage...)
			}
		}
		if got := fmt.Sprintf("%.2f", float64(sum)/1e6); got != c.want {
			t.Errorf("%s with one process: %s ms, its authors' planner says %s", c.name, got, c.want)
		}
	}
}

// TestPublishedSLApp: with two processes the authors' planner answers 98.29 ms.
// Their first process is the wrap's main one: it forks the other, for 4 ms
// (T_Block) and 8 of its own, and then runs its threads; the other begins after
// 13 ms (T_Startup). The plan is the best of all, stage by stage.
func TestPublishedSLApp(t *testing.T) {
	var sum time.Duration
	for _, stage := range [][]string{
		{"network-io", "factorial", "disk-io", "fibonacci"},
		{"network-io", "pi", "pbkdf2"},
	} {
		best := time.Hour
		for set := 1; set < 1<<len(stage)-1; set++ {
			var first, second []string
			for i, f := range stage {
				if set&(1<<i) != 0 {
					first = append(first, f)
				} else {
					second = append(second, f)
				}
			}
			best = min(best, max(publishedExec(t, first...)+12*ms, publishedExec(t, second...)+13*ms)) // equation 3
		}
		sum += best
	}
	if got := fmt.Sprintf("%.2f", float64(sum)/1e6); got != "98.29" {
		t.Errorf("SLApp with two processes: %s ms, its authors' planner says 98.29", got)
	}
}

func TestAlgorithm1(t *testing.T) {
	cpu := func(v float64) period { return period{class: profile.CPU, work: int64(v * 1e6)} }
	block := func(v float64) period { return period{class: profile.Block, work: int64(v * 1e6)} }
	native := func(v float64) period { return period{class: profile.Native, work: int64(v * 1e6)} }
	free := algorithm1{interval: int64(5 * ms)}
	starting := algorithm1{interval: int64(5 * ms), start: int64(2 * ms)}
	for _, c := range []struct {
		name      string
		a         algorithm1
		functions [][]period
		want      float64 // ms
	}{
		{"none", free, nil, 0},
		{"nothing to do", free, [][]period{{}, {}}, 0},
		{"alone", free, [][]period{{cpu(7), block(4), cpu(1)}}, 12},
		// All blocked from 1 to 9, A is next, 10; then B, 2.
		{"all blocked", free, [][]period{{cpu(1), block(9), cpu(2)}, {block(9), cpu(2)}}, 13},
		// A 0-2, blocks to 12. B may have 10 + 5: 2-14, over. A 14-15.
		{"until the first wakes, and an interval", free, [][]period{{cpu(2), block(10), cpu(1)}, {cpu(12)}}, 15},
		// A 0-2, blocks to 12. B 2-17 (10 + 5). A 17-18. B 18-23.
		{"a waking thread waits", free, [][]period{{cpu(2), block(10), cpu(1)}, {cpu(20)}}, 23},
		// A 0-2, blocks to 4; B and C compute: B 2-7, A has the least: 7-8, then C 8-13,
		// B (5) 13-14, C 14-15.
		{"the least CPU time is next", free, [][]period{{cpu(2), block(2), cpu(1)}, {cpu(6)}, {cpu(6)}}, 15},
		// Main 0-5 starts A at 2 and B at 4, each for 2; A 5-8; B 8-11; main 11-12 starts C; C 12-15.
		{"the main thread starts them", starting, [][]period{{cpu(3)}, {cpu(3)}, {cpu(3)}}, 15},
		// Native code holds the lock: 2 + 3 + 4 end in one turn.
		{"native code", free, [][]period{{cpu(1), native(1)}, {native(3), cpu(1), native(3)}}, 9},
		// Three turns at 0.1 each: A 5, B 3, A's rest.
		{"turns cost", algorithm1{interval: int64(5 * ms), turn: 1e5}, [][]period{{cpu(6)}, {cpu(3)}}, 9.3},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := float64(c.a.exec(c.functions)) / 1e6; got != c.want {
				t.Errorf("%v ms, want %v", got, c.want)
			}
		})
	}
}

// TestAlgorithm1Bounds: threads take no less than the longest alone or all their
// CPU time, and no more than all in a row.
func TestAlgorithm1Bounds(t *testing.T) {
	for seed := range uint64(2000) {
		r := rand.New(rand.NewPCG(seed, 7))
		a := algorithm1{interval: 1 + r.Int64N(int64(8*ms)), start: r.Int64N(int64(3 * ms))}
		var functions [][]period
		longest, computing, all := int64(0), int64(0), int64(0)
		for range 1 + r.IntN(12) {
			var f []period
			alone := int64(0)
			for range r.IntN(8) {
				p := period{class: []profile.Class{profile.CPU, profile.Native, profile.Block}[r.IntN(3)], work: r.Int64N(int64(12 * ms))}
				f = append(f, p)
				alone += p.work
				if p.class != profile.Block {
					computing += p.work
				}
			}
			functions = append(functions, f)
			longest, all = max(longest, alone), all+alone
		}
		starts := a.start * int64(len(functions))
		got := a.exec(functions)
		if got < max(longest, computing+starts) || got > all+starts {
			t.Fatalf("seed %d: %d, alone %d, computing %d, in a row %d, starts %d", seed, got, longest, computing, all, starts)
		}
	}
}
