package predict

import (
	"time"

	"github.com/chiron-faas/chiron/plan"
	"github.com/chiron-faas/chiron/profile"
)

// cpuTime is Prediction.CPU. It is the same under every plan.
func (p *Predictor) cpuTime() time.Duration {
	var sum int64
	for i := range p.tasks {
		for _, one := range p.tasks[i].periods {
			if one.class != profile.Block {
				sum += one.work
			}
		}
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
