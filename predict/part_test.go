package predict

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/chiron-faas/chiron/plan"
	"github.com/chiron-faas/chiron/predict/predicttest"
	"github.com/chiron-faas/chiron/profile"
)

// TestPartLatency: a stage of which a plan places only some tasks takes as long
// as a stage that has only those.
func TestPartLatency(t *testing.T) {
	c := Paper()
	c.Dispatch, c.IPC = 200*time.Microsecond, time.Millisecond
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 5))
		var whole, some predicttest.Par
		prof := &profile.Profile{Workflow: "w"}
		pl := &plan.Plan{Workflow: "w", Wraps: []plan.Wrap{{Name: "wrap-1", CPUs: 3, Processes: []plan.Process{
			{Mode: plan.Pool, CPU: 0}, {Mode: plan.Fork, CPU: 1}, {Mode: plan.Fork, CPU: 2},
		}}}}
		for i := range 2 + r.IntN(8) {
			name := fmt.Sprintf("t%d", i)
			f := profile.Function{Name: "f", Tasks: []string{name}}
			for range 1 + r.IntN(4) {
				class := []profile.Class{profile.CPU, profile.Native, profile.Block}[r.IntN(3)]
				f.Periods = append(f.Periods, profile.Period{Class: class, Mean: time.Duration(r.Int64N(int64(20 * time.Millisecond)))})
			}
			prof.Functions = append(prof.Functions, f)
			whole = append(whole, name)
			if i < 2 || r.IntN(2) == 0 { // two at least, or it is no Parallel
				some = append(some, name)
				process := &pl.Wraps[0].Processes[r.IntN(3)]
				process.Tasks = append(process.Tasks, name)
			}
		}
		predictor := func(g predicttest.Par) *Predictor {
			p, err := New(predicttest.Define(t, g), prof, &c, Options{})
			if err != nil {
				t.Fatal(err)
			}
			return p
		}
		got, err := predictor(whole).PartLatency(0, pl)
		if err != nil {
			t.Fatal(err)
		}
		want, err := predictor(some).StageLatency(0, pl)
		if err != nil {
			t.Fatal(err)
		}
		if got != want {
			t.Fatalf("seed %d: %v, want %v", seed, got, want)
		}
	}
}
