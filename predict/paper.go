package predict

import (
	"fmt"
	"time"

	"github.com/chiron-faas/chiron/plan"
	"github.com/chiron-faas/chiron/workflow"
)

// PaperLatency is the paper's own prediction of a plan: equations 1 to 4, and
// Algorithm 1 for the threads of a process. It takes native periods for
// lock-holding ones, gives every process a CPU, and knows only stages of one
// task or of branches of one task; for others it fails. Resident processes (pool)
// pay neither T_Block nor T_Startup, as in the paper's pool mode.
func (p *Predictor) PaperLatency(pl *plan.Plan) (time.Duration, error) {
	if err := p.sim.layOut(p, pl, nil); err != nil {
		return 0, err
	}
	var workflowTime int64 // equation 1
	for i := range p.stages {
		s := &p.stages[i]
		for _, n := range s.nodes[1:] {
			if n.kind != workflow.BlockTask {
				return 0, fmt.Errorf("predict: the paper's model has no stage like %q: its branches are of one task each", s.name)
			}
		}
		workflowTime += p.paperStage(s, pl)
	}
	return time.Duration(workflowTime), nil
}

// paperStage is equation 2. Wraps without a task of the stage are not called, and
// do not count in k.
func (p *Predictor) paperStage(s *stage, pl *plan.Plan) int64 {
	c := &p.calibration
	var slowest int64
	k := int64(1)
	for w := range pl.Wraps {
		t, used := p.paperWrap(s, w)
		switch {
		case !used:
		case w == 0:
			slowest = max(slowest, t)
		default:
			k++
			slowest = max(slowest, t+(k-1)*int64(c.INV)+int64(c.RPC))
		}
	}
	return slowest
}

// paperWrap is equations 3 and 4.
func (p *Predictor) paperWrap(s *stage, w int) (t int64, used bool) {
	c := &p.calibration
	var slowest int64
	processes, forked := int64(0), int64(0)
	for i := p.sim.wraps[w]; i < p.sim.wraps[w+1]; i++ {
		var tasks []int
		for task := s.first; task < s.end; task++ {
			if p.sim.places[task].process == i {
				tasks = append(tasks, task)
			}
		}
		if tasks == nil {
			continue
		}
		processes++
		exec := p.paperExec(tasks, p.sim.processes[i].interval)
		if p.sim.processes[i].mode == plan.Fork {
			exec += forked*int64(c.Block) + int64(c.Startup)
			forked++
		}
		slowest = max(slowest, exec)
	}
	return slowest + max(0, processes-1)*int64(c.IPC), processes > 0
}

// paperExec is T_exec of equation 4. A task that has its process for itself is
// run by the main thread: nothing is simulated.
func (p *Predictor) paperExec(tasks []int, interval int64) int64 {
	if len(tasks) == 1 {
		var alone int64
		for _, one := range p.tasks[tasks[0]].periods {
			alone += one.work
		}
		return alone
	}
	behaviours := make([][]period, len(tasks))
	for i, t := range tasks {
		behaviours[i] = p.tasks[t].periods
	}
	return algorithm1{interval: interval, start: int64(p.calibration.ThreadStart)}.exec(behaviours)
}
