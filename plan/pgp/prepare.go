package pgp

import (
	"errors"
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/chiron-faas/chiron/plan"
	"github.com/chiron-faas/chiron/predict"
	"github.com/chiron-faas/chiron/workflow"
)

// search is a Problem, prepared. Nothing of it changes while workers read it but
// the list of those that are idle.
type search struct {
	Problem
	mu           sync.Mutex
	idle         []*worker
	newPredictor func() (predictor, error)
	composition  composition
	conflicts    *plan.Conflicts
	limits       workflow.Limits
	stages       []stage
	groups       []group
	// least and last are the fewest and the most CPUs that are looked at.
	least, last int
	// native and waits say that tasks that run beside others compute without the
	// interpreter lock, or wait.
	native, waits bool
	// together are the tasks that are to share a wrap with others: they stay in
	// the first wrap of their group.
	together map[string]bool
}

// group is tasks without a conflict between them; tasks of two groups share no
// wrap. The first and largest group has wrap 1.
type group struct {
	tasks []string
	// width is the most of them that may run beside each other: M of Algorithm 2.
	width int
}

// predictor is what the search asks: a *predict.Predictor. It serves one
// goroutine at a time.
type predictor interface {
	Predict(*plan.Plan) (*predict.Prediction, error)
	Latency(*plan.Plan) (time.Duration, error)
	// StageLatency predicts one stage, by index; ProcessLatency one process of
	// such a stage as if it were alone in wrap 1.
	StageLatency(int, *plan.Plan) (time.Duration, error)
	ProcessLatency(int, plan.Mode, []int) (time.Duration, error)
}

func newSearch(p Problem) (*search, error) {
	tasks := p.Definition.Tasks()
	if len(tasks) == 0 {
		return nil, errors.New("the workflow has no Task state: there is nothing to place")
	}
	if len(tasks) > math.MaxUint16 {
		return nil, fmt.Errorf("the workflow has %d Task states: the search takes at most %d", len(tasks), math.MaxUint16)
	}
	s := &search{Problem: p, composition: compositionOf(p.Calibration), together: make(map[string]bool)}
	s.newPredictor = func() (predictor, error) {
		return predict.New(p.Definition, p.Profile, p.Calibration, predict.Options{CPUs: p.CPUs})
	}
	if p.Rules != nil {
		s.limits = p.Rules.Limits
	}
	groupOf := s.separate(tasks)
	for _, st := range p.Definition.Stages() {
		own, err := newStage(st, p.Profile, groupOf, len(s.groups))
		if err != nil {
			return nil, err
		}
		s.stages = append(s.stages, own)
		counts := make([]int, len(s.groups))
		for _, g := range own.groupOf {
			counts[g]++
		}
		beside := st.State.Width(nil)
		for g := range s.groups {
			s.groups[g].width = max(s.groups[g].width, min(beside, counts[g]))
		}
		if own.critical < own.total().duration { // something runs beside something
			for _, w := range own.work {
				s.native = s.native || w.cpu > w.lock
				s.waits = s.waits || w.duration > w.cpu || w.cpu > w.lock
			}
		}
	}
	s.least = len(s.groups)
	for _, g := range s.groups {
		s.last += max(1, g.width)
	}
	for _, most := range []int{p.CPUs, p.Budget} {
		if most > 0 {
			s.last = max(s.least, min(s.last, most))
		}
	}
	if n := s.limits.Wraps; n > 0 && len(s.groups) > n {
		return nil, fmt.Errorf("the conflicts between functions need %d wraps, and the project allows %d (limits: wraps)", len(s.groups), n)
	}
	return s, nil
}

// separate makes the groups and returns the group of each task.
func (s *search) separate(tasks []*workflow.State) map[string]int {
	names := make([]string, len(tasks))
	for i, t := range tasks {
		names[i] = t.Name
	}
	s.conflicts = plan.NewConflicts(s.Definition, s.Functions, s.Profile, s.Rules)
	found := s.conflicts.Groups(names)
	base := 0
	for i, g := range found {
		if len(g) > len(found[base]) {
			base = i
		}
	}
	s.groups = []group{{tasks: found[base]}}
	for i, g := range found {
		if i != base {
			s.groups = append(s.groups, group{tasks: g})
		}
	}
	of := make(map[string]int)
	for g := range s.groups {
		for _, name := range s.groups[g].tasks {
			of[name] = g
		}
	}
	for _, some := range s.conflicts.Together() {
		for _, name := range some {
			s.together[name] = true
		}
	}
	return of
}

// atLeast is the shortest that the workflow can take on so many CPUs: no stage
// is shorter than its longest way, nor than its work shared out evenly.
func (s *search) atLeast(cpus int) time.Duration {
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

// deal divides CPUs among the groups: each has one, the others go one by one to
// where they shorten the stages' bounds most.
func (s *search) deal(cpus int) []int {
	of := make([]int, len(s.groups))
	for g := range of {
		of[g] = 1
	}
	if len(of) == 1 {
		of[0] = max(1, min(cpus, s.groups[0].width))
		return of
	}
	for range cpus - len(of) {
		best, gain, load := -1, time.Duration(-1), time.Duration(0)
		for g := range of {
			if of[g] >= s.groups[g].width {
				continue
			}
			before := s.bound(of)
			of[g]++
			saved := before - s.bound(of)
			of[g]--
			var busy time.Duration
			for i := range s.stages {
				busy += s.stages[i].groups[g].cpu / time.Duration(of[g])
			}
			if saved > gain || saved == gain && busy > load {
				best, gain, load = g, saved, busy
			}
		}
		if best < 0 {
			break
		}
		of[best]++
	}
	return of
}

// bound is the sum of the stages where each group has so many CPUs.
func (s *search) bound(of []int) time.Duration {
	var sum time.Duration
	for i := range s.stages {
		var longest time.Duration
		for g, w := range s.stages[i].groups {
			longest = max(longest, w.duration, w.cpu/time.Duration(of[g]))
		}
		sum += longest
	}
	return sum
}
