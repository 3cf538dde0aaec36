package pgp

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/chiron-faas/chiron/profile"
	"github.com/chiron-faas/chiron/workflow"
)

// stage is a stage's tasks; they are known by their index here, in the order of
// the definition. Nothing of it changes during a search.
type stage struct {
	index int // of the Predictor's stages
	// flat says that every task is a branch by itself.
	flat  bool
	names []string
	// kinds by task: tasks of one kind are interchangeable.
	kinds []uint16
	// rank by task is its place in the order in which a process starts its
	// tasks: in a flat stage the longest first, those of a kind one after the
	// other, so that a process is known by how many it has of each kind.
	rank []int
	work []work // by task
	// strands are the branches; the tasks of one stay together.
	strands []strand
	// byLength are the strands that compute longest first.
	byLength []strand
	// groupOf a task; see group.
	groupOf []int
	// critical is the longest way through the stage, if nothing waits for a lock
	// or a CPU.
	critical time.Duration
	// groups is the work of each group's tasks together; its duration is the
	// longest task's.
	groups []work
}

// strand is the tasks of a branch, or those of one group among them.
type strand struct {
	tasks []int
	group int
	work  work
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

func newStage(st workflow.Stage, measured *profile.Profile, groupOf map[string]int, groups int) (stage, error) {
	own := stage{index: st.Index, flat: true, groups: make([]work, groups)}
	if st.Root.Kind != workflow.BlockTask {
		for _, c := range st.Root.Children {
			own.flat = own.flat && st.Root.Kind == workflow.BlockParallel && c.Kind == workflow.BlockTask
		}
	}
	index := make(map[string]int)
	byProfile := make(map[profiled]uint16)
	for i, t := range st.Root.Tasks() {
		f, ok := measured.Task(t.Name)
		if !ok {
			return stage{}, fmt.Errorf("the profile has no task %q: profile again", t.Name)
		}
		index[t.Name] = i
		g := groupOf[t.Name]
		own.names = append(own.names, t.Name)
		own.work = append(own.work, workOf(f))
		own.groupOf = append(own.groupOf, g)
		kind, known := byProfile[profiled{f, g}]
		// Inside a longer branch a task's place matters: it is its own kind.
		if !known || !own.flat {
			kind = uint16(i)
			byProfile[profiled{f, g}] = kind
		}
		own.kinds = append(own.kinds, kind)
		w := own.work[i]
		w.duration = max(w.duration, own.groups[g].duration)
		own.groups[g] = work{own.groups[g].lock + w.lock, own.groups[g].cpu + w.cpu, w.duration}
	}
	own.order()
	for _, names := range st.Root.Strands() {
		byGroup := make([]strand, groups)
		for _, name := range names {
			t := index[name]
			s := &byGroup[own.groupOf[t]]
			s.tasks, s.group, s.work = append(s.tasks, t), own.groupOf[t], s.work.plus(own.work[t])
		}
		for _, s := range byGroup {
			if s.tasks != nil {
				own.strands = append(own.strands, s)
			}
		}
	}
	own.byLength = slices.Clone(own.strands)
	slices.SortStableFunc(own.byLength, func(a, b strand) int {
		return cmp.Or(cmp.Compare(b.work.cpu, a.work.cpu), cmp.Compare(b.work.duration, a.work.duration))
	})
	own.critical = own.longest(st.Root, index)
	return own, nil
}

// profiled is what tasks of a kind share.
type profiled struct {
	profile *profile.Function
	group   int
}

// order sets the ranks.
func (st *stage) order() {
	order := make([]int, len(st.names))
	for i := range order {
		order[i] = i
	}
	if st.flat {
		slices.SortStableFunc(order, func(a, b int) int {
			return cmp.Or(cmp.Compare(st.work[b].duration, st.work[a].duration), cmp.Compare(st.kinds[a], st.kinds[b]))
		})
	}
	st.rank = make([]int, len(order))
	for rank, t := range order {
		st.rank[t] = rank
	}
}

// inOrder puts a set into the order in which its tasks are started.
func (st *stage) inOrder(set []int) {
	slices.SortFunc(set, func(a, b int) int { return st.rank[a] - st.rank[b] })
}

// exchanged returns a set, in order, without one task and with another; -1: none.
func (st *stage) exchanged(set []int, out, in int) []int {
	kept := make([]int, 0, len(set)+1)
	for _, t := range set {
		if in >= 0 && st.rank[in] < st.rank[t] {
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

func (st *stage) named(set []int) []string {
	names := make([]string, len(set))
	for i, t := range set {
		names[i] = st.names[t]
	}
	return names
}

// workOf is what a function does at least: a call is cold where its process was
// forked for the request.
func workOf(f *profile.Function) work {
	warm, cold := sumOf(f.Periods), sumOf(f.ColdPeriods())
	return work{min(warm.lock, cold.lock), min(warm.cpu, cold.cpu), min(warm.duration, cold.duration)}
}

func sumOf(periods []profile.Period) work {
	var w work
	for _, p := range periods {
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

// cpu is the time that a process with these tasks computes: on one CPU it ends
// no sooner.
func (st *stage) cpu(set []int) time.Duration {
	var sum time.Duration
	for _, t := range set {
		sum += st.work[t].cpu
	}
	return sum
}
