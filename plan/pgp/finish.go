package pgp

import (
	"slices"
	"time"

	"github.com/chiron-faas/chiron/plan"
)

// pack puts the processes into as few wraps as the target allows (lines 13 to 16
// of Algorithm 2), resident ones where those of its mode begin too late in so few.
func (w *worker) pack(c *candidate, target time.Duration) (*candidate, error) {
	if !c.layout.pinned() || shortestInterval(c.plan) != 0 {
		return c, nil
	}
	by := make(map[int]int) // processes by group
	order := []int{}
	for _, ws := range c.layout.wraps {
		if by[ws.group] == 0 {
			order = append(order, ws.group)
		}
		by[ws.group] += ws.processes
	}
	for n := 1; n < len(c.layout.wraps); n++ {
		var wraps []wrapShape
		for _, g := range order {
			for _, size := range even(by[g], min(n, by[g])) {
				wraps = append(wraps, wrapShape{group: g, processes: size, cpus: size})
			}
		}
		if len(wraps) >= len(c.layout.wraps) {
			break
		}
		modes := slices.Compact([]plan.Mode{c.layout.mode, plan.Pool})
		if w.s.Mode != "" {
			modes = []plan.Mode{w.s.Mode}
		}
		for _, mode := range modes {
			packed, err := w.candidate(filled{newShape(mode, wraps), c.layout.sets})
			if err != nil {
				return nil, err
			}
			if packed.within(target) && len(packed.plan.Wraps) < len(c.plan.Wraps) {
				return packed, nil
			}
		}
	}
	return c, nil
}

// soonerInterval is the switch interval that is tried besides the interpreter's
// own: a thread that wakes beside a computing one gets the lock after up to an
// interval. Switching costs about 5 µs (predict.TestBed's turn), half a percent at
// this interval, which the prediction does not count.
const soonerInterval = time.Millisecond

// switchSooner shortens the switch interval of the processes of a plan in which
// that makes it faster, as few of them as the target needs; nil where it does not.
func (w *worker) switchSooner(c *candidate, target time.Duration) (*candidate, error) {
	if !w.s.waits || w.s.Calibration.SwitchInterval <= soonerInterval {
		return nil, nil
	}
	sooner := c.plan.Clone()
	latency, err := w.withIntervals(sooner, func(*plan.Process) time.Duration { return soonerInterval })
	if err != nil || latency >= c.latency || target > 0 && latency > target {
		return nil, err
	}
	for i := range sooner.Wraps {
		for k := range sooner.Wraps[i].Processes {
			process := &sooner.Wraps[i].Processes[k]
			process.SwitchInterval = 0
			w.evaluations++
			without, err := w.predictor.Latency(sooner)
			if err != nil {
				return nil, err
			}
			if without <= max(latency, target) {
				latency = without
				continue
			}
			process.SwitchInterval = soonerInterval
		}
	}
	out := *c
	out.plan, out.latency = sooner, latency
	return &out, nil
}

func (w *worker) withIntervals(p *plan.Plan, of func(*plan.Process) time.Duration) (time.Duration, error) {
	for i := range p.Wraps {
		for k := range p.Wraps[i].Processes {
			process := &p.Wraps[i].Processes[k]
			if len(process.Tasks) > 1 { // else nobody waits for its lock
				process.SwitchInterval = of(process)
			}
		}
	}
	w.evaluations++
	return w.predictor.Latency(p)
}

// shortestInterval that a plan sets; 0: none.
func shortestInterval(p *plan.Plan) time.Duration {
	var shortest time.Duration
	for _, w := range p.Wraps {
		for _, process := range w.Processes {
			if d := process.SwitchInterval; d > 0 && (shortest == 0 || d < shortest) {
				shortest = d
			}
		}
	}
	return shortest
}
