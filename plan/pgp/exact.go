package pgp

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/chiron-faas/chiron/plan"
)

// exact finds the best of all partitions of a board's stage, if that takes less
// than limit, by branch and bound: tasks are placed one by one, those that compute
// longest first, and a branch of the tree is cut where what its processes compute
// takes as long as the best so far. It begins with what the board has.
//
// Processes that are alike are tried once: of those without a task only the
// first gets one. They are alike, in a stage that is put together from its
// processes, if they have one mode: they begin at different times, and whichever
// takes longest gets the earliest. Tasks of one kind are placed in order.
func (b *board) exact(ctx context.Context, limit time.Duration) error {
	n := len(b.sets)
	e := exactly{
		board: b, ctx: ctx, masks: make([]uint32, n), busy: make([]time.Duration, n), longest: make([]time.Duration, n),
		slotOf: make([]int, len(b.st.names)), patterns: make(map[uint32][]time.Duration),
		known: make(map[plan.Mode]*[1 << MaxExact]time.Duration),
	}
	for _, sl := range b.sh.slots {
		if e.known[sl.mode] == nil {
			e.known[sl.mode] = new([1 << MaxExact]time.Duration)
		}
	}
	e.best = min(b.score.latency, limit)
	begins := b.w.s.composition.begins(b.sh, b.st)
	if !b.composed {
		clear(begins) // a branch may have begun elsewhere
	}
	for j := range n {
		alike := slices.IndexFunc(b.sh.slots, func(other slot) bool { return e.alike(other, b.sh.slots[j]) })
		if alike < 0 {
			alike = j
		}
		e.class = append(e.class, alike)
	}
	for j := range n {
		begin := begins[j]
		for k := range n {
			if e.class[k] == e.class[j] {
				begin = min(begin, begins[k])
			}
		}
		e.begin = append(e.begin, begin)
	}
	for t := range b.st.names {
		e.order = append(e.order, t)
	}
	slices.SortStableFunc(e.order, func(x, y int) int {
		return cmp.Or(cmp.Compare(b.st.work[y].cpu, b.st.work[x].cpu), cmp.Compare(b.st.kinds[x], b.st.kinds[y]))
	})
	if err := e.place(0); err != nil || e.found == nil {
		return err
	}
	sets := make([][]int, n)
	for j, mask := range e.found {
		sets[j] = e.set(mask)
	}
	if b.composed {
		return b.reset(sets)
	}
	b.sets = sets
	var err error
	b.score, err = b.whole(sets)
	return err
}

// exactly is one run of exact.
type exactly struct {
	*board
	ctx    context.Context
	order  []int // of tasks
	slotOf []int // by task that has been placed
	// by process: the tasks that it has so far, a bit each; class is the first
	// process that is alike, begin the earliest of the class.
	masks         []uint32
	busy, longest []time.Duration
	class         []int
	begin         []time.Duration
	// known are the ends of processes, by tasks, for each mode; patterns the
	// offsets, by which processes have tasks.
	known    map[plan.Mode]*[1 << MaxExact]time.Duration
	patterns map[uint32][]time.Duration
	best     time.Duration
	found    []uint32 // the best sets; nil: none is better than what there was
	nodes    int
}

// alike says whether two processes can stand for each other.
func (e *exactly) alike(x, y slot) bool {
	s := e.w.s
	free := len(s.together) == 0 && s.limits.Memory == 0
	if e.composed {
		return free && x.mode == y.mode && x.group == y.group && s.composition.parent == 0
	}
	return free && x.wrap == y.wrap && x.mode == plan.Pool && y.mode == plan.Pool && e.st.flat
}

// set of a mask's tasks in the order of their start.
func (e *exactly) set(mask uint32) []int {
	var set []int
	for t := range e.st.names {
		if mask>>t&1 == 1 {
			set = append(set, t)
		}
	}
	e.st.inOrder(set)
	return set
}

// place gives a process to each task from the i-th on.
func (e *exactly) place(i int) error {
	if e.nodes++; e.nodes%1024 == 0 && e.ctx.Err() != nil {
		return context.Cause(e.ctx)
	}
	if i == len(e.order) {
		return e.leaf()
	}
	t := e.order[i]
	w := e.st.work[t]
	first := 0
	if i > 0 && e.st.kinds[t] == e.st.kinds[e.order[i-1]] {
		first = e.slotOf[e.order[i-1]]
	}
	var opened uint32 // classes of which an empty process has been tried
	for j := range e.masks {
		if e.best <= e.floor {
			return nil // nothing is better
		}
		if e.masks[j] == 0 {
			if opened>>e.class[j]&1 == 1 {
				continue
			}
			opened |= 1 << e.class[j]
		}
		if j < first || !e.may(t, j) || e.composed && e.begin[j]+max(e.busy[j]+w.cpu, e.longest[j], w.duration) >= e.best {
			continue
		}
		longest := e.longest[j]
		e.masks[j] |= 1 << t
		if e.w.s.limits.Memory == 0 || e.fits(j, e.set(e.masks[j])) {
			e.slotOf[t] = j
			e.busy[j] += w.cpu
			e.longest[j] = max(longest, w.duration)
			if err := e.place(i + 1); err != nil {
				return err
			}
			e.longest[j] = longest
			e.busy[j] -= w.cpu
		}
		e.masks[j] &^= 1 << t
	}
	return nil
}

func (e *exactly) leaf() error {
	if !e.composed {
		sets := make([][]int, len(e.masks))
		for j, mask := range e.masks {
			sets[j] = e.set(mask)
		}
		got, err := e.whole(sets)
		if err == nil && got.latency < e.best {
			e.best, e.found = got.latency, slices.Clone(e.masks)
		}
		return err
	}
	var ends [MaxExact]time.Duration
	var pattern uint32
	for j, mask := range e.masks {
		if mask == 0 {
			continue
		}
		pattern |= 1 << j
		var err error
		if ends[j], err = e.endOf(j, mask); err != nil {
			return err
		}
		if ends[j] >= e.best {
			return nil
		}
	}
	offsets := e.offsetsOf(pattern)
	// Of each class, the processes that end last get the earliest places.
	var from [MaxExact]int // whose tasks a process gets
	var latency time.Duration
	for c := range e.masks {
		var places, sets [MaxExact]int
		k := 0
		for j := c; j < len(e.masks); j++ {
			if e.class[j] == c && e.masks[j] != 0 {
				places[k], sets[k] = j, j
				k++
			}
		}
		insert(places[:k], func(a, b int) bool { return offsets[a] < offsets[b] })
		insert(sets[:k], func(a, b int) bool { return ends[a] > ends[b] })
		for i, j := range places[:k] {
			latency = max(latency, ends[sets[i]]+offsets[j])
			from[j] = sets[i]
		}
		if latency >= e.best {
			return nil
		}
	}
	e.best, e.found = latency, make([]uint32, len(e.masks))
	for j := range e.masks {
		if e.masks[j] != 0 {
			e.found[j] = e.masks[from[j]]
		}
	}
	return nil
}

// insert sorts a few numbers.
func insert(list []int, before func(a, b int) bool) {
	for i := 1; i < len(list); i++ {
		for k := i; k > 0 && before(list[k], list[k-1]); k-- {
			list[k], list[k-1] = list[k-1], list[k]
		}
	}
}

func (e *exactly) endOf(process int, mask uint32) (time.Duration, error) {
	mode := e.sh.slots[process].mode
	known := &e.known[mode][mask]
	if *known == 0 {
		var err error
		if *known, err = e.w.end(e.st, mode, e.set(mask)); err != nil {
			return 0, err
		}
	}
	return *known, nil
}

func (e *exactly) offsetsOf(pattern uint32) []time.Duration {
	if offsets, ok := e.patterns[pattern]; ok {
		return offsets
	}
	used, offsets := make([]bool, len(e.masks)), make([]time.Duration, len(e.masks))
	for j := range used {
		used[j] = pattern>>j&1 == 1
	}
	e.w.s.composition.offsets(e.sh, used, offsets)
	e.patterns[pattern] = offsets
	return offsets
}
