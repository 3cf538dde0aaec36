package pgp

import (
	"encoding/binary"
	"math"
	"slices"
	"time"

	"github.com/chiron-faas/chiron/plan"
)

// board is one stage's tasks in the processes of a shape while they are moved.
type board struct {
	w  *worker
	st *stage
	sh *shape
	// sets of tasks by process, each in the order of their start.
	sets  [][]int
	score score
	// floor is what the stage takes at least in this shape.
	floor time.Duration
	// taken are the tasks that the processes have of other stages, where a limit
	// of memory makes that matter.
	taken [][]string

	// composed says that every process has a CPU of its own and no branch has
	// more than a task: then processes do not touch each other. ends says when
	// each would end alone in wrap 1, busy how long it computes, offsets how much
	// later it ends here.
	composed bool
	ends     []time.Duration
	busy     []time.Duration
	used     []bool
	offsets  []time.Duration

	// For stages that are predicted whole: the plan, and how many predictions may
	// still be asked for.
	plan *plan.Plan
	left int
	memo map[string]time.Duration
}

// score of a board: its stage's latency, then how many processes end with it.
// Only once none of several that end last does, the stage ends sooner.
type score struct {
	latency time.Duration
	last    int
}

func (a score) better(b score) bool {
	return a.latency < b.latency || a.latency == b.latency && a.last < b.last
}

// hopeless is worse than any score.
var hopeless = score{latency: math.MaxInt64, last: math.MaxInt}

// Bounds on predictions of a whole stage, for one board, and on the tasks in all
// of them: a stage of 100 tasks takes 0.1 ms. On random nested workflows ten
// times as many make plans 0.1 % faster.
const (
	wholePredictions  = 300
	sharedPredictions = 60
	wholeTasks        = 6000
	sharedTasks       = 300
)

func (w *worker) newBoard(st *stage, sh *shape, taken [][]string, sets [][]int) (*board, error) {
	b := &board{w: w, st: st, sh: sh, sets: sets, taken: taken, floor: st.floor(sh, w.s.composition.begins(sh, st))}
	for _, set := range sets {
		st.inOrder(set)
	}
	b.composed = w.s.composes(st, sh)
	if b.composed {
		b.ends, b.busy = make([]time.Duration, len(sets)), make([]time.Duration, len(sets))
		b.used, b.offsets = make([]bool, len(sets)), make([]time.Duration, len(sets))
		return b, b.reset(sets)
	}
	b.memo = make(map[string]time.Duration)
	switch {
	case w.s.Method != Production:
		b.left = math.MaxInt
	case sh.pinned():
		b.left = min(wholePredictions, max(8, wholeTasks/len(st.names)))
	default:
		b.left = min(sharedPredictions, max(4, sharedTasks/len(st.names)))
	}
	b.plan = w.s.plan(filled{sh, make([][]string, len(sh.slots))})
	var err error
	b.score, err = b.whole(sets)
	return b, err
}

// composes says whether a stage is put together from its processes.
func (s *search) composes(st *stage, sh *shape) bool {
	return st.flat && sh.pinned() && (s.CPUs == 0 || sh.cpus() <= s.CPUs)
}

// reset gives all processes of a composed board these sets.
func (b *board) reset(sets [][]int) error {
	b.sets = sets
	for j, set := range sets {
		var err error
		if b.ends[j], err = b.w.end(b.st, b.sh.slots[j].mode, set); err != nil {
			return err
		}
		b.busy[j], b.used[j] = b.st.cpu(set), len(set) > 0
	}
	b.w.s.composition.offsets(b.sh, b.used, b.offsets)
	b.score = compose(b.ends, b.used, b.offsets)
	return nil
}

// compose is the score of processes that end so much later than alone.
func compose(ends []time.Duration, used []bool, offsets []time.Duration) score {
	out := score{}
	for j, end := range ends {
		if !used[j] {
			continue
		}
		switch end += offsets[j]; {
		case end > out.latency:
			out = score{end, 1}
		case end == out.latency:
			out.last++
		}
	}
	return out
}

// may says whether a process may have a task: its wrap is of the task's group,
// and of those that must share a wrap.
func (b *board) may(task, process int) bool {
	sl := &b.sh.slots[process]
	return sl.group == b.st.groupOf[task] && (sl.first || len(b.w.s.together) == 0 || !b.w.s.together[b.st.names[task]])
}

// fits says whether a process may have these tasks beside those of other stages:
// alone in a wrap it would keep to the limit of memory.
func (b *board) fits(process int, set []int) bool {
	limit := b.w.s.limits.Memory
	if limit <= 0 || len(set) == 0 {
		return true
	}
	tasks := append(slices.Clone(b.taken[process]), b.st.named(set)...)
	w := plan.Wrap{Processes: []plan.Process{{Tasks: tasks}}}
	return w.MemoryEstimate(b.w.s.Profile) <= limit
}

// try scores a board as if processes x and y had these sets. What would be worse
// than limit may come back as hopeless.
func (b *board) try(x, y int, forX, forY []int, limit score) (score, error) {
	if !b.fits(x, forX) || !b.fits(y, forY) {
		return hopeless, nil
	}
	if !b.composed {
		oldX, oldY := b.sets[x], b.sets[y]
		b.sets[x], b.sets[y] = forX, forY
		got, err := b.whole(b.sets)
		b.sets[x], b.sets[y] = oldX, oldY
		return got, err
	}
	oldEndX, oldEndY, usedX, usedY := b.ends[x], b.ends[y], b.used[x], b.used[y]
	b.used[x], b.used[y] = len(forX) > 0, len(forY) > 0
	changed := b.used[x] != usedX || b.used[y] != usedY
	if changed {
		b.w.s.composition.offsets(b.sh, b.used, b.offsets)
	}
	got := hopeless
	var err error
	if b.ends[x], err = b.w.end(b.st, b.sh.slots[x].mode, forX); err == nil && b.ends[x]+b.offsets[x] <= limit.latency {
		if b.ends[y], err = b.w.end(b.st, b.sh.slots[y].mode, forY); err == nil && b.ends[y]+b.offsets[y] <= limit.latency {
			got = compose(b.ends, b.used, b.offsets)
		}
	}
	b.ends[x], b.ends[y], b.used[x], b.used[y] = oldEndX, oldEndY, usedX, usedY
	if changed {
		b.w.s.composition.offsets(b.sh, b.used, b.offsets)
	}
	return got, err
}

// put gives processes x and y these sets, which try has scored.
func (b *board) put(x, y int, forX, forY []int, is score) error {
	b.sets[x], b.sets[y], b.score = forX, forY, is
	if !b.composed {
		return nil
	}
	for _, j := range []int{x, y} {
		var err error
		if b.ends[j], err = b.w.end(b.st, b.sh.slots[j].mode, b.sets[j]); err != nil {
			return err
		}
		b.busy[j], b.used[j] = b.st.cpu(b.sets[j]), len(b.sets[j]) > 0
	}
	b.w.s.composition.offsets(b.sh, b.used, b.offsets)
	return nil
}

// whole predicts the stage, unless it has been asked often enough.
func (b *board) whole(sets [][]int) (score, error) {
	key := make([]byte, 0, 64)
	for _, set := range sets {
		for _, t := range set {
			key = binary.LittleEndian.AppendUint16(key, b.st.kinds[t])
		}
		key = append(key, 0xff, 0xff) // no kind: newSearch takes fewer tasks
	}
	if known, ok := b.memo[string(key)]; ok {
		return score{latency: known}, nil
	}
	if b.left == 0 {
		return hopeless, nil
	}
	b.left--
	b.w.evaluations++
	j := 0
	for w := range b.plan.Wraps {
		for i := range b.plan.Wraps[w].Processes {
			b.plan.Wraps[w].Processes[i].Tasks = b.st.named(sets[j])
			j++
		}
	}
	latency, err := b.w.predictor.StageLatency(b.st.index, b.plan)
	if err != nil {
		return hopeless, err
	}
	b.memo[string(key)] = latency
	return score{latency: latency}, nil
}

// snapshot of the sets.
func (b *board) snapshot() [][]int { return slices.Clone(b.sets) }
