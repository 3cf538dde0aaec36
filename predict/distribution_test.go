package predict

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/chiron-faas/chiron/plan"
	"github.com/chiron-faas/chiron/predict/predicttest"
	"github.com/chiron-faas/chiron/profile"
)

// vary gives a sample's functions and constants a spread: whole runs for some,
// periods' deviations for others, nothing for the rest.
func vary(s *sample, r *rand.Rand) {
	for i := range s.profile.Functions {
		f := &s.profile.Functions[i]
		kind := r.IntN(3)
		var sum time.Duration
		for k := range f.Periods {
			sum += f.Periods[k].Mean
			if kind == 1 {
				f.Periods[k].StdDev = time.Duration(r.Int64N(int64(f.Periods[k].Mean)*2 + 1))
			}
		}
		if kind == 2 {
			f.Wall.Mean = sum
			if r.IntN(2) == 0 {
				f.Cold.Mean = sum + sum/4
			}
			for range 2 + r.IntN(100) {
				f.Walls = append(f.Walls, time.Duration(r.Int64N(int64(2*sum)+1)))
			}
			slices.Sort(f.Walls)
		}
	}
	if r.IntN(2) == 0 {
		s.calibration.Spread, s.calibration.Together = []float64{0.8, 0.9, 1, 1.1, 3}, r.Float64()
	}
}

// TestDistributionOfAnyPlan holds what must be true of every distribution.
func TestDistributionOfAnyPlan(t *testing.T) {
	for seed := range uint64(100) {
		r := rand.New(rand.NewPCG(seed, 2))
		s := randomSample(t, r)
		o := DistributionOptions{Samples: 1 + r.IntN(60), Seed: seed, Workers: 1}
		still := predictorOf(t, &s)
		latency, err := still.Latency(s.plan)
		if err != nil {
			t.Fatal(err)
		}
		d := distribution(t, still, s.plan, o)
		if d.StdDev != 0 || d.Mean != latency || d.Latencies[0] != latency || d.P99 != latency {
			t.Fatalf("seed %d: nothing varies, yet %+v, the latency is %v", seed, d, latency)
		}
		vary(&s, r)
		varied := predictorOf(t, &s)
		if latency, err = predictorOf(t, &s).Latency(s.plan); err != nil {
			t.Fatal(err)
		}
		d = distribution(t, varied, s.plan, o)
		if !slices.IsSorted(d.Latencies) || len(d.Latencies) != o.Samples || d.Latencies[0] < 0 ||
			d.P50 > d.P90 || d.P90 > d.P95 || d.P95 > d.P99 || d.P99 > d.Latencies[o.Samples-1] {
			t.Fatalf("seed %d: not in order: %+v", seed, d)
		}
		// Drawing leaves the predictor as it was.
		if again, err := varied.Latency(s.plan); err != nil || again != latency {
			t.Fatalf("seed %d: after drawing the latency is %v, %v, before %v", seed, again, err, latency)
		}
		o.Workers = 3
		if diff := gocmp.Diff(d, distribution(t, predictorOf(t, &s), s.plan, o)); diff != "" {
			t.Fatalf("seed %d: three workers and one differ:\n%s", seed, diff)
		}
	}
}

func TestDistributionFollowsItsSeed(t *testing.T) {
	c := Paper()
	p, pl := finra(t, 5, &c)
	a := distribution(t, p, pl, DistributionOptions{Seed: 1})
	b := distribution(t, p, pl, DistributionOptions{Seed: 2})
	if again := distribution(t, p, pl, DistributionOptions{Seed: 1}); gocmp.Diff(a, again) != "" {
		t.Errorf("one seed, two distributions: %+v and %+v", a, again)
	}
	if slices.Equal(a.Latencies, b.Latencies) {
		t.Error("two seeds, one distribution")
	}
}

// TestSamplesAreEnough: p99 of the default number of samples repeats within 2 %
// where functions vary by a tenth.
func TestSamplesAreEnough(t *testing.T) {
	if raceEnabled {
		t.Skip("it asks how far distributions vary: run it without the race detector")
	}
	c := Paper()
	p, pl := finra(t, 5, &c)
	for i := range p.tasks {
		for k := range p.tasks[i].periods {
			p.tasks[i].periods[k].variance = 0
		}
		p.tasks[i].periods[0].variance = float64(sumOf(p.tasks[i].periods)) * float64(sumOf(p.tasks[i].periods)) / 100
	}
	least, most := time.Duration(0), time.Duration(0)
	for seed := range uint64(30) {
		d := distribution(t, p, pl, DistributionOptions{Seed: seed})
		if seed == 0 {
			least, most = d.P99, d.P99
		}
		least, most = min(least, d.P99), max(most, d.P99)
	}
	if middle := (least + most) / 2; most-middle > middle*2/100 {
		t.Errorf("p99 is from %v to %v", least, most)
	}
}

// TestDistributionOfOneFunction: a function alone, with nothing around it, takes
// what its profile saw.
func TestDistributionOfOneFunction(t *testing.T) {
	free := Calibration{SwitchInterval: 5 * ms}
	walls := make([]time.Duration, 101) // 10 ms, a tenth more by and by, the last five up to 40 ms
	for i := range walls {
		walls[i] = 10*ms + time.Duration(i)*ms/100
		if i > 95 {
			walls[i] += time.Duration(i-95) * 6 * ms
		}
	}
	var mean time.Duration // of the straight lines between them
	for i := range walls[:100] {
		mean += (walls[i] + walls[i+1]) / 200
	}
	for _, c := range []struct {
		name          string
		f             profile.Function
		p50, p90, p99 time.Duration
	}{
		{"whole runs", profile.Function{
			Walls: walls, Wall: profile.Stat{Mean: mean},
			Periods: []profile.Period{{Class: profile.CPU, Mean: mean / 3, StdDev: ms}, {Class: profile.Block, Mean: mean - mean/3, StdDev: 2 * ms}},
		}, walls[50], walls[90], walls[99]},
		// A floor of 8 ms and 2 ms exponential beyond it: 8 + 2·ln 2, 2·ln 10, 2·ln 100.
		{"deviations", profile.Function{
			Periods: []profile.Period{{Class: profile.CPU, Mean: 4 * ms, StdDev: 1200 * time.Microsecond}, {Class: profile.Native, Mean: 6 * ms, StdDev: 1600 * time.Microsecond}},
		}, 9386294, 12605170, 17210340},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.f.Name, c.f.Tasks = "f", []string{"a"}
			p, err := New(predicttest.Define(t, "a"), &profile.Profile{Functions: []profile.Function{c.f}}, &free, Options{})
			if err != nil {
				t.Fatal(err)
			}
			pl := predicttest.Arrange(t, "1: pool a")
			d := distribution(t, p, pl, DistributionOptions{Seed: 3, Samples: 4000})
			latency, err := p.Latency(pl)
			if err != nil {
				t.Fatal(err)
			}
			// Of n stratified samples the mean is off by less than 4 standard errors
			// of n that are not.
			if off := (d.Mean - latency).Abs(); off > 4*d.StdDev/63 {
				t.Errorf("mean %v, the function's is %v", d.Mean, latency)
			}
			for _, k := range []struct{ got, want time.Duration }{{d.P50, c.p50}, {d.P90, c.p90}, {d.P99, c.p99}} {
				if off := (k.got - k.want).Abs(); off > k.want/100 {
					t.Errorf("%v, want %v: %+v", k.got, k.want, d.Percentile(50))
				}
			}
		})
	}
}

// TestSpreadSlowsAParallel: the mean of the slowest of several is at least the
// slowest of their means.
func TestSpreadSlowsAParallel(t *testing.T) {
	for seed := range uint64(50) {
		r := rand.New(rand.NewPCG(seed, 3))
		var stage predicttest.Par
		measured := &profile.Profile{}
		wrap := plan.Wrap{Name: "wrap-1"}
		for i := range 2 + r.IntN(6) {
			name := string(rune('a' + i))
			stage = append(stage, name)
			f := profile.Function{Name: "f", Tasks: []string{name}}
			for range 1 + r.IntN(4) {
				mean := time.Duration(1 + r.Int64N(int64(10*ms)))
				f.Periods = append(f.Periods, profile.Period{Class: []profile.Class{profile.CPU, profile.Native, profile.Block}[r.IntN(3)], Mean: mean, StdDev: mean / 4})
			}
			measured.Functions = append(measured.Functions, f)
			wrap.Processes = append(wrap.Processes, plan.Process{Mode: plan.Pool, CPU: i, Tasks: []string{name}})
			wrap.CPUs++
		}
		c := Calibration{Request: ms, Dispatch: ms, SwitchInterval: 5 * ms}
		p, err := New(predicttest.Define(t, stage), measured, &c, Options{})
		if err != nil {
			t.Fatal(err)
		}
		pl := &plan.Plan{Wraps: []plan.Wrap{wrap}}
		still, err := p.Latency(pl)
		if err != nil {
			t.Fatal(err)
		}
		if d := distribution(t, p, pl, DistributionOptions{Seed: seed, Samples: 400}); d.Mean < still-4*d.StdDev/20 {
			t.Fatalf("seed %d: mean %v ± %v, without spread %v", seed, d.Mean, d.StdDev/20, still)
		}
	}
}

// TestScale: times and constants that are k times as long make everything k
// times as long. Where CPUs are shared, rates are rounded, so they are not.
func TestScale(t *testing.T) {
	const k = 7
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 4))
		s := randomSample(t, r)
		s.cpus = 0
		for w := range s.plan.Wraps {
			wrap := &s.plan.Wraps[w]
			wrap.CPUs = len(s.profile.Functions)
			for i := range wrap.Processes {
				wrap.Processes[i].CPU = plan.Unpinned
			}
		}
		once, err := predictorOf(t, &s).Latency(s.plan)
		if err != nil {
			t.Fatal(err)
		}
		for i := range s.profile.Functions {
			for n := range s.profile.Functions[i].Periods {
				s.profile.Functions[i].Periods[n].Mean *= k
			}
		}
		for _, c := range s.calibration.constants() {
			*c.value *= k
		}
		// Halves of constants are rounded down, once a call of a wrap: k−1 ns each.
		got, err := predictorOf(t, &s).Latency(s.plan)
		if slack := time.Duration(k * len(s.profile.Functions)); err != nil || (got-k*once).Abs() > slack {
			t.Fatalf("seed %d: %v, %v, want %d times %v", seed, got, err, k, once)
		}
	}
}

// TestScaleOfADistribution is TestScale for what is drawn, whose parts are
// rounded to ns one by one.
func TestScaleOfADistribution(t *testing.T) {
	const k = 5
	graph := predicttest.Seq{"a", predicttest.Par{"b", "c"}}
	pl := predicttest.Arrange(t, "3: pool a | pool b | fork c")
	of := func(by time.Duration) *Distribution {
		measured := predicttest.Behave(t, "a: cpu 3 block 2, b: cpu 7 native 2, c: block 4 cpu 1")
		for i := range measured.Functions {
			f := &measured.Functions[i]
			for n := range f.Periods {
				f.Periods[n].StdDev = f.Periods[n].Mean * time.Duration(n+1) / 5 * by
				f.Periods[n].Mean *= by
			}
		}
		c := Paper()
		for _, one := range c.constants() {
			*one.value *= by
		}
		c.Spread = []float64{0.5, 1, 2}
		p, err := New(predicttest.Define(t, graph), measured, &c, Options{})
		if err != nil {
			t.Fatal(err)
		}
		return distribution(t, p, pl, DistributionOptions{Seed: 5})
	}
	once, more := of(1), of(k)
	for i := range once.Latencies {
		if (more.Latencies[i] - k*once.Latencies[i]).Abs() > 100 {
			t.Fatalf("sample %d: %v, want %d times %v", i, more.Latencies[i], k, once.Latencies[i])
		}
	}
}

// TestSpreadOfTheConstants: one factor for all constants of a request.
func TestSpreadOfTheConstants(t *testing.T) {
	c := Calibration{Request: 2 * ms, Dispatch: ms, SwitchInterval: 5 * ms, Spread: []float64{1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 3}}
	p, err := New(predicttest.Define(t, "a"), predicttest.Behave(t, "a: block 10"), &c, Options{})
	if err != nil {
		t.Fatal(err)
	}
	// 10 + 3·1 up to the 90th percentile; then to 10 + 3·3 in a straight line.
	d := distribution(t, p, predicttest.Arrange(t, "1: pool a"), DistributionOptions{})
	if d.P50 != 13*ms || d.P90 != 13*ms || (d.P95-16*ms).Abs() > ms/10 || (d.P99-18400*time.Microsecond).Abs() > ms/10 {
		t.Errorf("%v %v %v %v", d.P50, d.P90, d.P95, d.P99)
	}
}

func TestDistributionRefuses(t *testing.T) {
	c := Paper()
	p, pl := finra(t, 5, &c)
	for _, samples := range []int{-1, MaxSamples + 1} {
		o := DistributionOptions{Samples: samples}
		if _, err := p.Distribution(pl, o); err == nil || !strings.Contains(err.Error(), "samples") {
			t.Errorf("%d samples: error %v", samples, err)
		}
	}
	if _, err := p.Distribution(predicttest.Arrange(t, "1: pool rule-0"), DistributionOptions{}); err == nil {
		t.Error("a plan without most tasks: no error")
	}
}

func predictorOf(t *testing.T, s *sample) *Predictor {
	t.Helper()
	p, err := New(s.definition, s.profile, &s.calibration, Options{CPUs: s.cpus})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func distribution(t *testing.T, p *Predictor, pl *plan.Plan, o DistributionOptions) *Distribution {
	t.Helper()
	d, err := p.Distribution(pl, o)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// TestSamplesReuseTheirMemory: a sample allocates nothing.
func TestSamplesReuseTheirMemory(t *testing.T) {
	sequential(t)
	c := Paper()
	c.Spread, c.Together = []float64{0.5, 1, 4}, 0.5
	p, pl := finra(t, 50, &c)
	o := DistributionOptions{Samples: 500}
	s, err := p.samplers(pl, o, 1)
	if err != nil {
		t.Fatal(err)
	}
	i := 0
	one := func() {
		s[0].latency(p.draws.of(i % o.Samples))
		i++
	}
	for range o.Samples { // the longest line there will be
		one()
	}
	if n := testing.AllocsPerRun(o.Samples, one); n > 0 {
		t.Errorf("%v allocations a sample", n)
	}
}

// TestIdleCPUsAreLate draws requests of three processes on two CPUs: whichever two
// share one, the CPU of the third is idle for a while once that is done.
func TestIdleCPUsAreLate(t *testing.T) {
	c := &Calibration{SwitchInterval: 5 * ms, Spread: []float64{1, 1}}
	d := predicttest.Define(t, predicttest.Par{"a", "b", "c"})
	p, err := New(d, predicttest.Behave(t, "a: cpu 10, b: cpu 10, c: cpu 10"), c, Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		plan              string
		shortest, longest time.Duration
	}{
		// B's CPU is idle from 10 to 16 and then takes one with 2 left.
		{"2: pool a | pool b | pool c", 18 * ms, 18 * ms},
		// All have one.
		{"3: pool a | pool b | pool c", 10 * ms, 10 * ms},
		// None may move.
		{"2: pool@0 a | pool@1 b | pool@1 c", 20 * ms, 20 * ms},
	} {
		got, err := p.Distribution(predicttest.Arrange(t, c.plan), DistributionOptions{Samples: 200})
		if err != nil {
			t.Fatal(err)
		}
		if first, last := got.Latencies[0], got.Latencies[199]; first != c.shortest || last != c.longest {
			t.Errorf("%s: from %v to %v, want %v to %v", c.plan, first, last, c.shortest, c.longest)
		}
	}
}
