package predict

import (
	"fmt"
	"slices"
	"time"

	"github.com/chiron-faas/chiron/plan"
	"github.com/chiron-faas/chiron/workflow"
)

// ProcessLatency predicts one stage, by index, as if a single process, alone in
// wrap 1 on a CPU of its own, were all of it. The tasks are known by their index
// in the stage, in the order of the definition, and start in the order given.
// It is for who puts a stage together from processes that do not touch each
// other; its cost does not grow with the rest of the stage. It fails for a stage
// with branches of more than a task, in which processes wait for each other.
func (p *Predictor) ProcessLatency(i int, mode plan.Mode, tasks []int) (time.Duration, error) {
	s := &p.stages[i]
	if p.part == nil {
		p.part = &part{Predictor: Predictor{calibration: p.calibration}, plan: plan.Plan{Wraps: []plan.Wrap{{CPUs: 1}}}}
	}
	q := p.part
	q.tasks = q.tasks[:0]
	q.sim.places, q.sim.rows = q.sim.places[:0], q.sim.rows[:0]
	q.children, q.stage.nodes = q.children[:0], append(q.stage.nodes[:0], node{kind: s.nodes[0].kind})
	// Threads are numbered in the order of the definition, as in the whole stage:
	// of what happens at the same moment the lowest number comes first.
	q.numbers = append(q.numbers[:0], tasks...)
	slices.Sort(q.numbers)
	for k, t := range q.numbers {
		switch {
		case t < 0 || s.first+t >= s.end:
			return 0, fmt.Errorf("predict: stage %q has no task %d", s.name, t)
		case len(s.nodes) != 1 && len(s.nodes) != s.end-s.first+1:
			return 0, fmt.Errorf("predict: stage %q has branches of more than a task: predict it whole", s.name)
		}
		q.tasks = append(q.tasks, p.tasks[s.first+t])
		q.sim.places, q.sim.rows = append(q.sim.places, place{}), append(q.sim.rows, 0)
		if s.nodes[0].kind != workflow.BlockTask {
			q.stage.nodes = append(q.stage.nodes, node{kind: workflow.BlockTask, first: k, end: k + 1})
		}
	}
	if s.nodes[0].kind != workflow.BlockTask {
		for _, t := range tasks {
			k, _ := slices.BinarySearch(q.numbers, t)
			q.children = append(q.children, k+1)
		}
	}
	q.stage.name, q.stage.end = s.name, len(tasks)
	q.stage.nodes[0].children, q.stage.nodes[0].end = q.children, len(tasks)
	q.sim.processes = append(q.sim.processes[:0], process{mode: mode, interval: int64(p.calibration.SwitchInterval)})
	q.sim.wraps = append(q.sim.wraps[:0], 0, 1)
	q.sim.deal(0, &q.plan)
	q.sim.everywhere = -1
	q.sim.homes = append(q.sim.homes[:0], 0)
	q.sim.left = q.sim.left[:0] // of another process
	return q.sim.run(&q.Predictor, &q.stage, false), nil
}

// part is a predictor of one process: its tasks are that process' only.
type part struct {
	Predictor
	plan     plan.Plan // of one wrap with one CPU
	stage    stage
	numbers  []int // the tasks, ascending
	children []int
}
