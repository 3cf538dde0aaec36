package pgp

import (
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/chiron-faas/chiron/plan"
	"github.com/chiron-faas/chiron/predict"
	"github.com/chiron-faas/chiron/profile"
	"github.com/chiron-faas/chiron/workflow"
)

// search is a Problem, prepared.
type search struct {
	Problem
	predictor predictor
	stages    []stage
	// apart are the groups of tasks that get wraps of their own.
	apart [][]string
	// width is the most tasks that may run beside each other: M of Algorithm 2;
	// last is the most CPUs for them.
	width, last int
	// native and waits say that tasks that run beside others compute without the
	// interpreter lock, or wait.
	native, waits bool
	// tried is the fastest candidate by the CPUs of its shape.
	tried       map[int]*candidate
	evaluations int
}

// stage is a stage's tasks; they are known by their index here.
type stage struct {
	index int // of the Predictor's stages
	// flat says that every task is a branch by itself.
	flat  bool
	names []string
	// kinds by task: tasks of one kind are interchangeable.
	kinds []uint16
	work  []work // by task
	// strands are the tasks that the processes share, those of a branch together.
	strands [][]int
	// apart are the tasks of search.apart, by group.
	apart [][]int
	// critical is the longest way through the stage, if nothing waits for a lock
	// or a CPU.
	critical time.Duration
	// ends remembers processes that have a CPU of their own: when their last
	// task of this stage ends, by mode and kinds.
	ends map[string]time.Duration
}

// work is what a task does.
type work struct {
	lock     time.Duration // computes with the interpreter lock
	cpu      time.Duration // computes, with the lock and without
	duration time.Duration // and waits
}

func (w work) plus(other work) work {
	return work{w.lock + other.lock, w.cpu + other.cpu, w.duration + other.duration}
}

func newSearch(p Problem) (*search, error) {
	tasks := p.Definition.Tasks()
	if len(tasks) == 0 {
		return nil, errors.New("the workflow has no Task state: there is nothing to place")
	}
	if len(tasks) > math.MaxUint16 {
		return nil, fmt.Errorf("the workflow has %d Task states: the search takes at most %d", len(tasks), math.MaxUint16)
	}
	predictor, err := predict.New(p.Definition, p.Profile, p.Calibration, predict.Options{CPUs: p.CPUs})
	if err != nil {
		return nil, err
	}
	s := &search{Problem: p, predictor: predictor, width: 1, tried: make(map[int]*candidate)}
	group := s.separate(tasks)
	for _, st := range p.Definition.Stages() {
		own, err := s.newStage(st, group)
		if err != nil {
			return nil, err
		}
		s.stages = append(s.stages, own)
	}
	s.last = s.width
	if p.CPUs > 0 {
		s.last = max(1, min(s.last, p.CPUs-len(s.apart)))
	}
	return s, nil
}

// separate finds the tasks that stand apart, and returns the index in s.apart by
// task; tasks of the largest group are not in it.
func (s *search) separate(tasks []*workflow.State) map[string]int {
	names := make([]string, len(tasks))
	for i, t := range tasks {
		names[i] = t.Name
	}
	groups := plan.NewConflicts(s.Definition, s.Functions, s.Profile, s.Rules).Groups(names)
	base := 0
	for i, g := range groups {
		if len(g) > len(groups[base]) {
			base = i
		}
	}
	of := make(map[string]int)
	for i, g := range groups {
		if i == base {
			continue
		}
		for _, name := range g {
			of[name] = len(s.apart)
		}
		s.apart = append(s.apart, g)
	}
	return of
}

func (s *search) newStage(st workflow.Stage, apart map[string]int) (stage, error) {
	own := stage{index: st.Index, flat: true, apart: make([][]int, len(s.apart)), ends: make(map[string]time.Duration)}
	if st.Root.Kind != workflow.BlockTask {
		for _, c := range st.Root.Children {
			own.flat = own.flat && st.Root.Kind == workflow.BlockParallel && c.Kind == workflow.BlockTask
		}
	}
	index := make(map[string]int)
	byProfile := make(map[*profile.Function]uint16)
	shared := 0
	for i, t := range st.Root.Tasks() {
		f, ok := s.Profile.Task(t.Name)
		if !ok {
			return stage{}, fmt.Errorf("the profile has no task %q: profile again", t.Name)
		}
		index[t.Name] = i
		own.names = append(own.names, t.Name)
		own.work = append(own.work, workOf(f))
		kind, known := byProfile[f]
		// Inside a longer branch a task's place matters: it is its own kind.
		if !known || !own.flat {
			kind = uint16(i)
			byProfile[f] = kind
		}
		own.kinds = append(own.kinds, kind)
		if g, ok := apart[t.Name]; ok {
			own.apart[g] = append(own.apart[g], i)
		} else {
			shared++
		}
	}
	for _, strand := range st.Root.Strands() {
		var kept []int
		for _, name := range strand {
			if _, ok := apart[name]; !ok {
				kept = append(kept, index[name])
			}
		}
		if kept != nil {
			own.strands = append(own.strands, kept)
		}
	}
	own.critical = own.longest(st.Root, index)
	if own.critical < own.total().duration { // something runs beside something
		for _, w := range own.work {
			s.native = s.native || w.cpu > w.lock
			s.waits = s.waits || w.duration > w.cpu || w.cpu > w.lock
		}
	}
	s.width = max(s.width, min(parallelism(st.Root), shared))
	return own, nil
}

func workOf(f *profile.Function) work {
	var w work
	for _, p := range f.Periods {
		if p.Mean <= 0 {
			continue
		}
		w.duration += p.Mean
		if p.Class != profile.Block {
			w.cpu += p.Mean
		}
		if p.Class == profile.CPU {
			w.lock += p.Mean
		}
	}
	return w
}

// longest way through a block, if every task begins when it can.
func (st *stage) longest(b *workflow.Block, index map[string]int) time.Duration {
	if b.Kind == workflow.BlockTask {
		return st.work[index[b.Task.Name]].duration
	}
	var d time.Duration
	for _, c := range b.Children {
		if child := st.longest(c, index); b.Kind == workflow.BlockSeries {
			d += child
		} else {
			d = max(d, child)
		}
	}
	return d
}

func (st *stage) total() work {
	var sum work
	for _, w := range st.work {
		sum = sum.plus(w)
	}
	return sum
}

// atLeast is the shortest that the workflow can take where the tasks that do not
// stand apart have so many CPUs: no stage is shorter than its longest way, nor
// than its work shared out evenly.
func (s *search) atLeast(cpus int) time.Duration {
	cpus += len(s.apart)
	if s.CPUs > 0 {
		cpus = min(cpus, s.CPUs)
	}
	sum := s.Calibration.Request
	for i := range s.stages {
		st := &s.stages[i]
		sum += max(st.critical, st.total().cpu/time.Duration(cpus))
	}
	return sum
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
