package pgp

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/chiron-faas/chiron/plan"
	"github.com/chiron-faas/chiron/predict"
	"github.com/chiron-faas/chiron/predict/predicttest"
	"github.com/chiron-faas/chiron/profile"
)

const msec = time.Millisecond

// constants without thread starts, so that sums come out round.
func constants() predict.Calibration {
	c := predict.Paper()
	c.ThreadStart = 0
	return c
}

func problem(t testing.TB, graph any, behaviour string, slo time.Duration) Problem {
	c := constants()
	return Problem{
		Workflow: "w", Definition: predicttest.Define(t, graph), Profile: predicttest.Behave(t, behaviour),
		Calibration: &c, SLO: slo,
	}
}

// The paper's constants: T_Startup 13, T_Block 4, T_RPC 20, T_INV 4 ms.
func TestSearch(t *testing.T) {
	four := predicttest.Par{"a", "b", "c", "d"}
	compute := "a: cpu 30, b: cpu 30, c: cpu 30, d: cpu 30"
	for _, c := range []struct {
		name      string
		graph     any
		behaviour string
		slo       time.Duration
		cpus      int
		met       bool
		latency   time.Duration
		want      string
	}{
		// One process: 4 · 30 = 120.
		{"one process is enough", four, compute, 120 * msec, 0, true, 120 * msec, `
w · chiron · 1 wrap, 1 CPU
└─ wrap-1 · 1 CPU
   └─ pool on CPU 0 · a, b, c, d`},
		// Two: 60 in the resident one, 13 + 60 in the forked one.
		{"two processes, forked", four, compute, 80 * msec, 0, true, 73 * msec, `
w · chiron · 1 wrap, 2 CPUs
└─ wrap-1 · 2 CPUs
   ├─ pool on CPU 0 · a, c
   └─ fork on CPU 1 · b, d`},
		// The fork's 13 do not fit into 65, a second resident process does.
		{"two processes, resident", four, compute, 65 * msec, 0, true, 60 * msec, `
w · chiron · 1 wrap, 2 CPUs
└─ wrap-1 · 2 CPUs
   ├─ pool on CPU 0 · a, c
   └─ pool on CPU 1 · b, d`},
		// The longest first: a alone in the resident process (40), c in the forked
		// one (13 + 40 = 53), then b and d where they end first: 50, 60.
		{"the longest first", four, "a: cpu 40, b: cpu 10, c: cpu 40, d: cpu 10", 70 * msec, 0, true, 60 * msec, `
w · chiron · 1 wrap, 2 CPUs
└─ wrap-1 · 2 CPUs
   ├─ pool on CPU 0 · a, b, d
   └─ fork on CPU 1 · c`},
		// In one process a wakes at 11 and gets the lock from b at 16: 17 + 10 = 27.
		// In two on one CPU a has it until 1, and takes it from b when it wakes at 11:
		// a ends at 12 + 10 = 22, b too. A fork would begin at 13.
		{"two processes share a CPU", predicttest.Par{"a", "b"}, "a: cpu 1 block 10 cpu 1 block 10, b: cpu 20", 25 * msec, 0, true, 22 * msec, `
w · chiron · 1 wrap, 1 CPU
└─ wrap-1 · 1 CPU
   ├─ pool · b
   └─ pool · a`},
		// Native work needs no lock: two threads of one process on two CPUs.
		{"native threads share CPUs", predicttest.Par{"a", "b"}, "a: native 30, b: native 30", 40 * msec, 0, true, 30 * msec, `
w · chiron · 1 wrap, 2 CPUs
└─ wrap-1 · 2 CPUs
   └─ pool · a, b`},
		// Blocks overlap in one process: 4 of CPU and one block of 50.
		{"waiting needs no CPU", four, "a: cpu 1 block 50, b: cpu 1 block 50, c: cpu 1 block 50, d: cpu 1 block 50", 60 * msec, 0, true, 54 * msec, `
w · chiron · 1 wrap, 1 CPU
└─ wrap-1 · 1 CPU
   └─ pool on CPU 0 · a, b, c, d`},
		// Four resident processes need 30; nothing is faster.
		{"nothing meets it", four, compute, 20 * msec, 0, false, 30 * msec, `
w · chiron · 1 wrap, 4 CPUs
└─ wrap-1 · 4 CPUs
   ├─ pool on CPU 0 · a
   ├─ pool on CPU 1 · b
   ├─ pool on CPU 2 · c
   └─ pool on CPU 3 · d`},
		{"nothing meets it on two CPUs", four, compute, 20 * msec, 2, false, 60 * msec, `
w · chiron · 1 wrap, 2 CPUs
└─ wrap-1 · 2 CPUs
   ├─ pool on CPU 0 · a, c
   └─ pool on CPU 1 · b, d`},
		{"no objective", four, compute, 0, 0, true, 120 * msec, `
w · chiron · 1 wrap, 1 CPU
└─ wrap-1 · 1 CPU
   └─ pool on CPU 0 · a, b, c, d`},
		{"series stay in the resident process", predicttest.Seq{"s", predicttest.Par{"a", "b"}, "e"}, "s: cpu 5, a: cpu 30, b: cpu 10, e: cpu 5", 45 * msec, 0, true, 40 * msec, `
w · chiron · 1 wrap, 2 CPUs
└─ wrap-1 · 2 CPUs
   ├─ pool on CPU 0 · s, a, e
   └─ fork on CPU 1 · b`},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := problem(t, c.graph, c.behaviour, c.slo)
			p.CPUs = c.cpus
			r, err := Search(t.Context(), p)
			if err != nil {
				t.Fatal(err)
			}
			if r.Met != c.met || r.Prediction.Latency != c.latency {
				t.Errorf("met %v, latency %v, want %v and %v", r.Met, r.Prediction.Latency, c.met, c.latency)
			}
			if got := strings.TrimSpace(r.Plan.Tree(100)); got != strings.TrimSpace(c.want) {
				t.Errorf("plan:\n%s\nwant:%s", got, c.want)
			}
		})
	}
}

// TestLiteral: Algorithm 2 as printed deals in turn, {a c} = 80 and {b d} = 20,
// and swaps: a for b, then {b c} = 50 and {a d} = 13 + 50 = 63. Moving b as well,
// or beginning with the longest, would reach 60.
func TestLiteral(t *testing.T) {
	p := problem(t, predicttest.Par{"a", "b", "c", "d"}, "a: cpu 40, b: cpu 10, c: cpu 40, d: cpu 10", 70*msec)
	p.Method = Algorithm2
	r, err := Search(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	want := `
w · chiron · 1 wrap, 2 CPUs
└─ wrap-1 · 2 CPUs
   ├─ pool on CPU 0 · c, b
   └─ fork on CPU 1 · a, d`
	if got := strings.TrimSpace(r.Plan.Tree(100)); got != strings.TrimSpace(want) || r.Prediction.Latency != 63*msec {
		t.Errorf("latency %v, plan:\n%s", r.Prediction.Latency, got)
	}
}

// TestFivesOfARule: five rules, dealt in turn to five processes, put every task
// of a rule into one process, and no single swap leads out of that. Ours gets
// faster with every process.
func TestFivesOfARule(t *testing.T) {
	latencies := func(method Method) (out []time.Duration) {
		p := benchmark(t, 50)
		p.Method = method
		s, err := newSearch(p)
		if err != nil {
			t.Fatal(err)
		}
		w, err := s.newWorker()
		if err != nil {
			t.Fatal(err)
		}
		for n := 1; n <= 8; n++ {
			c, err := w.partition(t.Context(), newShape(plan.Pool, []wrapShape{{processes: n, cpus: n}}), asFastAsCanBe)
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, c.latency)
		}
		return out
	}
	paper := latencies(Algorithm2)
	l := latencies(Production)
	for n := 1; n < len(l); n++ {
		if l[n] > paper[n] {
			t.Errorf("%d processes take %v, by the paper's search %v", n+1, l[n], paper[n])
		}
		if l[n] >= l[n-1] {
			t.Errorf("%d processes take %v, %d take %v", n+1, l[n], n, l[n-1])
		}
	}
}

func TestAlternatives(t *testing.T) {
	p := problem(t, predicttest.Seq{"s", predicttest.Par{"a", "b", "c", "d"}}, "s: cpu 5, a: cpu 30, b: cpu 30, c: cpu 30, d: cpu 30", 70*msec)
	p.Alternatives = true
	r, err := Search(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	// One CPU: 5 + 120. Two, forked: 5 + 13 + 60; resident: 5 + 60. Three: a pair
	// of tasks is in one of them, 5 + 60; the models as in plan/model:
	// one-to-one: each call costs 4 and two exchanges of 20, by the gateway, so that
	// is 4 + 40 + 5, then 4 + 40 + 30; SAND: s is forked, 13 + 5, then 13 + 3·4
	// + 30; Faastlane: 5 + 13 + 3·4 + 30; its threads: 125; its pool: 5 + 30.
	got := map[string]time.Duration{}
	for _, a := range r.Alternatives {
		got[a.Name] = a.Latency
	}
	want := map[string]time.Duration{
		"one CPU fewer": 125 * msec, "one CPU more": 65 * msec, "one-to-one": 123 * msec, "sand": 73 * msec,
		"faastlane": 60 * msec, "faastlane+": 60 * msec, "faastlane-t": 125 * msec, "faastlane-p": 35 * msec,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("alternatives (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]Skipped{{CPUs: 1, AtLeast: 125 * msec}}, r.Skipped); diff != "" {
		t.Errorf("skipped (-want +got):\n%s", diff)
	}
	// Forked, two cannot do it either: 5 + (120 + 13) / 2, so that is not tried.
	if len(r.Steps) != 1 || r.Steps[0].Mode != plan.Pool || r.Steps[0].Why != "" {
		t.Errorf("steps %+v", r.Steps)
	}
}

func TestSearchKeepsConflictsApart(t *testing.T) {
	p := problem(t, predicttest.Par{"a", "b", "c"}, "a: cpu 10, b: cpu 10, c: cpu 10", 100*msec)
	// b's function is another one, which writes the same file.
	for _, s := range p.Definition.Tasks() {
		if s.Name == "b" {
			s.Function = "g"
		}
	}
	for i := range p.Profile.Functions {
		p.Profile.Functions[i].Files = []string{"/data/x"}
	}
	p.Profile.Functions[1].Name = "g"
	r, err := Search(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	// Wrap 2: 10 + 4 + 20 = 34; wrap 1: 20.
	want := `
w · chiron · 2 wraps, 2 CPUs
├─ wrap-1 · 1 CPU
│  └─ pool on CPU 0 · a, c
└─ wrap-2 · 1 CPU
   └─ pool on CPU 0 · b`
	if got := strings.TrimSpace(r.Plan.Tree(100)); got != strings.TrimSpace(want) || r.Prediction.Latency != 34*msec {
		t.Errorf("latency %v, plan:\n%s", r.Prediction.Latency, got)
	}
}

// TestSearchOpensWraps: six forks in wrap 1 delay each other more than a call of
// another wrap costs, so Algorithm 2 begins with more wraps, and packs only as
// far as the SLO allows.
func TestSearchOpensWraps(t *testing.T) {
	var g predicttest.Par
	var behaviour []string
	for i := range 12 {
		g = append(g, fmt.Sprintf("t%d", i))
		behaviour = append(behaviour, fmt.Sprintf("t%d: cpu 40", i))
	}
	p := problem(t, g, strings.Join(behaviour, ", "), 0)
	s, err := newSearch(p)
	if err != nil {
		t.Fatal(err)
	}
	// min(20/4, 7) = 5 processes in wrap 1, then one each.
	if diff := cmp.Diff([]int{5, 1, 1}, s.paperSizes(7, plan.Fork, 7)); diff != "" {
		t.Errorf("processes by wrap (-want +got):\n%s", diff)
	}
	w, err := s.newWorker()
	if err != nil {
		t.Fatal(err)
	}
	sh := s.divided([]int{7}, plan.Fork, func(n int) []int { return s.paperSizes(n, plan.Fork, n) })
	c, err := w.partition(t.Context(), sh, asFastAsCanBe)
	if err != nil || len(c.plan.Wraps) != 3 {
		t.Fatalf("%v, %v", c.plan, err)
	}
	if c, err = w.pack(c, time.Second); err != nil || len(c.plan.Wraps) != 1 {
		t.Errorf("packed under a loose SLO: %d wraps, %v, want 1", len(c.plan.Wraps), err)
	}
}

func TestSearchEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Search(ctx, benchmark(t, 20)); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want that the context was cancelled", err)
	}
	late, cancel := context.WithTimeout(t.Context(), 20*msec)
	defer cancel()
	slow := benchmark(t, 400)
	slow.SLO = 1
	begun := time.Now()
	if _, err := Search(late, slow); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v, want that the time is up", err)
	}
	if took := time.Since(begun); took > 5*time.Second {
		t.Errorf("it took %v to notice that the time is up", took)
	}
	p := problem(t, "a", "b: cpu 1", msec)
	if _, err := Search(t.Context(), p); err == nil || !strings.Contains(err.Error(), `"a"`) {
		t.Errorf("a profile without the task: error %v", err)
	}
}

// benchmark is FINRA's shape: n branches over five rules, then a sum.
func benchmark(t testing.TB, n int) Problem {
	rules := []string{"cpu 4 block 6 cpu 2 block 20", "cpu 3 block 2", "cpu 9", "cpu 2 block 12 cpu 2", "cpu 6 block 1"}
	var g predicttest.Par
	var behaviour []string
	for i := range n {
		g = append(g, fmt.Sprintf("t%d", i))
		behaviour = append(behaviour, fmt.Sprintf("t%d: %s", i, rules[i%len(rules)]))
	}
	p := problem(t, predicttest.Seq{g, "sum"}, strings.Join(append(behaviour, "sum: cpu 1"), ", "), time.Duration(n)*msec*3/2)
	// One measurement stands for all tasks of a rule, as the profiler makes it.
	merged := &profile.Profile{Workflow: "w", Functions: append([]profile.Function(nil), p.Profile.Functions[:min(n, len(rules))]...)}
	for i := len(rules); i < n; i++ {
		f := &merged.Functions[i%len(rules)]
		f.Tasks = append(f.Tasks, fmt.Sprintf("t%d", i))
	}
	merged.Functions = append(merged.Functions, p.Profile.Functions[n])
	p.Profile = merged
	return p
}

func BenchmarkSearch(b *testing.B) {
	for _, n := range []int{50, 100, 200, 500, 1000} {
		b.Run(fmt.Sprintf("kinds=20/functions=%d", n), func(b *testing.B) { benchmarkStage(b, n, 20) })
	}
	for _, n := range []int{50, 100, 200, 500, 1000} {
		b.Run(fmt.Sprintf("distinct/functions=%d", n), func(b *testing.B) { benchmarkStage(b, n, n) })
	}
}

// stageOf is one stage of n functions of so many kinds, and an SLO of a quarter
// more than its work takes with a CPU for each 25 of them.
func stageOf(t testing.TB, n, kinds int) Problem {
	r := rand.New(rand.NewPCG(1, 2))
	measured := &profile.Profile{Workflow: "w"}
	var work time.Duration
	for range kinds {
		f := profile.Function{Name: fmt.Sprintf("f%d", len(measured.Functions))}
		for range 1 + r.IntN(4) {
			f.Periods = append(f.Periods,
				profile.Period{Class: profile.CPU, Mean: time.Duration(1 + r.Int64N(int64(8*msec)))},
				profile.Period{Class: profile.Block, Mean: time.Duration(1 + r.Int64N(int64(8*msec)))})
		}
		measured.Functions = append(measured.Functions, f)
	}
	var g predicttest.Par
	for i := range n {
		name := fmt.Sprintf("t%d", i)
		g = append(g, name)
		f := &measured.Functions[i%kinds]
		f.Tasks = append(f.Tasks, name)
		for _, p := range f.Periods {
			if p.Class == profile.CPU {
				work += p.Mean
			}
		}
	}
	c := predict.Paper()
	return Problem{
		Workflow: "w", Definition: predicttest.Define(t, g), Profile: measured, Calibration: &c,
		SLO: work / time.Duration(n/25) * 5 / 4,
	}
}

func benchmarkStage(b *testing.B, n, kinds int) {
	p := stageOf(b, n, kinds)
	b.ReportAllocs()
	for b.Loop() {
		result, err := Search(b.Context(), p)
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(result.Evaluations), "predictions")
		b.ReportMetric(float64(result.Plan.CPUs()), "cpus")
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	b.ReportMetric(float64(m.Sys)/1e6, "MB-of-process")
}
