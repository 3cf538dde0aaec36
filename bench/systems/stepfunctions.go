package systems

import (
	"slices"
	"time"

	"github.com/chiron-faas/chiron/internal/prices"
	"github.com/chiron-faas/chiron/plan"
	"github.com/chiron-faas/chiron/profile"
	"github.com/chiron-faas/chiron/workflow"
)

// The delays of AWS Step Functions as the paper found them (section 2.2,
// observation 1): scheduling takes 150 ms a function, and at most ten run at once.
const (
	stepScheduling = 150 * time.Millisecond
	stepAtOnce     = 10
)

// Modelled is AWS Step Functions with a Lambda function for each of the workflow's,
// worked out from what the functions take alone on this machine. Nothing of it was
// measured.
type Modelled struct {
	Latency time.Duration `json:"latency_ns"`
	// Scheduling is the part of it in which no function runs.
	Scheduling time.Duration `json:"scheduling_ns"`
	// Transitions that are charged for, a request, and money for a million
	// requests, USD: those, and each function's CPU and memory for its own time.
	Transitions int     `json:"transitions"`
	Money       float64 `json:"usd_per_million"`
	CPUs        int     `json:"cpus"`
}

// modelled works it out. A stage's tasks take the ten places in the order of the
// definition; each holds one while it is scheduled and runs. Tasks of one branch
// follow each other.
func modelled(d *workflow.Definition, p *profile.Profile, table *prices.Table) *Modelled {
	m := &Modelled{CPUs: len(d.Tasks())}
	var alone time.Duration // the workflow without scheduling
	for _, stage := range d.Stages() {
		places := make([]time.Duration, stepAtOnce)
		m.Latency += stepEnd(stage.Root, 0, places, p)
		way, _ := longestWay(stage.Root, p)
		alone += way
		if stage.Root.Kind != workflow.BlockTask {
			m.Transitions++ // the Parallel state's own
		}
	}
	m.Scheduling = max(0, m.Latency-alone)
	price := pricesOf(table)
	for _, t := range d.Tasks() {
		m.Transitions++
		if f, ok := p.Task(t.Name); ok {
			m.Money += price.Money(plan.Usage{Latency: f.Wall.Mean, CPUs: 1, Memory: f.Memory.Host.RSS + f.Memory.Imports.RSS})
		}
	}
	m.Money += price.Money(plan.Usage{Transitions: m.Transitions})
	return m
}

// stepEnd says when a block ends that may begin at a time; places say when each
// of the ten is free.
func stepEnd(b *workflow.Block, begin time.Duration, places []time.Duration, p *profile.Profile) time.Duration {
	switch b.Kind {
	case workflow.BlockTask:
		first := slices.Index(places, slices.Min(places))
		end := max(begin, places[first]) + stepScheduling
		if f, ok := p.Task(b.Task.Name); ok {
			end += f.Wall.Mean
		}
		places[first] = end
		return end
	case workflow.BlockSeries:
		for _, child := range b.Children {
			begin = stepEnd(child, begin, places, p)
		}
		return begin
	default:
		end := begin
		for _, child := range b.Children {
			end = max(end, stepEnd(child, begin, places, p))
		}
		return end
	}
}
