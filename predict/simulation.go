package predict

import (
	"math"
	"slices"
	"time"

	"github.com/chiron-faas/chiron/plan"
	"github.com/chiron-faas/chiron/profile"
	"github.com/chiron-faas/chiron/workflow"
)

// simulation plays one stage of one plan. All times are ns from the stage's
// begin. Its parts: walk.go follows the tree of the stage through wraps as the
// agents do, fork.go starts and ends forked processes, lock.go is the interpreter
// lock, processor.go deals out the CPUs.
type simulation struct {
	layout
	p     *Predictor
	stage *stage

	now int64
	// events that are due at a known time, a heap.
	events eventHeap
	order  int // of events that were added
	// threads, one for each task of the stage: threads[t-stage.first]; behind
	// them those that fork and end processes.
	threads []thread
	// running are the indices of the threads that are on a CPU or queue for it.
	running []int
	// shared says that the CPUs must be shared out anew.
	shared bool

	groups       []group
	interpreters []interpreter
	zygotes      []zygote // by wrap
	begins       []dueBegin
	// shuffle is the state of the draws of the order in which threads begin; 0:
	// the plan's order.
	shuffle uint64
	// lingering are standby processes that have done their stage.
	lingering []leftover
	// left is the work that the stage before has left behind.
	left []leftover
	// pools maps a pool process to its interpreter; -1: none yet.
	pools []int
	nodes []nodeState // by node of the stage
	done  bool
	// lists is the memory of the groups' lists.
	lists []int

	processor processor
	alone     []int // the CPUs' numbers
	recording bool
	spans     []span
	recorder  *recorder // of what has a CPU; nil: nobody asks
}

// thread runs one task, or the work of a process' start or end.
type thread struct {
	job         job
	interpreter int
	up          int      // node of the task
	periods     []period // of the task
	next        int      // index of the period that it is in
	// passing says that it needs the lock for no time at all, between two
	// periods of which none is a cpu period.
	passing bool
	// cpu that it is pinned to, of all; -1: any of the domain's.
	cpu, domain int
	// left of that period, ns of CPU.
	left int64
	// rate of progress: num/den, where it has a CPU; num is 0 where it has none.
	num, den int64
	// wants says that it wants a CPU, woke that it has just begun to, lined that it
	// is in the processor's line (lineUp's own); on is the one that it has, from 1;
	// 0: none, since queued. had is how long it has had one.
	wants, woke, lined bool
	on                 int
	had, queued        int64
	// home is the CPU in whose queue it is, last the one that it had last and waker
	// the one that its waker had, from 1; 0: not known, or none.
	home, last, waker int
	activity          Activity
	since             int64 // of activity
}

// span is a Span by thread.
type span struct {
	thread     int
	activity   Activity
	start, end int64
}

// never is the time of what does not happen.
const never = math.MaxInt64

// run simulates a stage under the plan that was laid out, and returns how long
// it takes.
func (s *simulation) run(p *Predictor, st *stage, record bool) time.Duration {
	s.p, s.stage, s.recording = p, st, record
	s.now, s.order, s.done = 0, 0, false
	s.events = s.events[:0]
	s.running, s.shared = s.running[:0], false
	s.spans = s.spans[:0]
	s.groups, s.interpreters, s.lists = s.groups[:0], s.interpreters[:0], s.lists[:0]
	s.begins, s.lingering = s.begins[:0], s.lingering[:0]
	s.readyZygotes()
	s.readyProcessor()
	s.threads = slices.Grow(s.threads[:0], st.end-st.first)[:st.end-st.first]
	clear(s.threads)
	s.nodes = slices.Grow(s.nodes[:0], len(st.nodes))[:len(st.nodes)]
	s.describe()
	s.pools = slices.Grow(s.pools[:0], len(s.processes))[:len(s.processes)]
	for i := range s.pools {
		s.pools[i] = -1
	}
	s.resume()
	s.begin()
	for !s.done {
		s.step()
	}
	s.leave()
	return time.Duration(s.now)
}

// step advances to the next moment at which anything changes. What happens at
// the same moment happens in this order: periods end, by thread; events, by
// their order; lock holders are asked to let go, by interpreter.
func (s *simulation) step() {
	if s.shared {
		s.share()
	}
	next := int64(never)
	if len(s.events) > 0 {
		next = s.events[0].at
	}
	// Most threads that run have one rate: of those the one with the least left
	// ends first, and all progress alike, which saves the divisions.
	var num, den, left int64
	for _, t := range s.running {
		th := &s.threads[t]
		if th.num == 0 || th.num == num && th.den == den && th.left >= left {
			continue
		}
		num, den, left = th.num, th.den, th.left
		next = min(next, s.now+(left*den+num-1)/num)
	}
	for i := range s.interpreters {
		next = min(next, s.interpreters[i].handover)
	}
	next = min(next, s.processor.turnEnd)
	if next == never {
		// Every thread waits for another: the simulation is wrong.
		panic("predict: the simulation of stage " + s.stage.name + " stands still")
	}
	elapsed := next - s.now
	s.now = next
	if s.recorder != nil {
		s.recorder.note(s, elapsed)
	}
	ended := false
	var progress int64
	num, den = 0, 0
	for _, t := range s.running {
		th := &s.threads[t]
		if th.num == 0 {
			continue // it waits for a CPU
		}
		if th.num != num || th.den != den {
			num, den = th.num, th.den
			progress = elapsed * num / den
		}
		th.left -= progress
		th.had += elapsed
		ended = ended || th.left <= 0
	}
	s.shared = s.shared || s.now == s.processor.turnEnd
	for ended {
		// The list changes under endPeriod: look again from the start.
		ended = false
		first := -1
		for _, t := range s.running {
			if s.threads[t].num > 0 && s.threads[t].left <= 0 && (first < 0 || t < first) {
				first = t
			}
		}
		if first >= 0 {
			ended = true
			s.endPeriod(first)
		}
	}
	for len(s.events) > 0 && s.events[0].at == s.now && !s.done {
		s.happen(s.events.pop())
	}
	for i := range s.interpreters {
		if s.interpreters[i].handover == s.now && !s.done {
			s.handOver(i)
		}
	}
}

// startThread lets a task's thread begin now.
func (s *simulation) startThread(t int) {
	th := &s.threads[t-s.stage.first]
	th.next = -1
	s.endPeriod(t - s.stage.first)
}

// endPeriod takes a thread from the period that it has finished to the next.
func (s *simulation) endPeriod(t int) {
	th := &s.threads[t]
	if th.job != runsTask {
		s.endJob(t)
		return
	}
	if th.passing {
		th.passing = false
		s.leaveCPU(t)
		s.release(th.interpreter, t, s.computesNext(th))
		s.beginPeriod(t)
		return
	}
	periods := th.periods
	was := th.next
	th.next++
	held := was >= 0 && periods[was].class == profile.CPU
	if was >= 0 && periods[was].class != profile.Block {
		s.leaveCPU(t)
	}
	if held {
		s.release(th.interpreter, t, s.computesNext(th))
	}
	if !held && (th.next == len(periods) || periods[th.next].class != profile.CPU) {
		// The host takes a call from its lane, and a call returns to Python, with
		// the lock held, however short that is.
		th.passing, th.left = true, 0
		s.acquire(th.interpreter, t)
		return
	}
	s.beginPeriod(t)
}

// computesNext says that the period that the thread has come to is a native one.
func (s *simulation) computesNext(th *thread) bool {
	return th.next < len(th.periods) && th.periods[th.next].class == profile.Native
}

// beginPeriod begins the period that the thread has come to, or ends its task.
func (s *simulation) beginPeriod(t int) {
	th := &s.threads[t]
	periods := th.periods
	if th.next == len(periods) {
		s.become(t, "")
		s.nodeDone(th.up)
		return
	}
	p := periods[th.next]
	th.left = p.work
	switch p.class {
	case profile.CPU:
		s.acquire(th.interpreter, t)
	case profile.Native:
		s.become(t, Native)
		s.enterCPU(t)
	default:
		s.become(t, Block)
		s.block(t, p)
	}
}

// become notes that a thread does something else from now on.
func (s *simulation) become(t int, a Activity) {
	th := &s.threads[t]
	if s.recording && th.activity != "" && s.now > th.since {
		if last := len(s.spans) - 1; last >= 0 && s.spans[last].thread == t && s.spans[last].activity == th.activity && s.spans[last].end == th.since {
			s.spans[last].end = s.now
		} else {
			s.spans = append(s.spans, span{thread: t, activity: th.activity, start: th.since, end: s.now})
		}
	}
	th.activity, th.since = a, s.now
}

// timeline returns the recorded spans of the stage, which begins at offset.
func (s *simulation) timeline(p *Predictor, pl *plan.Plan, st *stage, offset time.Duration) []Span {
	slices.SortStableFunc(s.spans, func(a, b span) int {
		if a.thread != b.thread {
			return a.thread - b.thread
		}
		return int(min(1, max(-1, a.start-b.start)))
	})
	out := make([]Span, len(s.spans))
	for i, sp := range s.spans {
		t := st.first + sp.thread
		proc := &s.processes[s.places[t].process]
		out[i] = Span{
			Task: p.tasks[t].name, Function: p.tasks[t].function,
			Wrap: pl.Wraps[proc.wrap].Name, Process: proc.index, Activity: sp.activity,
			Start: offset + time.Duration(sp.start), End: offset + time.Duration(sp.end),
		}
	}
	return out
}

// event is something that is due at a known time.
type event struct {
	at      int64
	order   int // of its making; earlier first at the same time
	kind    eventKind
	subject int
}

type eventKind uint8

const (
	startTask  eventKind = iota // subject: one of begins
	wake                        // a thread
	serve                       // a thread that waits for a server
	startGroup                  // a group
	endGroup                    // a group
	endChild                    // one of lingering
	grab                        // an interpreter
)

func (s *simulation) at(t int64, e event) {
	e.at, e.order = t, s.order
	s.order++
	s.events.push(e)
}

func (s *simulation) happen(e event) {
	switch e.kind {
	case startTask:
		s.startThread(s.begins[e.subject].task)
	case wake:
		s.endPeriod(e.subject)
	case serve:
		s.serve(e.subject)
	case startGroup:
		s.startGroup(e.subject)
	case endGroup:
		s.groupDone(e.subject)
	case endChild:
		s.endNow(s.lingering[e.subject])
	case grab:
		s.grab(e.subject)
	}
}

// eventHeap is a binary heap; container/heap would allocate for each event.
type eventHeap []event

func (h eventHeap) before(i, j int) bool {
	return h[i].at < h[j].at || h[i].at == h[j].at && h[i].order < h[j].order
}

func (h *eventHeap) push(e event) {
	*h = append(*h, e)
	for i := len(*h) - 1; i > 0; {
		parent := (i - 1) / 2
		if !h.before(i, parent) {
			return
		}
		(*h)[i], (*h)[parent] = (*h)[parent], (*h)[i]
		i = parent
	}
}

func (h *eventHeap) pop() event {
	old := *h
	top := old[0]
	last := len(old) - 1
	old[0] = old[last]
	*h = old[:last]
	for i := 0; ; {
		child := 2*i + 1
		if child >= last {
			return top
		}
		if child+1 < last && h.before(child+1, child) {
			child++
		}
		if !h.before(child, i) {
			return top
		}
		old[i], old[child] = old[child], old[i]
		i = child
	}
}

// nodeState is what a run knows of a node.
type nodeState struct {
	// owner is the wrap that holds all tasks below the node; -1: several do.
	owner int
	// group that walks the node.
	group int
	// up is the node that waits for it; -1: the group does.
	up int
	// next child of a series.
	next int
	// pending groups of a parallel.
	pending int
}

// describe finds the nodes' owners.
func (s *simulation) describe() {
	for i := len(s.stage.nodes) - 1; i >= 0; i-- { // children stand behind parents
		n := &s.stage.nodes[i]
		owner := s.places[n.first].wrap
		if n.kind != workflow.BlockTask {
			for _, c := range n.children {
				if s.nodes[c].owner != owner {
					owner = -1
				}
			}
		}
		s.nodes[i] = nodeState{owner: owner}
	}
}
