package pgp

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/chiron-faas/chiron/plan"
	"github.com/chiron-faas/chiron/predict"
	"github.com/chiron-faas/chiron/profile"
	"github.com/chiron-faas/chiron/workflow"
)

// Name is the Plan.Model of searched plans.
const Name = "chiron"

// Problem is what a plan is searched for.
type Problem struct {
	Workflow    string // the project's name
	Definition  *workflow.Definition
	Functions   map[string]*workflow.Function
	Profile     *profile.Profile
	Calibration *predict.Calibration
	// SLO is the latency to meet; 0 asks for nothing, and the plan with the
	// fewest CPUs is the answer.
	SLO time.Duration
	// CPUs of the machine that all wraps run on: plans that need more are not
	// looked at, unless functions in conflict force it. 0: no bound.
	CPUs int
}

// Result is the answer to a Problem.
type Result struct {
	// Plan found: the one with the fewest CPUs that meets the SLO, or, where
	// none does, the fastest.
	Plan       *plan.Plan
	Prediction *predict.Prediction
	// Met says whether the prediction meets the SLO.
	Met bool
	SLO time.Duration
	// Steps are the counts of processes that were tried, in order.
	Steps []Step
	// Alternatives are what else there is: the plans with a CPU fewer and a CPU
	// more, and the deployment models.
	Alternatives []Alternative
	// Evaluations is how many predictions the search asked for.
	Evaluations int
}

// Step is one count of processes that the search tried.
type Step struct {
	Processes int
	// Mode of all processes but the first.
	Mode    plan.Mode
	Wraps   int
	CPUs    int
	Latency time.Duration
	Meets   bool
}

// Alternative is a plan that was not chosen.
type Alternative struct {
	// Name says what it is: "one CPU fewer", "faastlane".
	Name    string
	Plan    *plan.Plan
	Latency time.Duration
	CPUs    int
	Memory  int64 // bytes
	Meets   bool
}

// Search finds a plan. It is deterministic. It fails where the workflow has no
// task, the profile lacks one, or ctx ends; an SLO that no plan meets is no
// failure but Result.Met.
func Search(ctx context.Context, p Problem) (*Result, error) {
	s, err := newSearch(p)
	if err != nil {
		return nil, err
	}
	result := &Result{SLO: p.SLO}
	var best *candidate
	last := s.width
	if p.CPUs > 0 {
		last = max(1, min(last, p.CPUs-len(s.apart)))
	}
	var fewer *candidate // the best with a process fewer
	for n := 1; n <= last && !result.Met; n++ {
		found, steps, err := s.processes(ctx, n)
		if err != nil {
			return nil, err
		}
		result.Steps = append(result.Steps, steps...)
		switch {
		case s.meets(found.latency):
			fewer, best, result.Met = best, found, true
		case best == nil || found.latency < best.latency:
			best = found
		}
	}
	if result.Met {
		if best, err = s.pack(best); err != nil {
			return nil, err
		}
	}
	result.Plan = best.plan
	if err := plan.Check(result.Plan, p.Definition, p.Functions); err != nil {
		return nil, fmt.Errorf("the search made a plan that cannot be (this is a bug): %w", err)
	}
	if result.Prediction, err = s.predictor.Predict(result.Plan); err != nil {
		return nil, err
	}
	if result.Alternatives, err = s.alternatives(ctx, best, fewer, last); err != nil {
		return nil, err
	}
	result.Evaluations = s.evaluations
	return result, nil
}

// search is a Problem, prepared.
type search struct {
	Problem
	predictor *predict.Predictor
	conflicts *plan.Conflicts
	stages    []stage
	// apart are the groups of tasks that get wraps of their own.
	apart [][]string
	// width is the most tasks that may run beside each other: M of Algorithm 2.
	width       int
	evaluations int
}

// stage is a stage's tasks that the processes share.
type stage struct {
	index int // of the Predictor's stages
	tasks []string
	// kinds by task: tasks of one kind are interchangeable.
	kinds map[string]int
}

// candidate is a plan with its predicted latency.
type candidate struct {
	plan      *plan.Plan
	processes int
	mode      plan.Mode
	latency   time.Duration
}

func newSearch(p Problem) (*search, error) {
	tasks := p.Definition.Tasks()
	if len(tasks) == 0 {
		return nil, errors.New("the workflow has no Task state: there is nothing to place")
	}
	predictor, err := predict.New(p.Definition, p.Profile, p.Calibration, predict.Options{CPUs: p.CPUs})
	if err != nil {
		return nil, err
	}
	s := &search{Problem: p, predictor: predictor, width: 1}
	s.conflicts = plan.NewConflicts(p.Definition, p.Functions, p.Profile)
	names := make([]string, len(tasks))
	for i, t := range tasks {
		names[i] = t.Name
	}
	groups := s.conflicts.Groups(names)
	base := 0
	for i, g := range groups {
		if len(g) > len(groups[base]) {
			base = i
		}
	}
	inBase := make(map[string]bool)
	for i, g := range groups {
		if i != base {
			s.apart = append(s.apart, g)
			continue
		}
		for _, name := range g {
			inBase[name] = true
		}
	}
	for _, st := range p.Definition.Stages() {
		own := stage{index: st.Index, kinds: make(map[string]int)}
		alone := tasksAlone(st.Root)
		byProfile := make(map[*profile.Function]int)
		for _, t := range st.Root.Tasks() {
			if !inBase[t.Name] {
				continue
			}
			own.tasks = append(own.tasks, t.Name)
			kind := len(own.kinds)
			// Only whole branches with the same measurement are interchangeable.
			if f, ok := p.Profile.Task(t.Name); ok && alone[t.Name] {
				if known, ok := byProfile[f]; ok {
					kind = known
				} else {
					byProfile[f] = kind
				}
			}
			own.kinds[t.Name] = kind
		}
		s.stages = append(s.stages, own)
		s.width = max(s.width, min(parallelism(st.Root), len(own.tasks)))
	}
	return s, nil
}

// tasksAlone are the tasks that are a branch of the stage's Parallel by themselves.
func tasksAlone(b *workflow.Block) map[string]bool {
	alone := make(map[string]bool)
	if b.Kind == workflow.BlockParallel {
		for _, c := range b.Children {
			if c.Kind == workflow.BlockTask {
				alone[c.Task.Name] = true
			}
		}
	}
	return alone
}

// parallelism is the most tasks of b that run at the same time.
func parallelism(b *workflow.Block) int {
	n := 0
	for _, c := range b.Children {
		if b.Kind == workflow.BlockParallel {
			n += parallelism(c)
		} else {
			n = max(n, parallelism(c))
		}
	}
	return max(n, 1)
}

func (s *search) meets(latency time.Duration) bool { return s.SLO == 0 || latency <= s.SLO }

// processes finds the best partition into n processes: with forked ones, and
// where these do not meet the SLO with resident ones (lines 4 to 12).
func (s *search) processes(ctx context.Context, n int) (*candidate, []Step, error) {
	var best *candidate
	var steps []Step
	modes := []plan.Mode{plan.Fork, plan.Pool}
	if n == 1 {
		modes = modes[1:] // the one process is resident
	}
	for _, mode := range modes {
		c, err := s.partition(ctx, n, mode)
		if err != nil {
			return nil, nil, err
		}
		steps = append(steps, Step{
			Processes: n, Mode: mode, Wraps: len(c.plan.Wraps), CPUs: c.plan.CPUs(),
			Latency: c.latency, Meets: s.meets(c.latency),
		})
		if best == nil || c.latency < best.latency {
			best = c
		}
		if s.meets(c.latency) {
			break
		}
	}
	return best, steps, nil
}

// partition is lines 5 to 11: the first wraps, tasks dealt out in turn, then
// Kernighan-Lin between every pair of processes of every stage.
func (s *search) partition(ctx context.Context, n int, mode plan.Mode) (*candidate, error) {
	// As many processes in wrap 1 as are forked in the time that calling another
	// wrap takes; beyond, each in a wrap of its own.
	first := n
	if c := s.Calibration; mode == plan.Fork && c.Block > 0 {
		first = max(1, min(n, int(c.RPC/c.Block)))
	}
	sizes := []int{first}
	for range n - first {
		sizes = append(sizes, 1)
	}
	sets := s.deal(n)
	p := s.build(sizes, mode, sets)
	for i := range s.stages {
		st := &s.stages[i]
		if len(st.tasks) < 2 || n < 2 {
			continue
		}
		if err := s.improve(ctx, st, p); err != nil {
			return nil, err
		}
	}
	latency, err := s.predictor.Latency(p)
	s.evaluations++
	if err != nil {
		return nil, err
	}
	return &candidate{plan: p, processes: n, mode: mode, latency: latency}, nil
}

// deal gives the tasks of every stage to n processes in turn (line 8).
func (s *search) deal(n int) [][]string {
	sets := make([][]string, n)
	for _, st := range s.stages {
		for i, t := range st.tasks {
			sets[i%n] = append(sets[i%n], t)
		}
	}
	return sets
}

// build makes a plan of sets of tasks, one a process, in wraps of these sizes,
// and of the wraps of the tasks that stand apart. A wrap whose processes have
// got no task is left out.
func (s *search) build(sizes []int, mode plan.Mode, sets [][]string) *plan.Plan {
	p := &plan.Plan{Workflow: s.Workflow, Model: Name}
	j := 0
	for _, size := range sizes {
		w := plan.Wrap{}
		for range size {
			process := plan.Process{Mode: mode, CPU: len(w.Processes), Tasks: append([]string(nil), sets[j]...)}
			if j == 0 {
				process.Mode = plan.Pool
			}
			j++
			w.Processes = append(w.Processes, process)
		}
		w.CPUs = len(w.Processes)
		p.Wraps = append(p.Wraps, w)
	}
	for _, group := range s.apart {
		p.Wraps = append(p.Wraps, plan.Wrap{CPUs: 1, Processes: []plan.Process{{Mode: plan.Pool, Tasks: group}}})
	}
	for i := range p.Wraps {
		p.Wraps[i].Name = fmt.Sprintf("wrap-%d", i+1)
	}
	return p
}

// pack puts the processes into as few wraps as the SLO allows (lines 13 to 16).
func (s *search) pack(c *candidate) (*candidate, error) {
	sets := make([][]string, 0, c.processes)
	wraps := len(c.plan.Wraps) - len(s.apart)
	for _, w := range c.plan.Wraps[:wraps] {
		for _, p := range w.Processes {
			sets = append(sets, p.Tasks)
		}
	}
	for n := 1; n < wraps; n++ {
		p := s.build(even(len(sets), n), c.mode, sets)
		latency, err := s.predictor.Latency(p)
		s.evaluations++
		if err != nil {
			return nil, err
		}
		if s.meets(latency) {
			return &candidate{plan: p, processes: c.processes, mode: c.mode, latency: latency}, nil
		}
	}
	return c, nil
}

// even divides n processes into wraps whose sizes differ by one at most.
func even(n, wraps int) []int {
	sizes := make([]int, wraps)
	for i := range n {
		sizes[i%wraps]++
	}
	return sizes
}
