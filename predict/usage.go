package predict

import (
	"slices"
	"time"

	"github.com/chiron-faas/chiron/plan"
	"github.com/chiron-faas/chiron/profile"
)

// Drawn is a request as Distribution draws it, with what it uses: for a
// simulation of many requests that share a plan's wraps (package simulate).
type Drawn struct {
	// Latency is the sum of Uses.
	Latency time.Duration
	// Uses are the stretches of the request from its arrival to its answer.
	Uses []Use
	// After are those of what goes on behind the answer: processes that end.
	After []Use
}

// Use is a stretch of a request during which the same threads are on CPUs.
type Use struct {
	Length  time.Duration
	Threads []OnCPU
}

// OnCPU is a thread that has a CPU.
type OnCPU struct {
	// Wrap is the index of the wrap whose CPU it is.
	Wrap int
	// CPU of the wrap that it is pinned to; plan.Unpinned: it may use any.
	CPU int
	// Process of the wrap whose interpreter lock it holds, where that process is
	// one that requests share (plan.Pool); -1: it holds none that others want.
	Process int
}

// Requests draws requests as Distribution does, with the same options, and returns
// what each uses while it is alone. Each wrap has CPUs of its own, whatever
// Options.CPUs says.
func (p *Predictor) Requests(pl *plan.Plan, o DistributionOptions) ([]Drawn, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	was := p.options
	p.options = Options{}
	defer func() { p.options = was }()
	p.drawing = nil // their options are the other ones
	defer func() { p.drawing = nil }()
	samplers, err := p.samplers(pl, o, 1)
	if err != nil {
		return nil, err
	}
	s := samplers[0]
	sim := &s.predictor.sim
	out := make([]Drawn, o.Samples)
	for i := range out {
		var r recorder
		r.number(pl)
		sim.recorder = &r
		latency := s.latency(p.draws.of(i))
		sim.recorder = nil
		request := s.predictor.calibration.Request
		out[i] = Drawn{Latency: latency, Uses: r.between(request/2, request-request/2)}
		gone := time.Duration(0) // since the answer
		for _, l := range sim.left {
			cpu := OnCPU{Wrap: r.wrapOf(l.cpu, l.domain, sim), CPU: plan.Unpinned, Process: -1}
			if l.cpu >= 0 {
				cpu.CPU = l.cpu - r.first[cpu.Wrap]
			}
			if rest := time.Duration(l.after) - gone; rest > 0 {
				out[i].After = append(out[i].After, Use{Length: rest})
				gone += rest
			}
			gone += time.Duration(l.work)
			out[i].After = append(out[i].After, Use{Length: time.Duration(l.work), Threads: []OnCPU{cpu}})
		}
	}
	return out, nil
}

// recorder takes down what has a CPU from step to step of a simulation.
type recorder struct {
	uses  []Use
	now   []OnCPU
	first []int // CPU of each wrap, of all
	wraps []int // by CPU
}

func (r *recorder) number(pl *plan.Plan) {
	for w := range pl.Wraps {
		r.first = append(r.first, len(r.wraps))
		for range max(1, pl.Wraps[w].CPUs) {
			r.wraps = append(r.wraps, w)
		}
	}
}

// wrapOf is the wrap of a CPU, or of a domain's first.
func (r *recorder) wrapOf(cpu, domain int, s *simulation) int {
	if cpu < 0 {
		cpu = s.domains[domain].cpus[0]
	}
	return r.wraps[cpu]
}

// note takes down a step.
func (r *recorder) note(s *simulation, elapsed int64) {
	if elapsed <= 0 {
		return
	}
	r.now = r.now[:0]
	for _, t := range s.running {
		th := &s.threads[t]
		if th.num == 0 {
			continue
		}
		on := OnCPU{Wrap: r.wraps[th.on-1], CPU: plan.Unpinned, Process: -1}
		if th.cpu >= 0 {
			on.CPU = th.cpu - r.first[on.Wrap]
		}
		if th.job == runsTask {
			in := &s.interpreters[th.interpreter]
			if in.group < 0 && (th.passing || th.periods[th.next].class == profile.CPU) {
				on.Process = s.processes[in.process].index
			}
		}
		r.now = append(r.now, on)
	}
	length := time.Duration(elapsed)
	if last := len(r.uses) - 1; last >= 0 && slices.Equal(r.uses[last].Threads, r.now) {
		r.uses[last].Length += length
		return
	}
	r.uses = append(r.uses, Use{Length: length, Threads: slices.Clone(r.now)})
}

// between puts the uses between what a request waits before and after them.
func (r *recorder) between(before, after time.Duration) []Use {
	var uses []Use
	if before > 0 {
		uses = append(uses, Use{Length: before})
	}
	uses = append(uses, r.uses...)
	if after > 0 {
		uses = append(uses, Use{Length: after})
	}
	return uses
}
