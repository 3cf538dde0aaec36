package predict

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/chiron-faas/chiron/plan"
	"github.com/chiron-faas/chiron/profile"
)

// TestRequestsOfAnyPlan: what a drawn request uses adds up to its latency and to
// the CPU time that Predict says, and is within what the plan has.
func TestRequestsOfAnyPlan(t *testing.T) {
	for seed := range uint64(100) {
		r := rand.New(rand.NewPCG(seed, 5))
		s := randomSample(t, r)
		s.cpus, s.calibration.Beside = 0, 0
		steady := predictorOf(t, &s)
		prediction, err := steady.Predict(s.plan)
		if err != nil {
			t.Fatal(err)
		}
		drawn, err := steady.Requests(s.plan, DistributionOptions{Samples: 2, Workers: 1})
		if err != nil {
			t.Fatal(err)
		}
		cpu, _ := addUp(t, s.plan, &drawn[0])
		// Each step rounds up by less than a nanosecond for each of its threads. A wrap
		// that is called twice in a stage forks twice, which Prediction.CPU leaves out.
		off := cpu - prediction.CPU
		if drawn[0].Latency != prediction.Latency || off < -10*time.Microsecond || off > 10*time.Microsecond && len(s.plan.Wraps) == 1 {
			t.Fatalf("seed %d: it takes %v and %v of CPU time, predicted are %v and %v", seed, drawn[0].Latency, cpu, prediction.Latency, prediction.CPU)
		}

		vary(&s, r)
		varied := predictorOf(t, &s)
		d := distribution(t, varied, s.plan, DistributionOptions{Samples: 20, Seed: seed})
		requests, err := varied.Requests(s.plan, DistributionOptions{Samples: 20, Seed: seed})
		if err != nil {
			t.Fatal(err)
		}
		var sum time.Duration
		for i := range requests {
			if _, length := addUp(t, s.plan, &requests[i]); length != requests[i].Latency {
				t.Fatalf("seed %d: stretches of %v, the latency is %v", seed, length, requests[i].Latency)
			}
			sum += requests[i].Latency
		}
		if sum/20 != d.Mean {
			t.Fatalf("seed %d: a mean of %v, the distribution's is %v", seed, sum/20, d.Mean)
		}
	}
}

// addUp returns the CPU time and the length of a request, and fails where it
// uses more than there is.
func addUp(t *testing.T, pl *plan.Plan, d *Drawn) (cpu, length time.Duration) {
	t.Helper()
	for i, use := range append(append([]Use(nil), d.Uses...), d.After...) {
		inWrap := make(map[int]int)
		only := make(map[[3]int]int)
		for _, on := range use.Threads {
			inWrap[on.Wrap]++
			if on.CPU >= 0 {
				only[[3]int{0, on.Wrap, on.CPU}]++
			}
			if on.Process >= 0 {
				only[[3]int{1, on.Wrap, on.Process}]++
				if mode := pl.Wraps[on.Wrap].Processes[on.Process].Mode; mode != plan.Pool {
					t.Fatalf("a lock of a %s process is shared", mode)
				}
			}
			if inWrap[on.Wrap] > max(1, pl.Wraps[on.Wrap].CPUs) {
				t.Fatalf("more threads than CPUs: %+v", use)
			}
		}
		for _, n := range only {
			if n > 1 {
				t.Fatalf("two threads have one CPU or lock: %+v", use)
			}
		}
		cpu += use.Length * time.Duration(len(use.Threads))
		if i < len(d.Uses) {
			length += use.Length
		}
	}
	return cpu, length
}

// TestRequestsShareTheLockOfAPool: code that holds the lock of a process which
// requests share says so, native code and a fork's do not.
func TestRequestsShareTheLockOfAPool(t *testing.T) {
	for mode, want := range map[plan.Mode]int{plan.Pool: 0, plan.Fork: -1} {
		r := rand.New(rand.NewPCG(1, 1))
		s := randomSample(t, r)
		task := s.definition.Tasks()
		var names []string
		for _, one := range task {
			names = append(names, one.Name)
		}
		s.plan = &plan.Plan{Workflow: "w", Model: "test", Wraps: []plan.Wrap{{Name: "wrap-1", CPUs: 2, Processes: []plan.Process{{Mode: mode, CPU: plan.Unpinned, Tasks: names}}}}}
		s.profile.Functions = nil
		for _, name := range names {
			s.profile.Functions = append(s.profile.Functions, profile.Function{Name: name, Tasks: []string{name}, Periods: []profile.Period{{Class: profile.CPU, Mean: time.Millisecond}}})
		}
		s.cpus = 0
		s.calibration.Startup, s.calibration.Agent, s.calibration.Exit = 0, 0, 0
		drawn, err := predictorOf(t, &s).Requests(s.plan, DistributionOptions{Samples: 1})
		if err != nil {
			t.Fatal(err)
		}
		seen := false
		for _, use := range drawn[0].Uses {
			for _, on := range use.Threads {
				seen = true
				if on.Process != want {
					t.Errorf("%s: lock of %d, want %d", mode, on.Process, want)
				}
			}
		}
		if !seen {
			t.Errorf("%s: nothing computes", mode)
		}
	}
}
