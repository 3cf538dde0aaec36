package simulate

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chiron-faas/chiron/plan"
	"github.com/chiron-faas/chiron/predict"
	"github.com/chiron-faas/chiron/predict/predicttest"
	"github.com/chiron-faas/chiron/profile"
)

// finra has a task and five that compute beside each other, on the paper's
// constants.
func finra(t testing.TB, pl *plan.Plan) DeploymentOptions {
	t.Helper()
	c := predict.Paper()
	c.Spread = []float64{0.8, 1, 1.4}
	p := &profile.Profile{Workflow: "w"}
	graph := predicttest.Par{}
	for _, name := range []string{"fetch", "a", "b", "c", "d", "e"} {
		f := profile.Function{Name: name, Tasks: []string{name}, Periods: []profile.Period{
			{Class: profile.Block, Mean: 4 * time.Millisecond, StdDev: time.Millisecond}, {Class: profile.CPU, Mean: 2 * time.Millisecond, StdDev: 300 * time.Microsecond},
		}}
		f.Memory.Host.RSS, f.Memory.Worker.Private = 10e6, 2e6
		p.Functions = append(p.Functions, f)
		if name != "fetch" {
			graph = append(graph, name)
		}
	}
	return DeploymentOptions{Definition: predicttest.Define(t, predicttest.Seq{"fetch", graph}), Profile: p, Calibration: &c, Plan: pl, Seed: 1}
}

// faastlane has a resident process and three that are forked, two CPUs.
func faastlane() *plan.Plan {
	return &plan.Plan{Workflow: "w", Model: "test", Wraps: []plan.Wrap{{Name: "wrap-1", CPUs: 2, Processes: []plan.Process{
		{Mode: plan.Pool, CPU: plan.Unpinned, Tasks: []string{"fetch", "a"}},
		{Mode: plan.Fork, CPU: 0, Tasks: []string{"b", "c"}},
		{Mode: plan.Fork, CPU: 1, Tasks: []string{"d", "e"}},
	}}}}
}

// TestLoneRequests: requests that never meet take what the predictor says, at all
// percentiles, and the CPU time that it says.
func TestLoneRequests(t *testing.T) {
	o := finra(t, faastlane())
	d, err := NewDeployment(o)
	if err != nil {
		t.Fatal(err)
	}
	predictor, err := predict.New(o.Definition, o.Profile, o.Calibration, predict.Options{})
	if err != nil {
		t.Fatal(err)
	}
	want, err := predictor.Distribution(o.Plan, predict.DistributionOptions{Samples: DefaultSamples, Seed: o.Seed})
	if err != nil {
		t.Fatal(err)
	}
	r := simulated(t, d, Options{Arrivals: NewSteady(1), Requests: 50_000, Seed: 1})
	for percentile, of := range map[float64]time.Duration{0: want.Mean, 50: want.P50, 90: want.P90, 99: want.P99} {
		if got := r.Percentile(percentile); math.Abs(float64(got-of)) > 0.01*float64(of) {
			t.Errorf("p%v is %v, predicted is %v", percentile, got, of)
		}
	}
	if r.Over(want.P50) > 27_000 || r.Over(want.P50) < 23_000 || r.Over(0) != 50_000 || r.Over(time.Hour) != 0 {
		t.Errorf("%d take longer than p50", r.Over(want.P50))
	}
	prediction, err := predictor.Predict(o.Plan)
	if err != nil {
		t.Fatal(err)
	}
	within(t, "CPU time", r.Whole.Used/50_000, prediction.CPU.Seconds(), 0.05)
}

// TestResources: what the requests inside an instance share.
func TestResources(t *testing.T) {
	d, err := NewDeployment(finra(t, faastlane()))
	if err != nil {
		t.Fatal(err)
	}
	// The wrap's CPUs, the lock of its first process, its two pinned CPUs.
	if want := []int{2, 1, 1, 1}; !slices.Equal(d.Resources, want) {
		t.Errorf("resources %v, want %v", d.Resources, want)
	}
	if d.Limit != plan.DefaultConcurrency || d.Rest != 12e6 || d.PerRequest != 4e6 || d.Wraps[0].Memory != 16e6 {
		t.Errorf("%+v", *d)
	}
	used := make([]bool, 4)
	for _, r := range d.Requests {
		if len(r.Phases) > 2*maxPhases {
			t.Errorf("%d phases", len(r.Phases))
		}
		for _, p := range r.Phases {
			for _, demand := range p.Demands {
				used[demand.Resource] = true
				if demand.Threads > float64(d.Resources[demand.Resource]) {
					t.Errorf("a request alone wants %v of %d", demand.Threads, d.Resources[demand.Resource])
				}
			}
		}
	}
	if slices.Contains(used, false) {
		t.Errorf("resources that are used: %v", used)
	}
	o := finra(t, faastlane())
	o.Concurrency = -1
	if _, err := NewDeployment(o); err == nil || !strings.Contains(err.Error(), "concurrency of -1") {
		t.Error(err)
	}
	o.Concurrency, o.Samples = 3, predict.MaxSamples+1
	if _, err := NewDeployment(o); err == nil || !strings.Contains(err.Error(), "samples") {
		t.Error(err)
	}
	o.Samples = 1
	if d, err := NewDeployment(o); err != nil || d.Limit != 3 {
		t.Error(d, err)
	}
}

// TestJoined: fewer phases take as long and as much.
func TestJoined(t *testing.T) {
	var phases []Phase
	for i := range 200 {
		p := Phase{Length: time.Duration(1+i%7) * time.Millisecond}
		if i%3 > 0 {
			p.demand(i%2, float64(i%3))
		}
		phases = append(phases, p)
	}
	sum := func(phases []Phase) (length time.Duration, used [2]float64) {
		for _, p := range phases {
			length += p.Length
			for _, d := range p.Demands {
				used[d.Resource] += d.Threads * p.Length.Seconds()
			}
		}
		return
	}
	length, used := sum(phases)
	got := joined(phases)
	l, u := sum(got)
	if len(got) != maxPhases || l != length || math.Abs(u[0]-used[0]) > 1e-9 || math.Abs(u[1]-used[1]) > 1e-9 {
		t.Errorf("%d phases of %v that use %v, want %v and %v", len(got), l, u, length, used)
	}
}

// BenchmarkMillion simulates a million requests of a workflow of six functions at
// 100,000 a second on a thousand nodes.
func BenchmarkMillion(b *testing.B) {
	o := finra(b, faastlane())
	o.Concurrency = 4
	d, err := NewDeployment(o)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		r := simulated(b, d, Options{
			Nodes: 1000, Node: Node{CPUs: 16}, Arrivals: NewPoisson(100_000, 1), Requests: 1_000_000, Min: 3000, Max: 8000, Seed: 1,
		})
		b.ReportMetric(float64(r.Answered)/float64(r.Requests), "answered")
		b.ReportMetric(r.CPUsUsed/r.CPUs.Mean, "busy")
		b.ReportMetric(r.InSystem, "in-system")
	}
}
