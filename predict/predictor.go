package predict

import (
	"fmt"
	"time"

	"github.com/chiron-faas/chiron/plan"
	"github.com/chiron-faas/chiron/profile"
	"github.com/chiron-faas/chiron/workflow"
)

// Options of a Predictor.
type Options struct {
	// CPUs of the machine that all wraps run on: where a plan gives its wraps
	// more than these together, they share them round-robin, as the local target
	// deals them out. 0: every wrap has CPUs of its own, as in the paper.
	CPUs int
	// Spare says that the machine has more CPUs than these, which wraps may not
	// run on and what else is on the machine may: servers that functions wait for.
	Spare bool
}

// Predictor predicts plans of one workflow on one machine. It reuses its memory
// from one prediction to the next, so it serves one goroutine at a time.
type Predictor struct {
	calibration Calibration
	options     Options
	stages      []stage
	tasks       []task
	index       map[string]int // of tasks, by name
	sim         simulation
	order       order
	part        *part // see ProcessLatency
	profile     *profile.Profile

	// Of distributions: how the tasks' runs vary, by task, and the constants;
	// what is drawn, and who draws.
	runs     []taskRuns
	overhead []int64
	shares   []uint32
	draws    draws
	drawing  []*sampler
}

// Prediction says how long a workflow takes under a plan.
type Prediction struct {
	// Latency of one request, from its arrival in wrap 1 to its answer's leaving,
	// where every period takes its mean: see Distribution for how it varies.
	Latency time.Duration
	// CPU is the time on CPUs that it takes: the cpu and native periods of its
	// functions, Startup and Exit of the processes that are forked, and Agent of
	// each call, of which a row of tasks is one. How much of the other constants is CPU time and how much waiting
	// nobody has measured: they are not in it.
	CPU time.Duration
	// Memory is the most that its wraps hold during one of its stages, bytes:
	// plan.MemoryDuring. 0 where the profile has no memory.
	Memory int64
	// Stages in the order of execution.
	Stages []StagePrediction
	// Timeline is what every thread does, by stage, then by task in the order of
	// the definition, then by time.
	Timeline []Span
}

// StagePrediction is one stage's share of a prediction; times count from the
// request's arrival.
type StagePrediction struct {
	// Name of the stage's state.
	Name       string
	Start, End time.Duration
}

// Activity is what a thread does during a Span.
type Activity string

// The activities. CPU, Native and Block are the profile's classes.
const (
	// Start: its wrap is being called, its process forked, its call on the way.
	Start Activity = "start"
	// Lock: it could run and waits for the interpreter lock.
	Lock Activity = "lock"
	// Queue: it could run and waits for a CPU.
	Queue Activity = "queue"
	// CPU: it holds the lock and computes.
	CPU Activity = "cpu"
	// Native: it computes without the lock.
	Native Activity = "native"
	// Block: it waits for a call.
	Block Activity = "block"
)

// Span is a stretch of one task's run.
type Span struct {
	Task, Function string
	Wrap           string
	Process        int // index in the wrap
	Activity       Activity
	// Start and End count from the request's arrival.
	Start, End time.Duration
}

// Predict predicts one plan with the default options. What asks often keeps a
// Predictor.
func Predict(d *workflow.Definition, p *profile.Profile, pl *plan.Plan, c *Calibration) (*Prediction, error) {
	predictor, err := New(d, p, c, Options{})
	if err != nil {
		return nil, err
	}
	return predictor.Predict(pl)
}

// New prepares predictions for a workflow with its profile and a machine's
// constants. It fails where the profile lacks a task or a constant is wrong.
func New(d *workflow.Definition, p *profile.Profile, c *Calibration, o Options) (*Predictor, error) {
	if err := c.Check(); err != nil {
		return nil, err
	}
	predictor := &Predictor{calibration: *c, options: o, profile: p, index: make(map[string]int)}
	for _, s := range d.Stages() {
		compiled, err := predictor.compile(s, p)
		if err != nil {
			return nil, err
		}
		predictor.stages = append(predictor.stages, compiled)
	}
	predictor.link(d)
	return predictor, nil
}

// Stages is the number of the workflow's stages.
func (p *Predictor) Stages() int { return len(p.stages) }

// Predict returns the latency of a plan and the timeline behind it. It fails
// where the plan does not place every task once.
func (p *Predictor) Predict(pl *plan.Plan) (*Prediction, error) {
	if err := p.sim.layOut(p, pl, nil); err != nil {
		return nil, err
	}
	result := &Prediction{}
	now := p.calibration.Request / 2
	for i := range p.stages {
		s := &p.stages[i]
		end := now + p.sim.run(p, p.inOrder(s), true)
		result.Stages = append(result.Stages, StagePrediction{Name: s.name, Start: now, End: end})
		result.Timeline = append(result.Timeline, p.sim.timeline(p, pl, s, now)...)
		now = end
	}
	result.Latency = now + p.calibration.Request - p.calibration.Request/2
	result.CPU, result.Memory = p.cpuTime(), p.peakMemory(pl)
	return result, nil
}

// Latency is Predict without the timeline, for who asks about many plans.
func (p *Predictor) Latency(pl *plan.Plan) (time.Duration, error) {
	if err := p.sim.layOut(p, pl, nil); err != nil {
		return 0, err
	}
	latency := p.calibration.Request
	for i := range p.stages {
		latency += p.sim.run(p, p.inOrder(&p.stages[i]), false)
	}
	return latency, nil
}

// StageLatency predicts one stage, by index, alone. The plan needs to place the
// tasks of that stage only.
func (p *Predictor) StageLatency(i int, pl *plan.Plan) (time.Duration, error) {
	s := &p.stages[i]
	if err := p.sim.layOut(p, pl, s); err != nil {
		return 0, err
	}
	return p.sim.run(p, p.inOrder(s), false), nil
}

// task is a Task state as the simulation needs it.
type task struct {
	name, function string
	functionIndex  int
	stage          int // index
	after          int // the task whose whole result it is given; -1: none
	periods        []period
	cold           []period // of a first call in its process
	// walls and mean of the function's whole runs, as in its profile.
	walls []time.Duration
	mean  time.Duration
}

// period has what matters of a profile.Period.
type period struct {
	class    profile.Class
	work     int64   // ns
	variance float64 // of the work, ns²
	served   int64   // ns of a block that a server of this machine computes
}

// stage is a workflow.Stage, its tree laid out in slices.
type stage struct {
	name  string
	nodes []node // nodes[0] is the root
	// first and last+1 of the Predictor's tasks that are this stage's.
	first, end int
}

// node of a stage's series-parallel tree.
type node struct {
	kind     workflow.BlockKind
	children []int // indices of nodes
	// first and last+1 of the tasks below it; a task node's own is first.
	first, end int
}

func (p *Predictor) compile(s workflow.Stage, prof *profile.Profile) (stage, error) {
	out := stage{name: s.State.Name, first: len(p.tasks)}
	var add func(b *workflow.Block) (int, error)
	add = func(b *workflow.Block) (int, error) {
		i := len(out.nodes)
		out.nodes = append(out.nodes, node{kind: b.Kind, first: len(p.tasks)})
		if b.Kind == workflow.BlockTask {
			f, ok := prof.Task(b.Task.Name)
			if !ok {
				return 0, fmt.Errorf("the profile has no task %q: profile again", b.Task.Name)
			}
			p.index[b.Task.Name] = len(p.tasks)
			p.tasks = append(p.tasks, task{
				name: b.Task.Name, function: b.Task.Function, functionIndex: p.functionIndex(b.Task.Function),
				stage: len(p.stages), after: -1,
				periods: periods(f.Periods), cold: periods(f.ColdPeriods()), walls: f.Walls, mean: f.Wall.Mean,
			})
		}
		for _, child := range b.Children {
			c, err := add(child)
			if err != nil {
				return 0, err
			}
			out.nodes[i].children = append(out.nodes[i].children, c)
		}
		out.nodes[i].end = len(p.tasks)
		return i, nil
	}
	_, err := add(s.Root)
	out.end = len(p.tasks)
	return out, err
}

// functionIndex numbers the functions.
func (p *Predictor) functionIndex(name string) int {
	for i := range p.tasks {
		if p.tasks[i].function == name {
			return p.tasks[i].functionIndex
		}
	}
	return len(p.tasks)
}

// periods without empty ones, neighbours of one class joined.
func periods(all []profile.Period) []period {
	var out []period
	for _, p := range all {
		variance := float64(float64(p.StdDev) * float64(p.StdDev))
		switch last := len(out) - 1; {
		case p.Mean <= 0:
		case last >= 0 && out[last].class == p.Class && p.Class != profile.Block:
			out[last].work += int64(p.Mean)
			out[last].variance += variance
		default:
			out = append(out, period{class: p.Class, work: int64(p.Mean), variance: variance, served: int64(p.Served)})
		}
	}
	return out
}
