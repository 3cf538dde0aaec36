package pgp

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/chiron-faas/chiron/plan"
	"github.com/chiron-faas/chiron/plan/model"
)

// shared is the search of SharedPool (the paper's section 4, "True Parallelism"):
// a resident process for each branch of the widest stage, all in one wrap, so that
// no function waits for another's lock. What is searched is the fewest CPUs: for
// 1, 2, … processes are pinned such that the busiest CPUs of all stages together
// have the least to do, then moved and exchanged as the prediction says, until the
// objective is met. A process that computes long is started before others.
func (s *search) shared(ctx context.Context, r *Result, known map[int]*attempt) (*candidate, error) {
	if s.Goal != plan.FewestCPUs && s.Goal != "" {
		return nil, fmt.Errorf("%s is searched for the fewest CPUs only, not for %s", NameShared, s.Goal)
	}
	made, err := model.Build(model.FaastlaneP, model.Input{
		Workflow: s.Workflow, Definition: s.Definition, Functions: s.Functions, Profile: s.Profile,
	})
	if err != nil {
		return nil, fmt.Errorf("%s puts all functions into one wrap: %w", NameShared, err)
	}
	made.Model = NameShared
	w, err := s.newWorker()
	if err != nil {
		return nil, err
	}
	defer s.letGo(w)
	p := s.newPinning(made)
	var best *candidate
	for cpus := 1; cpus <= s.sharable(p); cpus++ {
		// Not by the target: it may have been lowered for a plan that spreads more
		// than the next.
		if bound := s.atLeast(cpus); s.SLO > 0 && bound > s.SLO {
			r.skip(cpus, bound)
			continue
		}
		c, err := s.sharing(ctx, r, p, w, cpus, known)
		if err != nil {
			return nil, err
		}
		if best = faster(best, c); r.Met {
			return c, nil
		}
	}
	// Out of reach: what was skipped may be faster than the rest.
	for cpus := s.sharable(p); cpus >= 1; cpus /= 2 {
		if known[cpus] != nil || best != nil && s.atLeast(cpus) >= best.latency {
			continue
		}
		c, err := s.sharing(ctx, r, p, w, cpus, known)
		if err != nil {
			return nil, err
		}
		best = faster(best, c)
	}
	r.Met, err = s.meets(r, best)
	return best, err
}

// sharable is the most CPUs that the processes can share.
func (s *search) sharable(p *pinning) int {
	most := min(len(p.processes), s.last)
	if n := s.limits.CPUs; n > 0 {
		most = min(most, n)
	}
	return most
}

// sharing is the best on so many CPUs; r says whether it meets the SLO, and has a
// tighter target where it does on average only.
func (s *search) sharing(ctx context.Context, r *Result, p *pinning, w *worker, cpus int, known map[int]*attempt) (*candidate, error) {
	p.deal(cpus)
	var c *candidate
	for range maxTightened {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		improved, err := p.improve(ctx, w, cpus, r.Target)
		if err != nil {
			return nil, err
		}
		if c != nil && improved.latency >= c.latency {
			break // as fast as it gets
		}
		c = improved
		if r.Met, err = s.meets(r, c); err != nil {
			return nil, err
		}
		if r.Met || !c.within(r.Target) {
			break
		}
		r.tighten(s.tighter(r, c))
	}
	if err := s.allowed(c.plan); err != nil {
		return nil, fmt.Errorf("%s: %w", NameShared, err)
	}
	a := &attempt{cpus: cpus, best: c, found: []*candidate{c}, evaluations: w.evaluations}
	w.evaluations = 0
	a.steps = []Step{{
		Processes: len(p.processes), Mode: plan.Pool, Wraps: 1, CPUs: cpus, Shared: cpus < len(p.processes),
		Memory: c.memory, Latency: c.latency, Meets: r.Met,
	}}
	if !a.steps[0].Meets {
		a.steps[0].Why = tooSlow(c.latency, r.Target, s.SLO)
	}
	r.note(s, a, r.Target, known)
	return c, nil
}

// pinning is which process of a wrap is on which of its CPUs.
type pinning struct {
	s    *search
	plan *plan.Plan
	// processes are the plan's, those that compute longest first.
	processes []plan.Process
	// load is what each computes in each stage, of its mean run.
	load [][]time.Duration
	on   []int // CPU by process
}

func (s *search) newPinning(pl *plan.Plan) *pinning {
	p := &pinning{s: s, plan: pl, processes: pl.Wraps[0].Processes}
	work := make(map[string]time.Duration)
	stageOf := make(map[string]int)
	for i := range s.stages {
		for t, name := range s.stages[i].names {
			work[name], stageOf[name] = s.stages[i].work[t].cpu, i
		}
	}
	total := func(process plan.Process) (sum time.Duration) {
		for _, task := range process.Tasks {
			sum += work[task]
		}
		return sum
	}
	slices.SortStableFunc(p.processes, func(a, b plan.Process) int { return -cmp.Compare(total(a), total(b)) })
	p.load = make([][]time.Duration, len(p.processes))
	for i, process := range p.processes {
		p.load[i] = make([]time.Duration, len(s.stages))
		for _, task := range process.Tasks {
			p.load[i][stageOf[task]] += work[task]
		}
	}
	p.on = make([]int, len(p.processes))
	return p
}

// deal pins each process, the longest first, where the stages' busiest CPUs grow
// least, and of such CPUs to the one that has the least to do.
func (p *pinning) deal(cpus int) {
	busy := make([][]time.Duration, cpus) // by CPU and stage
	for c := range busy {
		busy[c] = make([]time.Duration, len(p.s.stages))
	}
	for i := range p.processes {
		best, bestGrowth, bestBusy := 0, time.Duration(-1), time.Duration(0)
		for c := range cpus {
			var growth, all time.Duration
			for st, load := range p.load[i] {
				var top time.Duration
				for other := range cpus {
					top = max(top, busy[other][st])
				}
				growth += max(0, busy[c][st]+load-top)
				all += busy[c][st]
			}
			if bestGrowth < 0 || growth < bestGrowth || growth == bestGrowth && all < bestBusy {
				best, bestGrowth, bestBusy = c, growth, all
			}
		}
		p.on[i] = best
		for st, load := range p.load[i] {
			busy[best][st] += load
		}
	}
}

// Bounds of improve's predictions: those of small workflows are all exchanges, those
// of large ones, of which each prediction takes longer, the first.
const (
	maxPinnings = 2000
	// maxPinned is how many processes are in them all together.
	maxPinned = 20_000
)

// improve moves processes to other CPUs, and exchanges them, while that makes the
// plan faster and it is slower than target.
func (p *pinning) improve(ctx context.Context, w *worker, cpus int, target time.Duration) (*candidate, error) {
	best, err := p.candidate(w, cpus)
	if err != nil {
		return nil, err
	}
	last := w.evaluations + min(maxPinnings, maxPinned/len(p.on))
	better := func() (bool, error) {
		c, err := p.candidate(w, cpus)
		if err != nil || c.latency >= best.latency {
			return false, err
		}
		best = c
		return true, nil
	}
	for again := cpus > 1; again && !best.within(target) && w.evaluations < last; {
		again = false
		for i := range p.on {
			for c := range cpus {
				was := p.on[i]
				if c == was || w.evaluations >= last {
					continue
				}
				if ctx.Err() != nil {
					return nil, context.Cause(ctx)
				}
				p.on[i] = c
				took, err := better()
				if err != nil {
					return nil, err
				}
				if took {
					again = true
					continue
				}
				p.on[i] = was
			}
			for k := range i {
				if p.on[i] == p.on[k] || p.alike(i, k) || w.evaluations >= last {
					continue
				}
				p.on[i], p.on[k] = p.on[k], p.on[i]
				took, err := better()
				if err != nil {
					return nil, err
				}
				if took {
					again = true
					continue
				}
				p.on[i], p.on[k] = p.on[k], p.on[i]
			}
		}
	}
	return best, nil
}

// alike says that two processes compute exactly as long in each stage, as those of
// one function do: to exchange them is not worth a prediction.
func (p *pinning) alike(i, k int) bool { return slices.Equal(p.load[i], p.load[k]) }

// candidate is the plan of the pinning.
func (p *pinning) candidate(w *worker, cpus int) (*candidate, error) {
	pl := p.plan.Clone()
	wrap := &pl.Wraps[0]
	wrap.CPUs = cpus
	for i := range wrap.Processes {
		wrap.Processes[i].CPU = p.on[i]
	}
	w.evaluations++
	latency, err := w.predictor.Latency(pl)
	return &candidate{plan: pl, latency: latency, memory: pl.MemoryEstimate(p.s.Profile)}, err
}
