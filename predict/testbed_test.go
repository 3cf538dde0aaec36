package predict

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chiron-faas/chiron/plan"
	"github.com/chiron-faas/chiron/predict/predicttest"
	"github.com/chiron-faas/chiron/profile"
)

// TestTestBed: what the authors' planner answers for their own profiles, with one
// process, and for SLApp with two (the best of all partitions).
func TestTestBed(t *testing.T) {
	for _, c := range []struct {
		graph predicttest.Seq
		plan  string
		want  string
	}{
		{predicttest.Seq{
			predicttest.Par{"marketdata", "trddate", "volume", "side", "lastpx"}, "margin-balance",
		}, "1: pool marketdata trddate volume side lastpx margin-balance", "99.07"},
		{predicttest.Seq{
			"compose-post",
			predicttest.Par{"upload-user-mentions", "upload-creator", "upload-media", "upload-text", "upload-unique-id"},
			"compose-and-upload",
			predicttest.Par{"post-storage", "upload-home-timeline", "upload-user-timeline"},
		}, "1: pool compose-post upload-user-mentions upload-creator upload-media upload-text upload-unique-id compose-and-upload post-storage upload-home-timeline upload-user-timeline", "48.18"},
	} {
		pl := predicttest.Arrange(t, c.plan)
		b, err := NewTestBed(predicttest.Define(t, c.graph), publishedProfile(t, pl.Wraps[0].TaskNames()))
		if err != nil {
			t.Fatal(err)
		}
		process := &pl.Wraps[0].Processes[0]
		process.Tasks = longestFirst(t, process.Tasks)
		got, err := b.Latency(pl)
		if err != nil || fmt.Sprintf("%.2f", float64(got)/1e6) != c.want {
			t.Errorf("%v, %v, want %s ms", got, err, c.want)
		}
	}
	// Two processes in each of two stages: every way to divide them.
	first, second := []string{"network-io", "factorial", "disk-io", "fibonacci"}, []string{"network-io_2", "pi", "pbkdf2"}
	graph := predicttest.Seq{predicttest.Par{}, predicttest.Par{}}
	for i, stage := range [][]string{first, second} {
		for _, name := range stage {
			graph[i] = append(graph[i].(predicttest.Par), name)
		}
	}
	b, err := NewTestBed(predicttest.Define(t, graph), publishedProfile(t, append(append([]string{}, first...), second...)))
	if err != nil {
		t.Fatal(err)
	}
	var sum time.Duration
	for i, stage := range [][]string{first, second} {
		best := time.Hour
		for set := 1; set < 1<<len(stage)-1; set++ {
			sets := [2][]string{}
			for k, name := range stage {
				sets[set>>k&1] = append(sets[set>>k&1], name)
			}
			got, err := b.StageLatency(i, predicttest.Arrange(t, "2: pool "+strings.Join(longestFirst(t, sets[0]), " ")+" | fork "+strings.Join(longestFirst(t, sets[1]), " ")))
			if err != nil {
				t.Fatal(err)
			}
			best = min(best, got)
		}
		sum += best
	}
	if got := fmt.Sprintf("%.2f", float64(sum)/1e6); got != "98.29" {
		t.Errorf("SLApp with two processes: %s ms, its authors' planner says 98.29", got)
	}
}

// TestTestBedProcess: a stage is put together from its processes by equations 2
// to 4, and the main process waits for its forks.
func TestTestBedProcess(t *testing.T) {
	names := []string{"marketdata", "lastpx", "side", "volume"}
	b, err := NewTestBed(predicttest.Define(t, predicttest.Par{"marketdata", "lastpx", "side", "volume"}), publishedProfile(t, names))
	if err != nil {
		t.Fatal(err)
	}
	end := func(mode plan.Mode, tasks ...int) time.Duration {
		got, err := b.ProcessLatency(0, mode, tasks)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	got, err := b.StageLatency(0, predicttest.Arrange(t, "3: pool marketdata | fork lastpx | fork side; 1: pool volume"))
	want := max(end(plan.Pool, 0)+2*(4+8)*ms, end(plan.Fork, 1), end(plan.Fork, 2)+4*ms, end(plan.Pool, 3)+24*ms)
	if err != nil || got != want {
		t.Errorf("%v, %v, want %v", got, err, want)
	}
}

// publishedProfile has a function for each name; "_2" at its end is not the
// function's.
func publishedProfile(t *testing.T, names []string) *profile.Profile {
	p := &profile.Profile{Workflow: "w"}
	for _, name := range names {
		p.Functions = append(p.Functions, profile.Function{
			Name: name, Tasks: []string{name}, Periods: predicttest.Published(t, strings.TrimSuffix(name, "_2")),
		})
	}
	return p
}

// longestFirst is the order in which the artifact starts threads.
func longestFirst(t *testing.T, names []string) []string {
	length := func(name string) (sum time.Duration) {
		for _, p := range predicttest.Published(t, strings.TrimSuffix(name, "_2")) {
			sum += p.Mean
		}
		return sum
	}
	return slices.SortedStableFunc(slices.Values(names), func(a, b string) int { return cmp.Compare(length(b), length(a)) })
}
