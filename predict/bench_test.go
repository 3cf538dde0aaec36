package predict

import (
	"fmt"
	"testing"
	"time"

	"github.com/chiron-faas/chiron/plan"
	"github.com/chiron-faas/chiron/predict/predicttest"
	"github.com/chiron-faas/chiron/profile"
)

// BenchmarkThreads is one process of 100 threads with 10 periods each. The aim
// is under 1 ms.
func BenchmarkThreads(b *testing.B) {
	const threads, periods = 100, 10
	var graph predicttest.Par
	measured := &profile.Profile{Workflow: "w"}
	process := plan.Process{Mode: plan.Pool, CPU: plan.Unpinned}
	for i := range threads {
		name := fmt.Sprintf("t%d", i)
		graph = append(graph, name)
		f := profile.Function{Name: "f", Tasks: []string{name}}
		for k := range periods {
			class := []profile.Class{profile.CPU, profile.Block}[k%2]
			f.Periods = append(f.Periods, profile.Period{Class: class, Mean: 200*time.Microsecond + time.Microsecond*profileStep(i, k), StdDev: ms / 10})
		}
		measured.Functions = append(measured.Functions, f)
		process.Tasks = append(process.Tasks, name)
	}
	c := Paper()
	p, err := New(predicttest.Define(b, graph), measured, &c, Options{CPUs: 2})
	if err != nil {
		b.Fatal(err)
	}
	benchmarkLatency(b, p, &plan.Plan{Wraps: []plan.Wrap{{Name: "wrap-1", CPUs: 2, Processes: []plan.Process{process}}}})
}

// profileStep makes lengths that differ from thread to thread and period to
// period, 0 to 99.
func profileStep(i, k int) time.Duration { return time.Duration((i*37 + k*11) % 100) }

// finra is the paper's FINRA with the functions that its authors measured:
// market data and n rules, which are four functions by turns, then the margin
// balance; and a plan with a process for every five rules.
func finra(t testing.TB, n int, c *Calibration) (*Predictor, *plan.Plan) {
	t.Helper()
	rules := []string{"lastpx", "side", "trddate", "volume"}
	measured := &profile.Profile{Workflow: "w"}
	behave := func(task, function string) {
		f := profile.Function{Name: function, Tasks: []string{task}, Periods: predicttest.Published(t, function)}
		for k := range f.Periods { // they published no spread: a fifth
			f.Periods[k].StdDev = f.Periods[k].Mean / 5
		}
		measured.Functions = append(measured.Functions, f)
	}
	behave("market-data", "marketdata")
	behave("margin-balance", "margin-balance")
	var stage predicttest.Par
	wrap := plan.Wrap{Name: "wrap-1", CPUs: 4, Processes: []plan.Process{{Mode: plan.Pool, CPU: 0, Tasks: []string{"market-data", "margin-balance"}}}}
	for i := range n {
		task := fmt.Sprintf("rule-%d", i)
		behave(task, rules[i%len(rules)])
		stage = append(stage, task)
		if i%5 == 0 {
			wrap.Processes = append(wrap.Processes, plan.Process{Mode: plan.Fork, CPU: plan.Unpinned})
		}
		last := &wrap.Processes[len(wrap.Processes)-1]
		last.Tasks = append(last.Tasks, task)
	}
	p, err := New(predicttest.Define(t, predicttest.Seq{"market-data", stage, "margin-balance"}), measured, c, Options{})
	if err != nil {
		t.Fatal(err)
	}
	return p, &plan.Plan{Workflow: "w", Model: "test", Wraps: []plan.Wrap{wrap}}
}

// BenchmarkFINRA is a whole plan of FINRA, without percentiles. The aim for 200
// rules is under 20 ms.
func BenchmarkFINRA(b *testing.B) {
	for _, n := range []int{5, 50, 200} {
		b.Run(fmt.Sprintf("rules=%d", n), func(b *testing.B) {
			c := Paper()
			p, pl := finra(b, n, &c)
			benchmarkLatency(b, p, pl)
		})
	}
}

// BenchmarkFINRATimeline is BenchmarkFINRA with the timeline.
func BenchmarkFINRATimeline(b *testing.B) {
	c := Paper()
	p, pl := finra(b, 200, &c)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := p.Predict(pl); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkDistribution is a plan of FINRA with percentiles, of 1000 samples.
func BenchmarkDistribution(b *testing.B) {
	for _, n := range []int{5, 50} {
		for _, workers := range []int{1, 2} {
			b.Run(fmt.Sprintf("rules=%d/workers=%d", n, workers), func(b *testing.B) {
				c := Paper()
				p, pl := finra(b, n, &c)
				b.ReportAllocs()
				for b.Loop() {
					if _, err := p.Distribution(pl, DistributionOptions{Workers: workers}); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

func benchmarkLatency(b *testing.B, p *Predictor, pl *plan.Plan) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := p.Latency(pl); err != nil {
			b.Fatal(err)
		}
	}
}
