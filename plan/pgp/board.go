package pgp

import (
	"encoding/binary"
	"math"
	"slices"
	"time"

	"github.com/chiron-faas/chiron/plan"
)

// board is one stage's tasks in the processes of a shape while Kernighan-Lin
// moves them.
type board struct {
	s  *search
	st *stage
	sh shape
	// sets of tasks by process, each in the order of the definition.
	sets  [][]int
	score score

	// composed says that every process has a CPU of its own and no branch has
	// more than a task: then processes do not touch each other, and ends holds
	// when each of them, and after them each group apart, ends by itself.
	composed bool
	ends     []time.Duration

	// For stages that are predicted whole: the plan, and how many predictions
	// may still be asked for.
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

// Bounds on predictions of a whole stage, for one board: a stage of 100 tasks
// takes about a millisecond. On random nested workflows ten times as many make
// plans 0.1 % faster.
const (
	wholePredictions  = 300
	sharedPredictions = 60
)

// maxEnds bounds what a stage remembers of its processes.
const maxEnds = 1 << 18

func (s *search) newBoard(st *stage, sh shape, sets [][]int) (*board, error) {
	b := &board{s: s, st: st, sh: sh, sets: sets}
	cpus := sh.cpus + len(s.apart)
	b.composed = st.flat && sh.pinned() && (s.CPUs == 0 || cpus <= s.CPUs)
	if b.composed {
		b.ends = make([]time.Duration, len(sets)+len(st.apart))
		for j := range sets {
			if err := b.end(j, sets[j], &b.ends[j]); err != nil {
				return nil, err
			}
		}
		for g, group := range st.apart {
			if err := b.end(0, group, &b.ends[len(sets)+g]); err != nil {
				return nil, err
			}
		}
		b.score = b.compose(sets)
		return b, nil
	}
	b.left, b.memo = sharedPredictions, make(map[string]time.Duration)
	switch {
	case s.Literal:
		b.left = math.MaxInt
	case sh.pinned():
		b.left = wholePredictions
	}
	names := make([][]string, sh.processes)
	b.plan = s.build(sh, names)
	var err error
	b.score, err = b.whole(sets)
	return b, err
}

// try scores the board as if processes x and y had these sets. What would be
// worse than limit may come back as hopeless.
func (b *board) try(x, y int, forX, forY []int, limit score) (score, error) {
	sets, ends := b.sets, b.ends
	oldX, oldY := sets[x], sets[y]
	if !b.composed {
		sets[x], sets[y] = forX, forY
		got, err := b.whole(sets)
		sets[x], sets[y] = oldX, oldY
		return got, err
	}
	var endX, endY time.Duration
	if err := b.end(x, forX, &endX); err != nil || endX > limit.latency {
		return hopeless, err
	}
	if err := b.end(y, forY, &endY); err != nil || endY > limit.latency {
		return hopeless, err
	}
	oldEndX, oldEndY := ends[x], ends[y]
	sets[x], sets[y], ends[x], ends[y] = forX, forY, endX, endY
	got := b.compose(sets)
	sets[x], sets[y], ends[x], ends[y] = oldX, oldY, oldEndX, oldEndY
	return got, nil
}

// put gives processes x and y these sets, which try has scored.
func (b *board) put(x, y int, forX, forY []int, is score) error {
	b.sets[x], b.sets[y], b.score = forX, forY, is
	if !b.composed {
		return nil
	}
	if err := b.end(x, forX, &b.ends[x]); err != nil {
		return err
	}
	return b.end(y, forY, &b.ends[y])
}

// begin is how late a process begins at the least, and 0 for one without tasks,
// which is not forked.
func (b *board) begin(process int) time.Duration {
	if b.sh.modeOf(process) == plan.Fork && len(b.sets[process]) > 1 {
		return b.s.Calibration.Startup
	}
	return 0
}

// cpu is the time that a process computes: on one CPU it ends no sooner.
func (b *board) cpu(set []int) time.Duration {
	var sum time.Duration
	for _, t := range set {
		sum += b.st.work[t].cpu
	}
	return sum
}

// end says when a process with these tasks ends if it is alone in wrap 1.
func (b *board) end(process int, set []int, to *time.Duration) error {
	*to = 0
	if len(set) == 0 {
		return nil
	}
	mode := b.sh.modeOf(process)
	key := make([]byte, 0, 1+2*len(set))
	key = append(key, mode[0])
	for _, t := range set {
		key = binary.LittleEndian.AppendUint16(key, b.st.kinds[t])
	}
	if known, ok := b.st.ends[string(key)]; ok {
		*to = known
		return nil
	}
	b.s.evaluations++
	var err error
	*to, err = b.s.predictor.PartLatency(b.st.index, &plan.Plan{Wraps: []plan.Wrap{{
		CPUs: 1, Processes: []plan.Process{{Mode: mode, Tasks: b.st.named(set)}},
	}}})
	if len(b.st.ends) >= maxEnds {
		clear(b.st.ends)
	}
	b.st.ends[string(key)] = *to
	return err
}

// compose puts a stage together from its processes' ends: equations 2 to 4.
func (b *board) compose(sets [][]int) score {
	c := b.s.Calibration
	out := score{}
	later := func(end time.Duration) {
		switch {
		case end > out.latency:
			out = score{end, 1}
		case end == out.latency:
			out.last++
		}
	}
	j, called := 0, time.Duration(0)
	for w, size := range b.sh.sizes {
		used, forked := time.Duration(0), time.Duration(0)
		for i := j; i < j+size; i++ {
			if len(sets[i]) > 0 {
				used++
			}
		}
		var around time.Duration // the wrap's own work and the call's
		if used > 0 {
			around = (used - 1) * c.IPC
			if w > 0 {
				called++
				around += called*c.INV + c.RPC
			}
		}
		for range size {
			if len(sets[j]) > 0 {
				end := b.ends[j] + around
				if b.sh.modeOf(j) == plan.Fork {
					end += forked * c.Block
					forked++
				}
				later(end)
			}
			j++
		}
	}
	for g, group := range b.st.apart {
		if len(group) > 0 {
			called++
			later(b.ends[j+g] + called*c.INV + c.RPC)
		}
	}
	return out
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
	b.s.evaluations++
	j := 0
	for w := range len(b.sh.sizes) {
		for i := range b.plan.Wraps[w].Processes {
			b.plan.Wraps[w].Processes[i].Tasks = b.st.named(sets[j])
			j++
		}
	}
	latency, err := b.s.predictor.StageLatency(b.st.index, b.plan)
	if err != nil {
		return hopeless, err
	}
	b.memo[string(key)] = latency
	return score{latency: latency}, nil
}

func (st *stage) named(set []int) []string {
	names := make([]string, len(set))
	for i, t := range set {
		names[i] = st.names[t]
	}
	return names
}

// exchanged returns set without one task and with another; -1: none.
func exchanged(set []int, out, in int) []int {
	kept := make([]int, 0, len(set)+1)
	for _, t := range set {
		if in >= 0 && in < t {
			kept, in = append(kept, in), -1
		}
		if t != out {
			kept = append(kept, t)
		}
	}
	if in >= 0 {
		kept = append(kept, in)
	}
	return slices.Clip(kept)
}
