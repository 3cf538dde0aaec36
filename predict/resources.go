package predict

import (
	"time"

	"github.com/chiron-faas/chiron/plan"
	"github.com/chiron-faas/chiron/profile"
)

// A standby process counts as a forked one: its replacement is one, for the next
// request. What warming it takes besides is not in it.
//
// cpuTime is Prediction.CPU of the plan that was laid out.
func (p *Predictor) cpuTime() time.Duration {
	var sum int64
	forked := make(map[int]bool)    // processes of the stage
	called := make(map[[2]int]bool) // process and function, of the stage
	for i := range p.stages {
		clear(forked)
		clear(called)
		for t := p.stages[i].first; t < p.stages[i].end; t++ {
			task, process := &p.tasks[t], p.sim.places[t].process
			if p.sim.rows[t] == 0 {
				sum += int64(p.calibration.Agent)
			}
			periods := task.periods
			if p.sim.processes[process].mode.PerRequest() {
				call := [2]int{process, task.functionIndex}
				if !called[call] {
					periods = task.cold
				}
				forked[process], called[call] = true, true
			}
			for _, one := range periods {
				if one.class != profile.Block {
					sum += one.work
				}
			}
		}
		sum += int64(len(forked)) * int64(p.calibration.Startup+p.calibration.Exit)
	}
	return time.Duration(sum)
}

// peakMemory is Prediction.Memory. Forked processes live for their stage only.
func (p *Predictor) peakMemory(pl *plan.Plan) int64 {
	var peak int64
	for i := range p.stages {
		s := &p.stages[i]
		peak = max(peak, pl.MemoryDuring(p.profile, func(task string) bool {
			t, ok := p.index[task]
			return ok && s.first <= t && t < s.end
		}))
	}
	return peak
}
