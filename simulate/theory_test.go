package simulate

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

// The requests of these tests need a second on average, so that rates are loads.

// exponential are the quantiles of the exponential distribution with a mean of a
// second: its shape with so many values that their own mean and variance are within
// a thousandth.
func exponential(cpu bool) []Request {
	const n = 20_000
	var out []Request
	for i := range n {
		u := (float64(i) + 0.5) / n
		out = append(out, requestOf(time.Duration(-math.Log(1-u)*1e9), cpu))
	}
	return out
}

// requestOf is a request that waits, or has a CPU, for so long.
func requestOf(length time.Duration, cpu bool) Request {
	p := Phase{Length: length}
	if cpu {
		p.Demands = []Demand{{Resource: 0, Threads: 1}}
	}
	return Request{Phases: []Phase{p}, Answered: 1}
}

// station is one instance with so many servers: CPUs that all share, or places
// that requests queue for.
func station(servers int, shared bool, requests []Request) *Deployment {
	limit := servers
	if shared {
		limit = 1_000_000
	}
	return &Deployment{Wraps: []Wrap{{Name: "wrap-1", CPUs: servers}}, Limit: limit, Resources: []int{servers}, Requests: requests}
}

func simulated(t testing.TB, d *Deployment, o Options) *Result {
	t.Helper()
	if o.Nodes == 0 {
		o.Nodes, o.Node = 1, Node{CPUs: 64}
	}
	if o.Max == 0 {
		o.Min, o.Max = 1, 1
	}
	if o.Queue == 0 {
		o.Queue = 1_000_000
	}
	r, err := Run(t.Context(), d, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// erlangC is the probability that a request waits, of c servers with an offered
// load of a (A. K. Erlang, 1917).
func erlangC(c int, a float64) float64 {
	b := erlangB(c, a)
	rho := a / float64(c)
	return b / (1 - rho + rho*b)
}

// erlangB is the probability that all servers are busy where none waits.
func erlangB(c int, a float64) float64 {
	b := 1.0
	for k := 1; k <= c; k++ {
		b = a * b / (float64(k) + a*b)
	}
	return b
}

func within(t *testing.T, what string, got, want, tolerance float64) {
	t.Helper()
	if off := math.Abs(got-want) / want; !(off <= tolerance) {
		t.Errorf("%s: %.4f, theory says %.4f: %.1f %% off, more than %.1f %%", what, got, want, 100*off, 100*tolerance)
	}
}

// TestErlangC: requests that queue for c places, M/M/c, at a load of 0.8. The
// tolerance is three times what the mean wait of 400,000 requests deviates from
// seed to seed; over 24 seeds with 200,000 each it was within 0.8 % of theory for
// all three, which is within one standard error.
func TestErlangC(t *testing.T) {
	requests := exponential(false)
	for c, tolerance := range map[int]float64{1: 0.07, 2: 0.08, 8: 0.11} {
		a := 0.8 * float64(c)
		r := simulated(t, station(c, false, requests), Options{Arrivals: NewPoisson(a, 1), Requests: 420_000, WarmUp: 20_000, Seed: 1})
		within(t, "mean wait", r.Waited.Seconds(), erlangC(c, a)/(float64(c)-a), tolerance)
		within(t, "mean latency", r.Mean().Seconds(), 1+erlangC(c, a)/(float64(c)-a), 0.06)
	}
}

// TestErlangB: requests that find no place are refused, whatever the shape of what
// they need.
func TestErlangB(t *testing.T) {
	const c = 70 // a gateway lets through 64 at least, and then queues
	for name, requests := range map[string][]Request{"exponential": exponential(false), "constant": {requestOf(time.Second, false)}} {
		r := simulated(t, station(c, false, requests), Options{Arrivals: NewPoisson(70, 2), Requests: 300_000, WarmUp: 10_000, Queue: -1, Seed: 2, Nodes: 1, Node: Node{CPUs: c}})
		within(t, name+": refused", float64(r.Refused)/float64(r.Requests), erlangB(c, 70), 0.04)
	}
}

// TestConstantService: M/D/1, by Pollaczek's and Khinchine's formula.
func TestConstantService(t *testing.T) {
	for _, rho := range []float64{0.3, 0.6, 0.9} {
		r := simulated(t, station(1, false, []Request{requestOf(time.Second, false)}), Options{Arrivals: NewPoisson(rho, 3), Requests: 400_000, WarmUp: 20_000})
		within(t, "mean wait", r.Waited.Seconds(), rho/(2*(1-rho)), 0.06)
	}
}

// TestSharedCPUs: requests that share c CPUs, each with one at most. The mean is
// that of M/M/c, and for shared CPUs it is for constant needs too: processor
// sharing is insensitive to the shape (Kelly, Reversibility and Stochastic
// Networks, 1979).
func TestSharedCPUs(t *testing.T) {
	for name, requests := range map[string][]Request{"exponential": exponential(true), "constant": {requestOf(time.Second, true)}} {
		for _, c := range []int{1, 2, 8} {
			a := 0.7 * float64(c)
			r := simulated(t, station(c, true, requests), Options{Arrivals: NewPoisson(a, 4), Requests: 300_000, WarmUp: 20_000, Seed: 4})
			within(t, name+": mean latency", r.Mean().Seconds(), 1+erlangC(c, a)/(float64(c)-a), 0.04)
			within(t, name+": busy CPUs", r.CPUsUsed, a, 0.02)
		}
	}
}

// TestTandem: a CPU and then a wait: the wait adds itself and takes no CPU.
func TestTandem(t *testing.T) {
	requests := exponential(true)
	for i := range requests {
		requests[i].Phases = append(requests[i].Phases, Phase{Length: 5 * time.Second})
		requests[i].Answered = 2
	}
	r := simulated(t, station(1, true, requests), Options{Arrivals: NewPoisson(0.5, 5), Requests: 200_000, WarmUp: 10_000, Seed: 5})
	within(t, "mean latency", r.Mean().Seconds(), 2+5, 0.02)
}

// TestLock: a lock that one thread holds is scarcer than four CPUs.
func TestLock(t *testing.T) {
	requests := exponential(true)
	for i := range requests {
		requests[i].Phases[0].Demands = append(requests[i].Phases[0].Demands, Demand{Resource: 1, Threads: 1})
	}
	d := station(4, true, requests)
	d.Resources = append(d.Resources, 1)
	r := simulated(t, d, Options{Arrivals: NewPoisson(0.6, 6), Requests: 200_000, WarmUp: 10_000, Seed: 6})
	within(t, "mean latency", r.Mean().Seconds(), 1/(1-0.6), 0.04)
}

// TestPoisson: the numbers of arrivals in a second have the mean and the variance
// that they should.
func TestPoisson(t *testing.T) {
	p := NewPoisson(100, 7)
	counts := make([]float64, 5000)
	for {
		at, _ := p.Next()
		if at >= 5000*time.Second {
			break
		}
		counts[at/time.Second]++
	}
	var sum, squares float64
	for _, n := range counts {
		sum += n
		squares += n * n
	}
	mean := sum / 5000
	within(t, "mean", mean, 100, 0.005)
	within(t, "variance", squares/5000-mean*mean, 100, 0.06)
}

// TestAnySystem holds what must be true of every simulation: no request is lost,
// Little's law, CPU time is what requests need, and a seed's results repeat.
func TestAnySystem(t *testing.T) {
	for seed := range uint64(150) {
		d, o := randomSystem(seed)
		o.Arrivals = NewPoisson(o.rate, seed)
		r, err := Run(t.Context(), d, o.Options)
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		w := &r.Whole
		if w.Answered+w.Refused != w.Requests || r.Answered+r.Refused != r.Requests || len(r.Latencies) != r.Answered || r.Requests != o.Requests-o.WarmUp {
			t.Fatalf("seed %d: %d requests of %d, %d answered, %d refused", seed, r.Requests, w.Requests, r.Answered, r.Refused)
		}
		if off := math.Abs(w.Crowd - w.Sojourns); off > 1e-9*(1+w.Crowd) {
			t.Fatalf("seed %d: %v request-seconds in the system, the requests were there for %v", seed, w.Crowd, w.Sojourns)
		}
		least, most := math.Inf(1), 0.0
		for _, one := range d.Requests {
			cpu := 0.0
			for _, p := range one.Phases {
				cpu += p.Length.Seconds() * p.Demands[0].Threads
			}
			least, most = min(least, cpu), max(most, cpu)
		}
		if n := float64(w.Answered); w.Used > n*most+1e-6 || w.Used < n*least*0.5 {
			t.Fatalf("seed %d: %v s of CPU time for %v requests of %v to %v", seed, w.Used, n, least, most)
		}
		if r.CPUsUsed > r.CPUs.Mean+1e-6 || r.Instances.Peak > float64(o.Nodes*o.Node.CPUs/d.Wraps[0].CPUs) || r.Instances.Mean > r.Instances.Peak+1e-9 {
			t.Fatalf("seed %d: %+v", seed, r)
		}
		if r.Answered > 0 && r.Latencies[0] < shortest(d)-time.Nanosecond {
			t.Fatalf("seed %d: %v, no request takes less than %v", seed, r.Latencies[0], shortest(d))
		}
		o.Arrivals = NewPoisson(o.rate, seed)
		again, err := Run(t.Context(), d, o.Options)
		if err != nil || again.Whole != r.Whole || again.CPUs != r.CPUs {
			t.Fatalf("seed %d: %+v and then %+v", seed, r.Whole, again.Whole)
		}
	}
}

func shortest(d *Deployment) time.Duration {
	least := time.Duration(math.MaxInt64)
	for _, r := range d.Requests {
		var sum time.Duration
		for _, p := range r.Phases[:r.Answered] {
			sum += p.Length
		}
		least = min(least, sum)
	}
	return least
}

// system is a random one.
type system struct {
	Options
	rate float64
}

func randomSystem(seed uint64) (*Deployment, system) {
	r := rand.New(rand.NewPCG(seed, 8))
	cpus := 1 + r.IntN(3)
	d := &Deployment{Wraps: []Wrap{{Name: "wrap-1", CPUs: cpus, Memory: int64(r.IntN(100))}}, Limit: 1 + r.IntN(6), Resources: []int{cpus, 1}}
	for range 1 + r.IntN(20) {
		var one Request
		for range 1 + r.IntN(5) {
			p := Phase{Length: time.Duration(r.Int64N(int64(20 * time.Millisecond))), Demands: []Demand{{Resource: 0, Threads: float64(r.IntN(cpus + 1))}}}
			if r.IntN(3) == 0 {
				p.Demands = append(p.Demands, Demand{Resource: 1, Threads: r.Float64()})
			}
			one.Phases = append(one.Phases, p)
		}
		one.Answered = 1 + r.IntN(len(one.Phases))
		d.Requests = append(d.Requests, one)
	}
	o := system{rate: float64(1 + r.IntN(2000))}
	o.Nodes, o.Node = 1+r.IntN(5), Node{CPUs: 3 + r.IntN(4), Memory: int64(r.IntN(2)) * 300}
	o.Requests = 200 + r.IntN(2000)
	o.WarmUp = r.IntN(o.Requests)
	o.Min = r.IntN(2)
	o.Idle = time.Duration(1 + r.Int64N(int64(2*time.Second)))
	o.ColdStart = time.Duration(1 + r.Int64N(int64(time.Second)))
	o.Queue = []int{-1, 1 + r.IntN(200)}[r.IntN(2)]
	o.Seed = seed
	return d, o
}
