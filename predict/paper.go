package predict

import (
	"fmt"
	"slices"
	"time"

	"github.com/chiron-faas/chiron/plan"
	"github.com/chiron-faas/chiron/profile"
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
		exec := p.paperThreads(tasks, p.sim.processes[i].interval)
		if p.sim.processes[i].mode == plan.Fork {
			exec += forked*int64(c.Block) + int64(c.Startup)
			forked++
		}
		slowest = max(slowest, exec)
	}
	return slowest + max(0, processes-1)*int64(c.IPC), processes > 0
}

// paperThread is a thread of Algorithm 1.
type paperThread struct {
	periods []period
	left    int64 // of the first period
	cpu     int64 // time on the CPU so far
	wakes   int64 // when its block ends; 0: it is runnable
}

// paperThreads is Algorithm 1: the time that the threads of one process take.
// The main thread, which starts another every ThreadStart of its own CPU time,
// is one of them. The holder of the lock runs until its interval ends or it
// blocks; the next is the runnable thread with the least CPU time, the earlier
// one of equals.
func (p *Predictor) paperThreads(tasks []int, interval int64) int64 {
	start := int64(p.calibration.ThreadStart)
	var threads []*paperThread
	now := int64(0)
	launch := func(task int) {
		if periods := p.tasks[task].periods; len(periods) > 0 {
			t := &paperThread{periods: periods}
			t.begin(now)
			threads = append(threads, t)
		}
	}
	waiting := tasks
	var launcher *paperThread
	if start > 0 {
		launcher = &paperThread{periods: []period{{class: profile.CPU, work: int64(len(tasks)) * start}}, left: int64(len(tasks)) * start}
		threads = append(threads, launcher)
	} else {
		for _, t := range tasks {
			launch(t)
		}
		waiting = nil
	}
	for len(threads) > 0 {
		f := nextThread(threads, now)
		if f == nil { // all are blocked: until the first wakes
			now = slices.MinFunc(threads, func(a, b *paperThread) int { return int(min(1, max(-1, a.wakes-b.wakes))) }).wakes
			continue
		}
		if f.periods[0].class == profile.Block { // and it is over
			threads = f.finish(threads, now)
			continue
		}
		run := min(f.left, interval)
		now += run
		f.left -= run
		f.cpu += run
		if f == launcher {
			for len(waiting) > 0 && f.cpu >= int64(len(tasks)-len(waiting)+1)*start {
				launch(waiting[0])
				waiting = waiting[1:]
			}
		}
		if f.left == 0 {
			threads = f.finish(threads, now)
		}
	}
	return now
}

// nextThread selects who holds the lock next; nil where all are blocked.
func nextThread(threads []*paperThread, now int64) *paperThread {
	var best *paperThread
	for _, t := range threads {
		if t.wakes <= now && (best == nil || t.cpu < best.cpu) {
			best = t
		}
	}
	return best
}

// begin begins the thread's first period.
func (t *paperThread) begin(now int64) {
	t.left, t.wakes = t.periods[0].work, 0
	if t.periods[0].class == profile.Block {
		t.wakes = now + t.left
	}
}

// finish ends a thread's first period, and with the last one the thread.
func (t *paperThread) finish(threads []*paperThread, now int64) []*paperThread {
	t.periods = t.periods[1:]
	if len(t.periods) == 0 {
		return slices.DeleteFunc(threads, func(other *paperThread) bool { return other == t })
	}
	t.begin(now)
	return threads
}
