package pgp

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/chiron-faas/chiron/plan"
	"github.com/chiron-faas/chiron/predict/predicttest"
)

// TestMixtures: of the plans that take the least time on each count of CPUs, every
// mixture of modes is predicted. None is much faster, though forks that begin
// later may get out of each other's way: 5 workflows; CHIRON_MIXTURES=0-1000 asks
// for the thousand of docs/search.md.
func TestMixtures(t *testing.T) {
	const most = 8 // processes that may be forked
	first, end := seeds(t, "CHIRON_MIXTURES", 5)
	plans, mixtures, faster, sharing := 0, 0, 0, 0
	var gain float64
	for seed := first; seed < end; seed++ {
		r := rand.New(rand.NewPCG(seed, 43))
		p := smallProblem(t, r)
		if seed%2 == 1 {
			p = randomProblem(t, r)
		}
		s, err := newSearch(p)
		if err != nil {
			t.Fatal(err)
		}
		w, err := s.newWorker()
		if err != nil {
			t.Fatal(err)
		}
		for cpus := s.least; cpus <= min(s.last, 6); cpus++ {
			a, err := s.try(t.Context(), cpus, asFastAsCanBe)
			if err != nil {
				t.Fatal(err)
			}
			p := a.best.plan.Clone()
			var others []*plan.Process // than the first of each wrap
			for i := range p.Wraps {
				for k := range p.Wraps[i].Processes[1:] {
					others = append(others, &p.Wraps[i].Processes[k+1])
				}
			}
			if len(others) == 0 || len(others) > most {
				continue
			}
			plans++
			least := a.best.latency
			for forked := range 1 << len(others) {
				for i, process := range others {
					process.Mode = plan.Pool
					if forked>>i&1 == 1 {
						process.Mode = plan.Fork
					}
				}
				latency, err := w.predictor.Latency(p)
				if err != nil {
					t.Fatal(err)
				}
				mixtures++
				least = min(least, latency)
			}
			if least < a.best.latency-100*time.Nanosecond { // see TestCompose
				faster++
				gain = max(gain, 1-float64(least)/float64(a.best.latency))
				if !a.best.layout.pinned() {
					sharing++
				}
			}
		}
	}
	t.Logf("%d plans, %d mixtures: %d plans are faster mixed, by %.1f %% at most; in %d of these processes share CPUs", plans, mixtures, faster, 100*gain, sharing)
	if plans == 0 || gain > 0.06 {
		t.Errorf("%d plans, a mixture is %.1f %% faster", plans, 100*gain)
	}
}

// TestStandby: where forks are too slow for the objective, children that wait are
// not; where nobody knows what their first call costs, processes are resident.
func TestStandby(t *testing.T) {
	for name, c := range map[string]struct {
		slo, standby time.Duration
		want         plan.Mode
	}{
		"forks will do":       {55 * msec, msec, plan.Fork},
		"forks are too slow":  {40 * msec, msec, plan.Standby},
		"children are too":    {40 * msec, 20 * msec, plan.Pool},
		"it was not measured": {40 * msec, 0, plan.Pool},
	} {
		t.Run(name, func(t *testing.T) {
			p := problem(t, predicttest.Par{"a", "b"}, "a: cpu 30, b: cpu 30", c.slo)
			p.Calibration.Standby = c.standby
			r, err := Search(t.Context(), p)
			if err != nil {
				t.Fatal(err)
			}
			processes := r.Plan.Wraps[0].Processes
			if len(processes) != 2 || processes[0].Mode != plan.Pool || processes[1].Mode != c.want {
				t.Errorf("%+v, want the second to be %s", processes, c.want)
			}
		})
	}
}
