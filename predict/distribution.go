package predict

import (
	"fmt"
	"math"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/chiron-faas/chiron/internal/quantile"
	"github.com/chiron-faas/chiron/plan"
)

// Bounds and defaults of DistributionOptions.
const (
	// DefaultSamples are enough that p99 repeats within 2 % from seed to seed
	// for functions that vary by a tenth (TestSamplesAreEnough).
	DefaultSamples = 1000
	// MaxSamples bounds the memory of the draws: 4 bytes for each task and sample.
	MaxSamples = 100_000
)

// DistributionOptions of Predictor.Distribution.
type DistributionOptions struct {
	// Samples is the number of requests that are drawn; 0: DefaultSamples.
	Samples int
	// Seed of the draws. One seed gives one distribution, on every machine, and
	// every plan of a Predictor gets the same runs of its functions: so plans
	// are compared by what they do and not by luck.
	Seed uint64
	// Workers is the number of goroutines; 0: one for each CPU. The result does
	// not depend on it.
	Workers int
}

func (o *DistributionOptions) check() error {
	if o.Samples == 0 {
		o.Samples = DefaultSamples
	}
	if o.Samples < 0 || o.Samples > MaxSamples {
		return fmt.Errorf("predict: %d samples: give 1 to %d", o.Samples, MaxSamples)
	}
	return nil
}

// Distribution is how the latency of a workflow varies from request to request
// under a plan, by Monte Carlo.
type Distribution struct {
	Samples int
	Seed    uint64
	// Mean is not Prediction.Latency: where several run at a time the slowest
	// counts, and the mean of the slowest is more than the slowest mean.
	Mean, StdDev       time.Duration
	P50, P90, P95, P99 time.Duration
	// Latencies of all samples, ascending.
	Latencies []time.Duration
}

// Percentile is that of the samples by nearest rank; 0: the mean, as in an SLO.
func (d *Distribution) Percentile(percentile float64) time.Duration {
	if percentile == 0 {
		return d.Mean
	}
	return quantile.Nearest(d.Latencies, percentile)
}

func meanOf(latencies []time.Duration) time.Duration {
	var sum time.Duration
	for _, l := range latencies {
		sum += l
	}
	return sum / time.Duration(len(latencies))
}

// Distribution draws requests: of every task a run as its profile says that
// they vary, and of the machine's constants what Calibration.Spread says; what
// computes is slow or fast together as far as Calibration.Together says; and
// simulates each. Where nothing varies all of them take Prediction.Latency.
func (p *Predictor) Distribution(pl *plan.Plan, o DistributionOptions) (*Distribution, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	d := &Distribution{Samples: o.Samples, Seed: o.Seed, Latencies: make([]time.Duration, o.Samples)}
	if err := p.sample(pl, o, d.Latencies); err != nil {
		return nil, err
	}
	slices.Sort(d.Latencies)
	d.Mean = meanOf(d.Latencies)
	var squares float64
	for _, l := range d.Latencies {
		off := float64(l - d.Mean)
		squares += float64(off * off) // the conversion: no fused addition
	}
	d.StdDev = time.Duration(math.Round(math.Sqrt(squares / float64(max(1, o.Samples-1)))))
	d.P50, d.P90 = d.Percentile(50), d.Percentile(90)
	d.P95, d.P99 = d.Percentile(95), d.Percentile(99)
	return d, nil
}

// Percentile is Distribution's figure at a percentile, 0 being the mean, for who
// asks about many plans. It costs one simulation for each sample.
func (p *Predictor) Percentile(pl *plan.Plan, percentile float64, o DistributionOptions) (time.Duration, error) {
	d, err := p.Distribution(pl, o)
	if err != nil {
		return 0, err
	}
	return d.Percentile(percentile), nil
}

// sample fills latencies with the samples', in the order of the draws.
func (p *Predictor) sample(pl *plan.Plan, o DistributionOptions, latencies []time.Duration) error {
	workers := o.Workers
	if workers <= 0 {
		workers = runtime.GOMAXPROCS(0)
	}
	workers = min(workers, len(latencies))
	samplers, err := p.samplers(pl, o, workers)
	if err != nil {
		return err
	}
	var all sync.WaitGroup
	for w, s := range samplers {
		all.Go(func() {
			for i := w; i < len(latencies); i += workers {
				latencies[i] = s.latency(p.draws.of(i))
			}
		})
	}
	all.Wait()
	return nil
}

// samplers returns n of them, laid out for the plan, and makes the draws.
func (p *Predictor) samplers(pl *plan.Plan, o DistributionOptions, n int) ([]*sampler, error) {
	if p.runs == nil {
		p.runs = make([]taskRuns, len(p.tasks))
		for i := range p.tasks {
			t := &p.tasks[i]
			p.runs[i] = taskRuns{warm: runsOf(t, t.periods), cold: runsOf(t, t.cold)}
		}
		p.overhead = overheadOf(p.calibration.Spread)
		p.shares = p.sharesOf()
	}
	p.draws.make(o.Samples, p.shares, o.Seed)
	for len(p.drawing) < n {
		p.drawing = append(p.drawing, p.newSampler())
	}
	for _, s := range p.drawing[:n] {
		if err := s.predictor.sim.layOut(&s.predictor, pl, nil); err != nil {
			return nil, err
		}
		s.inOrder()
	}
	return p.drawing[:n], nil
}

// sampler simulates drawn requests: it has a predictor of its own, whose tasks'
// periods and constants it replaces for each.
type sampler struct {
	of        *Predictor
	predictor Predictor
	stages    []stage // in the plan's order
}

func (p *Predictor) newSampler() *sampler {
	s := &sampler{of: p, predictor: Predictor{
		calibration: p.calibration, options: p.options, stages: p.stages, index: p.index, tasks: slices.Clone(p.tasks),
	}}
	for i := range s.predictor.tasks {
		t := &s.predictor.tasks[i]
		t.periods, t.cold = slices.Clone(t.periods), slices.Clone(t.cold)
	}
	return s
}

// inOrder puts the stages into the order in which the plan that was laid out
// starts their branches.
func (s *sampler) inOrder() {
	s.stages = append(s.stages[:0], s.predictor.stages...)
	for i := range s.stages {
		was := &s.predictor.stages[i]
		ordered := s.predictor.inOrder(was)
		if ordered == was {
			continue
		}
		s.stages[i].nodes = slices.Clone(ordered.nodes)
		for k := range ordered.nodes {
			s.stages[i].nodes[k].children = slices.Clone(ordered.nodes[k].children)
		}
	}
}

// latency of one request by its draws.
func (s *sampler) latency(draws []uint32) time.Duration {
	if s.of.overhead != nil {
		s.predictor.calibration = s.of.calibration.scaled(at(s.of.overhead, draws[overheadColumn]))
	}
	for i := range s.predictor.tasks {
		t, r := &s.predictor.tasks[i], &s.of.runs[i]
		r.warm.draw(draws[firstTaskColumn+i], t.periods)
		r.cold.draw(draws[firstTaskColumn+i], t.cold)
	}
	s.predictor.sim.left = s.predictor.sim.left[:0] // of the request before
	s.predictor.sim.shuffle = 0
	if s.of.overhead != nil { // where nothing varies the order does not
		s.predictor.sim.shuffle = seedOf(draws)
	}
	latency := s.predictor.calibration.Request
	for i := range s.predictor.stages {
		latency += s.predictor.sim.run(&s.predictor, &s.stages[i], false)
	}
	return latency
}
