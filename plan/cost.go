package plan

import "time"

// CPUs that the plan's wraps are given together.
func (p *Plan) CPUs() int {
	n := 0
	for _, w := range p.Wraps {
		n += w.CPUs
	}
	return n
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
