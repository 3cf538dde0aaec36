package search

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chiron-faas/chiron/bench/benchtest"
	"github.com/chiron-faas/chiron/internal/programtest"
	"github.com/chiron-faas/chiron/pipeline"
	"github.com/chiron-faas/chiron/plan"
	"github.com/chiron-faas/chiron/predict"
	"github.com/chiron-faas/chiron/workflow"
)

func times(ms ...int) (out []time.Duration) {
	for _, v := range ms {
		out = append(out, time.Duration(v)*time.Millisecond)
	}
	return out
}

func TestJudge(t *testing.T) {
	slo := workflow.SLO{Latency: 12 * time.Millisecond}
	chosen := func() *contender { return &contender{Name: Chosen, CPUs: 2, took: times(10, 11, 12, 11)} }
	for name, c := range map[string]struct {
		all   []*contender
		holds bool
		want  string
	}{
		"as claimed":           {[]*contender{chosen(), {Name: Smaller, CPUs: 1, took: times(19, 20, 21, 20)}, {Name: "random 1", CPUs: 2, took: times(10, 12, 12, 11)}}, true, "missed by 8.00 ms"},
		"smaller meets it too": {[]*contender{chosen(), {Name: Smaller, CPUs: 1, took: times(11, 11, 12, 12)}}, false, "met too: 11.50 ms"},
		// Always a millisecond less: there is no noise.
		"a random one is faster": {[]*contender{chosen(), {Name: "random 1", CPUs: 2, took: times(9, 10, 11, 10)}}, false, "random 1 by 1.00 ms"},
		// One less on average, but two more and four less as well.
		"faster by chance": {[]*contender{chosen(), {Name: "random 1", CPUs: 2, took: times(12, 7, 14, 7)}}, true, "none of 1 random"},
		"too slow":         {[]*contender{{Name: Chosen, CPUs: 1, took: times(13, 15)}}, false, "misses the SLO by 2.00 ms"},
	} {
		w := judge("w", slo, c.all)
		if text := strings.Join(w.Why, "\n"); w.Holds != c.holds || !strings.Contains(text, c.want) {
			t.Errorf("%s: holds %v:\n%s", name, w.Holds, text)
		}
	}
	// The SLO is judged at its percentile.
	slow := times(5, 1, 4, 2, 30)
	for percentile, meets := range map[float64]bool{80: true, 81: false} {
		w := judge("w", workflow.SLO{Latency: 5 * time.Millisecond, Percentile: percentile}, []*contender{{Name: Chosen, CPUs: 1, took: slow}})
		if w.Plans[0].Meets != meets {
			t.Errorf("p%v: %v", percentile, w.Why)
		}
	}
}

// project writes a workflow of four functions that compute side by side.
func project(t *testing.T) *workflow.Project {
	t.Helper()
	branch := func(name string) string {
		return `{"StartAt": "` + name + `", "States": {"` + name + `": {"Type": "Task", "Resource": "compute", "End": true}}}`
	}
	return benchtest.Project(t, map[string]string{
		"chiron.yaml":       "name: four\nslo: 500ms\ndefinition: workflow.asl.json\nfunctions:\n  compute: {lang: python, handler: compute.py}\n",
		"workflow.asl.json": `{"StartAt": "all", "States": {"all": {"Type": "Parallel", "End": true, "Branches": [` + branch("a") + "," + branch("b") + "," + branch("c") + "," + branch("d") + `]}}}`,
		"compute.py":        "def handler(event, context):\n    n = 0\n    for i in range(60000):\n        n = (n * 31 + i) & 0xFFFF\n    return n\n",
	})
}

func TestRandomPlan(t *testing.T) {
	p := project(t)
	r := rand.New(rand.NewPCG(1, 1))
	var all []*contender
	for range 20 {
		pl := randomPlan(r, p, nil, 2, all)
		if pl == nil {
			t.Fatal("no random plan")
		}
		if err := plan.Check(pl, p.Definition, p.Functions, &p.Rules); err != nil || pl.CPUs() != 2 {
			t.Errorf("%v, %d CPUs", err, pl.CPUs())
		}
		all = append(all, &contender{plan: pl})
	}
}

// TestRun serves a project's plans by turns. What comes out is the machine's: the
// test asks that all of it is there.
func TestRun(t *testing.T) {
	agent := programtest.BuildAgent(t)
	constants := predict.Calibration{
		Request: time.Millisecond, Dispatch: 200 * time.Microsecond, ThreadStart: 100 * time.Microsecond, Startup: 4 * time.Millisecond,
		Block: 2 * time.Millisecond, IPC: 20 * time.Microsecond, RPC: 500 * time.Microsecond, INV: 100 * time.Microsecond,
		SwitchInterval: predict.DefaultSwitchInterval,
	}
	p := project(t)
	r, err := Run(t.Context(), Options{Projects: []*workflow.Project{p}, Agent: agent, Calibration: &constants, Rounds: 3, ProfileRuns: 10, Random: 2, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Workflows) == 0 || r.Workflows[0].SLO != pipeline.Millis(500*time.Millisecond) {
		t.Fatalf("%+v", r)
	}
	for _, w := range r.Workflows {
		if len(w.Plans) < 2 || w.Plans[0].Name != Chosen || len(w.Why) != 3 {
			t.Errorf("%+v", w)
		}
		for _, c := range w.Plans {
			if len(c.took) != 3 || c.Measured <= 0 || c.Predicted <= 0 {
				t.Errorf("%+v", c)
			}
		}
	}
	var b strings.Builder
	if err := r.WriteText(&b); err != nil || !strings.Contains(b.String(), "four, SLO 500.0 ms (p95)") {
		t.Errorf("%v\n%s", err, b.String())
	}
	if _, err := os.Stat(filepath.Join(p.Dir, ".chiron")); err == nil {
		t.Error("it wrote into the project's folder")
	}
}
