package predict

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/chiron-faas/chiron/plan"
	"github.com/chiron-faas/chiron/predict/predicttest"
	"github.com/chiron-faas/chiron/profile"
)

// TestProcessLatency: a process of some of a stage's tasks takes as long as a
// stage of only those in one process.
func TestProcessLatency(t *testing.T) {
	c := Paper()
	c.Dispatch, c.IPC = 200*time.Microsecond, time.Millisecond
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 5))
		var whole, some predicttest.Par
		prof := &profile.Profile{Workflow: "w"}
		var names []string
		var tasks []int
		for i := range 2 + r.IntN(8) {
			name := fmt.Sprintf("t%d", i)
			f := profile.Function{Name: "f", Tasks: []string{name}}
			for range 1 + r.IntN(4) {
				class := []profile.Class{profile.CPU, profile.Native, profile.Block}[r.IntN(3)]
				f.Periods = append(f.Periods, profile.Period{Class: class, Mean: time.Duration(r.Int64N(int64(20 * ms)))})
			}
			prof.Functions = append(prof.Functions, f)
			whole = append(whole, name)
			if i < 2 || r.IntN(2) == 0 { // two at least, or it is no Parallel
				some, names, tasks = append(some, name), append(names, name), append(tasks, i)
			}
		}
		r.Shuffle(len(names), func(i, j int) {
			names[i], names[j], tasks[i], tasks[j] = names[j], names[i], tasks[j], tasks[i]
		})
		predictor := func(g any) *Predictor {
			p, err := New(predicttest.Define(t, g), prof, &c, Options{})
			if err != nil {
				t.Fatal(err)
			}
			return p
		}
		all := predictor(whole)
		for _, mode := range []plan.Mode{plan.Pool, plan.Fork} {
			got, err := all.ProcessLatency(0, mode, tasks)
			if err != nil {
				t.Fatal(err)
			}
			want, err := predictor(some).StageLatency(0, predicttest.Arrange(t, "1: "+string(mode)+" "+strings.Join(names, " ")))
			if err != nil || got != want {
				t.Fatalf("seed %d: %s: %v, want %v, %v", seed, mode, got, want, err)
			}
		}
	}
	for _, bad := range []struct {
		graph any
		tasks []int
		want  string
	}{
		{predicttest.Par{"a", "b"}, []int{0, 2}, "no task 2"},
		{predicttest.Par{predicttest.Seq{"a", "b"}, "c"}, []int{0}, "more than a task"},
	} {
		p, err := New(predicttest.Define(t, bad.graph), predicttest.Behave(t, "a: cpu 1, b: cpu 1, c: cpu 1"), &c, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.ProcessLatency(0, plan.Pool, bad.tasks); err == nil || !strings.Contains(err.Error(), bad.want) {
			t.Errorf("%v: error %v, want %q", bad.graph, err, bad.want)
		}
	}
}
