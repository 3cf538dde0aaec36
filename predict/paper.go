package predict

import (
	"fmt"
	"slices"
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
	m := paperModel{Calibration: p.calibration, aloneInProcess: true}
	return m.latency(p, pl)
}

// paperModel is equations 1 to 4.
type paperModel struct {
	Calibration
	// parent is what a fork costs the process that forks, beside T_Block; begin
	// and turn are algorithm1's.
	parent, begin, turn time.Duration
	// aloneInProcess says that the main thread runs a task that has its process
	// for itself, not only one that has its stage for itself.
	aloneInProcess bool
}

// latency is equation 1.
func (m *paperModel) latency(p *Predictor, pl *plan.Plan) (time.Duration, error) {
	if err := p.sim.layOut(p, pl, nil); err != nil {
		return 0, err
	}
	var sum time.Duration
	for i := range p.stages {
		stage, err := m.stage(p, &p.stages[i], pl)
		if err != nil {
			return 0, err
		}
		sum += stage
	}
	return sum, nil
}

// stage is equation 2, for the plan that was laid out. Wraps without a task of
// the stage are not called, and do not count in k.
func (m *paperModel) stage(p *Predictor, s *stage, pl *plan.Plan) (time.Duration, error) {
	for _, n := range s.nodes[1:] {
		if n.kind != workflow.BlockTask {
			return 0, fmt.Errorf("predict: the paper's model has no stage like %q: its branches are of one task each", s.name)
		}
	}
	var slowest time.Duration
	k := time.Duration(1)
	for w := range pl.Wraps {
		t, used := m.wrap(p, s, w)
		switch {
		case !used:
		case w == 0:
			slowest = max(slowest, t)
		default:
			k++
			slowest = max(slowest, t+(k-1)*m.INV+m.RPC)
		}
	}
	return slowest, nil
}

// wrap is equations 3 and 4.
func (m *paperModel) wrap(p *Predictor, s *stage, w int) (t time.Duration, used bool) {
	var slowest, resident time.Duration
	processes, forked := time.Duration(0), time.Duration(0)
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
		slices.SortFunc(tasks, func(a, b int) int { return p.sim.places[a].order - p.sim.places[b].order })
		processes++
		exec := m.exec(p, s, tasks, time.Duration(p.sim.processes[i].interval))
		if p.sim.processes[i].mode == plan.Fork {
			exec += forked*m.Block + m.Startup
			forked++
		} else {
			resident = max(resident, exec)
		}
		slowest = max(slowest, exec)
	}
	if resident > 0 && m.parent > 0 {
		slowest = max(slowest, resident+forked*(m.Block+m.parent))
	}
	return slowest + max(0, processes-1)*m.IPC, processes > 0
}

// exec is T_exec of equation 4. The main thread runs a task that is alone:
// nothing is simulated.
func (m *paperModel) exec(p *Predictor, s *stage, tasks []int, interval time.Duration) time.Duration {
	if len(tasks) == 1 && (m.aloneInProcess || s.end-s.first == 1) {
		alone := m.begin
		for _, one := range p.tasks[tasks[0]].periods {
			alone += time.Duration(one.work)
		}
		return alone
	}
	behaviours := make([][]period, len(tasks))
	for i, t := range tasks {
		behaviours[i] = p.tasks[t].periods
	}
	a := algorithm1{interval: int64(interval), start: int64(m.ThreadStart), begin: int64(m.begin), turn: int64(m.turn)}
	return time.Duration(a.exec(behaviours))
}
