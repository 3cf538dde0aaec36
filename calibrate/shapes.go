package calibrate

import (
	"fmt"
	"time"

	"github.com/chiron-faas/chiron/plan"
)

// The numbers that the shapes are made with: over them the slopes are taken.
// One is the sequence of one in each case.
var (
	sequenceLengths = []int{1, 6}
	rowLengths      = []int{6}
	threadWidths    = []int{2, 8}
	poolWidths      = []int{2, 4}
	forkWidths      = []int{1, 2, 4}
	standbyWidths   = []int{1}
	wrapWidths      = []int{2, 3, 4}
	exitWidths      = []int{1, 4}
)

// standbyPause lies between requests to standby processes: the child that one took
// has been replaced by then (3 to 10 ms), and no other forks.
const standbyPause = 20 * time.Millisecond

// constantShapes are the shapes that the constants are taken from. Their
// function sleeps for a millisecond: between two calls the agent and the other
// processes fall asleep, as they do in real workflows. A function that returns
// at once finds everything awake, and the constants come out at about half.
func constantShapes() []*shape {
	var all []*shape
	for _, n := range sequenceLengths {
		all = append(all, sequence(doze, n))
	}
	for _, n := range rowLengths {
		all = append(all, row(repeat(doze, n)...))
	}
	for _, n := range threadWidths {
		all = append(all, threads(repeat(doze, n)...))
	}
	for _, n := range poolWidths {
		all = append(all, each(plan.Pool, repeat(doze, n)...))
	}
	for _, n := range forkWidths {
		all = append(all, each(plan.Fork, repeat(doze, n)...))
	}
	for _, n := range standbyWidths {
		s := each(plan.Standby, repeat(doze, n)...)
		s.pause = standbyPause
		all = append(all, s)
	}
	for _, n := range wrapWidths {
		all = append(all, spreadOut(repeat(doze, n)...))
	}
	for _, n := range exitWidths {
		all = append(all, forkedOnOne(n, false), forkedOnOne(n, true))
	}
	return all
}

// forkedOnOne is n forked processes on one CPU, and behind them, where it is so
// asked, a function that computes while they end.
func forkedOnOne(n int, then bool) *shape {
	s := each(plan.Fork, repeat(doze, n)...)
	s.name, s.oneCPU = key("end", n), true
	if then {
		s.name = key("end-then-compute", n)
		s.stages = append(s.stages, stage{functions: []string{spin}})
		s.wraps[0] = append(s.wraps[0], process{plan.Pool, []string{taskName(1, 0)}})
	}
	return s
}

// togetherName is the shape that shows whether functions of one request are slow
// at the same time: it computes several times in a row.
const togetherName = "together"

func togetherShape() *shape {
	s := row(repeat(spin, 4)...)
	s.name = togetherName
	return s
}

// besideName is the shape that shows how much what computes on one CPU slows what
// computes on another: functions alone and by twos, in turn, within milliseconds.
const besideName = "beside"

func besideShape() *shape {
	s := &shape{name: besideName}
	var first, second []string
	for range 2 {
		n := len(s.stages)
		s.stages = append(s.stages, stage{functions: []string{spin}}, stage{[]string{spin, spin}, true})
		first = append(first, taskName(n, 0), taskName(n+1, 0))
		second = append(second, taskName(n+1, 1))
	}
	s.wraps = [][]process{{{plan.Pool, first}, {plan.Pool, second}}}
	return s
}

// soloName is the check shape that runs each function alone.
const soloName = "solo"

// checkShapes are workflows that compute and sleep, to hold predictions
// against. The first runs each function alone: its profile.
func checkShapes() []*shape {
	mix := []string{spin, doze, spin, doze}
	solo := sequence(spin, 1)
	solo.name = soloName
	named := func(name string, s *shape) *shape {
		s.name = name
		return s
	}
	return []*shape{
		solo,
		named("mixed-row", row(mix...)),
		named("mixed-threads", threads(mix...)),
		named("mixed-pool", each(plan.Pool, mix[:3]...)),
		named("mixed-fork", each(plan.Fork, mix[:3]...)),
		named("mixed-wraps", spreadOut(mix[:2]...)),
	}
}

func repeat(function string, n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = function
	}
	return all
}

// branches names the n tasks of the first stage.
func branches(n int) []string {
	all := make([]string, n)
	for b := range all {
		all[b] = taskName(0, b)
	}
	return all
}

func key(kind string, n int) string { return fmt.Sprintf("%s-%d", kind, n) }

// sequence is n tasks, one after the other, in two pool processes by turns: tasks
// that follow each other in one would be one call of it.
func sequence(function string, n int) *shape {
	s := &shape{name: key("sequence", n)}
	tasks := make([][]string, min(n, 2))
	for i := range n {
		s.stages = append(s.stages, stage{functions: []string{function}})
		tasks[i%2] = append(tasks[i%2], taskName(i, 0))
	}
	s.wraps = [][]process{nil}
	for _, t := range tasks {
		s.wraps[0] = append(s.wraps[0], process{plan.Pool, t})
	}
	return s
}

// row is tasks one after the other in one pool process, which are one call of it.
func row(functions ...string) *shape {
	s := &shape{name: key("row", len(functions))}
	var tasks []string
	for i, f := range functions {
		s.stages = append(s.stages, stage{functions: []string{f}})
		tasks = append(tasks, taskName(i, 0))
	}
	s.wraps = [][]process{{{plan.Pool, tasks}}}
	return s
}

// threads is a Parallel whose tasks share one pool process.
func threads(functions ...string) *shape {
	return &shape{
		name:   key("threads", len(functions)),
		stages: []stage{{functions, true}},
		wraps:  [][]process{{{plan.Pool, branches(len(functions))}}},
	}
}

// each is a Parallel whose tasks have a process each, in one wrap.
func each(mode plan.Mode, functions ...string) *shape {
	s := &shape{
		name:   key(string(mode), len(functions)),
		stages: []stage{{functions, true}},
		wraps:  [][]process{{}},
	}
	for _, t := range branches(len(functions)) {
		s.wraps[0] = append(s.wraps[0], process{mode, []string{t}})
	}
	return s
}

// spreadOut is a Parallel whose tasks have a wrap each.
func spreadOut(functions ...string) *shape {
	s := &shape{name: key("wraps", len(functions)), stages: []stage{{functions, true}}}
	for _, t := range branches(len(functions)) {
		s.wraps = append(s.wraps, []process{{plan.Pool, []string{t}}})
	}
	return s
}
