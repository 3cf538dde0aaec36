package predict

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/chiron-faas/chiron/plan"
	"github.com/chiron-faas/chiron/predict/predicttest"
	"github.com/chiron-faas/chiron/profile"
	"github.com/chiron-faas/chiron/workflow"
)

// sample is a random workflow with a plan.
type sample struct {
	definition  *workflow.Definition
	profile     *profile.Profile
	plan        *plan.Plan
	calibration Calibration
	cpus        int
}

func randomSample(t testing.TB, r *rand.Rand) sample {
	var tasks []string
	var graph func(depth int) any
	graph = func(depth int) any {
		switch k := r.IntN(4); {
		case k == 0 && depth > 0:
			var g predicttest.Par
			for range 1 + r.IntN(4) {
				g = append(g, graph(depth-1))
			}
			return g
		case k == 1 && depth > 0:
			var g predicttest.Seq
			for range 1 + r.IntN(3) {
				g = append(g, graph(depth-1))
			}
			return flat(g)
		}
		tasks = append(tasks, fmt.Sprintf("t%d", len(tasks)))
		return tasks[len(tasks)-1]
	}
	s := sample{definition: predicttest.Define(t, flat(predicttest.Seq{graph(3), graph(2)})), profile: &profile.Profile{Workflow: "w"}, plan: &plan.Plan{Workflow: "w", Model: "test"}}
	classes := []profile.Class{profile.CPU, profile.Native, profile.Block}
	for _, name := range tasks {
		f := profile.Function{Name: "f", Tasks: []string{name}}
		for range r.IntN(6) {
			f.Periods = append(f.Periods, profile.Period{Class: classes[r.IntN(3)], Mean: time.Duration(r.Int64N(int64(20 * ms)))})
		}
		s.profile.Functions = append(s.profile.Functions, f)
	}
	shuffled := slices.Clone(tasks)
	r.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
	for w := range 1 + r.IntN(3) {
		wrap := plan.Wrap{Name: fmt.Sprintf("wrap-%d", w+1), CPUs: 1 + r.IntN(4)}
		for range 1 + r.IntN(4) {
			p := plan.Process{Mode: []plan.Mode{plan.Pool, plan.Fork}[r.IntN(2)], CPU: r.IntN(wrap.CPUs+1) - 1}
			n := min(len(shuffled), r.IntN(4))
			p.Tasks, shuffled = shuffled[:n], shuffled[n:]
			wrap.Processes = append(wrap.Processes, p)
		}
		s.plan.Wraps = append(s.plan.Wraps, wrap)
	}
	last := &s.plan.Wraps[len(s.plan.Wraps)-1].Processes[0]
	last.Tasks = append(slices.Clone(last.Tasks), shuffled...)
	some := func(limit time.Duration) time.Duration { return time.Duration(r.Int64N(int64(limit))) }
	s.calibration = Calibration{
		Request: some(ms), Dispatch: some(ms), ThreadStart: some(ms), Startup: some(10 * ms), Block: some(5 * ms),
		IPC: some(ms), RPC: some(10 * ms), INV: some(2 * ms), SwitchInterval: 1 + some(8*ms),
	}
	if r.IntN(2) == 0 {
		s.cpus = 1 + r.IntN(6)
	}
	s.calibration.Exit = some(2 * ms)
	return s
}

// flat takes series out of a series, which states of one machine cannot nest.
func flat(g predicttest.Seq) predicttest.Seq {
	var out predicttest.Seq
	for _, x := range g {
		if inner, ok := x.(predicttest.Seq); ok {
			out = append(out, flat(inner)...)
		} else {
			out = append(out, x)
		}
	}
	return out
}

// TestConservation holds what must be true of every prediction.
func TestConservation(t *testing.T) {
	sequential(t)
	for seed := range uint64(1500) {
		s := randomSample(t, rand.New(rand.NewPCG(seed, 1)))
		checkPrediction(t, s)
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

// sequential skips what computes on one goroutine under the race detector, which
// finds nothing there: make test runs it without.
func sequential(t *testing.T) {
	t.Helper()
	if raceEnabled {
		t.Skip("it computes on one goroutine: run it without the race detector")
	}
}

func FuzzPredict(f *testing.F) {
	f.Add(uint64(1), uint64(2))
	f.Fuzz(func(t *testing.T, a, b uint64) {
		checkPrediction(t, randomSample(t, rand.New(rand.NewPCG(a, b))))
	})
}

func checkPrediction(t *testing.T, s sample) {
	t.Helper()
	p, err := New(s.definition, s.profile, &s.calibration, Options{CPUs: s.cpus})
	if err != nil {
		t.Fatal(err)
	}
	got, err := p.Predict(s.plan)
	if err != nil {
		t.Fatal(err)
	}
	again, err := p.Predict(s.plan)
	if diff := gocmp.Diff(got, again); err != nil || diff != "" {
		t.Fatalf("the same plan is predicted differently: %v\n%s", err, diff)
	}
	places := s.plan.Places()
	// Per task: what it did is what the profile says, in time order.
	spent := make(map[string]map[Activity]time.Duration)
	end := make(map[string]time.Duration)
	for _, span := range got.Timeline {
		if span.Start < end[span.Task] || span.End <= span.Start || span.End > got.Latency {
			t.Fatalf("span %+v after %v, latency %v", span, end[span.Task], got.Latency)
		}
		end[span.Task] = span.End
		if spent[span.Task] == nil {
			spent[span.Task] = make(map[Activity]time.Duration)
		}
		spent[span.Task][span.Activity] += span.End - span.Start
		if place := places[span.Task]; s.plan.Wraps[place.Wrap].Name != span.Wrap || place.Process != span.Process {
			t.Fatalf("span %+v is not where the plan puts it: %+v", span, place)
		}
	}
	for _, f := range s.profile.Functions {
		want := make(map[Activity]time.Duration)
		for _, period := range f.Periods {
			want[Activity(period.Class)] += period.Mean
		}
		for _, a := range []Activity{CPU, Native} {
			// Shared CPUs stretch a period, never shorten it.
			if got := spent[f.Tasks[0]][a]; got < want[a] {
				t.Fatalf("task %s: %v of %s, the profile has %v", f.Tasks[0], got, a, want[a])
			}
		}
		if got := spent[f.Tasks[0]][Block]; got != want[Block] {
			t.Fatalf("task %s: blocked %v, the profile has %v", f.Tasks[0], got, want[Block])
		}
	}
	checkLocks(t, s, got)
	dearer := s.calibration
	dearer.Request += ms
	q, err := New(s.definition, s.profile, &dearer, Options{CPUs: s.cpus})
	if err != nil {
		t.Fatal(err)
	}
	if more, err := q.Latency(s.plan); err != nil || more != got.Latency+ms {
		t.Fatalf("a request dearer by 1 ms: %v, %v, want %v", more, err, got.Latency+ms)
	}
}

// checkLocks checks that the threads of a pool process, which all share one
// interpreter, never hold its lock at the same time.
func checkLocks(t *testing.T, s sample, got *Prediction) {
	t.Helper()
	type key struct {
		wrap    string
		process int
	}
	held := make(map[key][]Span)
	for _, span := range got.Timeline {
		place := s.plan.Places()[span.Task]
		if span.Activity == CPU && s.plan.Wraps[place.Wrap].Processes[place.Process].Mode == plan.Pool {
			held[key{span.Wrap, span.Process}] = append(held[key{span.Wrap, span.Process}], span)
		}
	}
	for k, spans := range held {
		slices.SortFunc(spans, func(a, b Span) int { return cmp.Compare(a.Start, b.Start) })
		for i := 1; i < len(spans); i++ {
			if spans[i].Start < spans[i-1].End {
				t.Fatalf("%v: two hold the lock at once: %+v and %+v", k, spans[i-1], spans[i])
			}
		}
	}
}

func BenchmarkLatency(b *testing.B) {
	for _, n := range []int{10, 100, 200} {
		b.Run(fmt.Sprintf("functions=%d", n), func(b *testing.B) {
			var g predicttest.Par
			text := ""
			wrap := "6: pool@0"
			for i := range n {
				g = append(g, fmt.Sprintf("t%d", i))
				if i > 0 {
					text += ", "
				}
				text += fmt.Sprintf("t%d: cpu 8 block 4 cpu 2", i)
				if i > 0 && i%(n/6+1) == 0 {
					wrap += fmt.Sprintf(" | fork@%d", i/(n/6+1))
				}
				wrap += fmt.Sprintf(" t%d", i)
			}
			c := Paper()
			p, err := New(predicttest.Define(b, g), predicttest.Behave(b, text), &c, Options{})
			if err != nil {
				b.Fatal(err)
			}
			pl := predicttest.Arrange(b, wrap)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := p.Latency(pl); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
