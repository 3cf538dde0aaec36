package plan

import (
	"time"

	"github.com/chiron-faas/chiron/profile"
)

// CPUs that the plan's wraps are given together.
func (p *Plan) CPUs() int {
	n := 0
	for _, w := range p.Wraps {
		n += w.CPUs
	}
	return n
}

// MemoryEstimate is the memory that the plan's wraps hold while all of their
// processes live, bytes; see Wrap.MemoryEstimate.
func (p *Plan) MemoryEstimate(measured *profile.Profile) int64 {
	var sum int64
	for i := range p.Wraps {
		sum += p.Wraps[i].MemoryEstimate(measured)
	}
	return sum
}

// MemoryEstimate is the memory that the wrap holds while all of its processes
// live, bytes: the bare host once, and for each process what its functions add
// to it. A function that several tasks of a process call counts once there.
//
// The bare host is the largest of PeakRSS − AddedRSS over the wrap's functions:
// all of a wrap's processes are forked from one that has it, and share its
// pages. The estimate leaves out the agent and what a fork comes to copy of the
// shared pages. It is 0 where the profile has no memory.
func (w *Wrap) MemoryEstimate(measured *profile.Profile) int64 {
	var host, added int64
	for _, process := range w.Processes {
		seen := map[string]bool{}
		for _, task := range process.Tasks {
			f, ok := measured.Task(task)
			if !ok {
				continue
			}
			host = max(host, f.PeakRSS-f.AddedRSS)
			if !seen[f.Name] {
				added += f.AddedRSS
				seen[f.Name] = true
			}
		}
	}
	return host + added
}

// Prices of a provider, in USD. The zero Prices cost nothing.
type Prices struct {
	// GBSecond is for 10⁹ bytes of memory held for a second.
	GBSecond float64 `json:"usd_per_gb_second"`
	// GHzSecond is for a CPU of 1 GHz held for a second; a CPU has GHzPerCPU.
	GHzSecond float64 `json:"usd_per_ghz_second"`
	GHzPerCPU float64 `json:"ghz_per_cpu"`
	// Transition is for one state transition of an orchestration service.
	Transition float64 `json:"usd_per_transition"`
}

// PaperPrices are those of the paper's figure 19, on the 2.1 GHz CPUs of its
// test bed; the price of a transition is that of Step Functions.
func PaperPrices() Prices {
	return Prices{GBSecond: 0.0000025, GHzSecond: 0.0000100, GHzPerCPU: 2.1, Transition: 0.000025}
}

// Usage is what one request holds.
type Usage struct {
	// Latency during which the CPUs and the memory are held.
	Latency time.Duration
	CPUs    int
	// Memory in bytes.
	Memory int64
	// Transitions that an orchestration service charges for; 0 for plans that
	// this program runs itself.
	Transitions int
}

// Money is what a million requests cost, USD:
//
//	10⁶ · (latency · (GB · GBSecond + CPUs · GHzPerCPU · GHzSecond) + transitions · Transition)
func (p Prices) Money(u Usage) float64 {
	memory := float64(u.Memory) / 1e9 * p.GBSecond
	cpu := float64(u.CPUs) * p.GHzPerCPU * p.GHzSecond
	return 1e6 * (u.Latency.Seconds()*(memory+cpu) + float64(u.Transitions)*p.Transition)
}
