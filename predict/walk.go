package predict

import (
	"slices"

	"github.com/chiron-faas/chiron/plan"
	"github.com/chiron-faas/chiron/workflow"
)

// group is what one agent works on for one caller: the stage's branches in wrap
// 1, the branches that another wrap was called for, or a single task there.
type group struct {
	wrap int // or outside
	// children are the nodes that it walks.
	children []int
	// node that waits for it; -1: the stage.
	node int
	// remote says that it was called from another wrap.
	remote bool
	// gathers says that its end collects the results of its wrap's processes.
	gathers bool
	home    int // the group whose forked processes it uses: itself, or another
	pending int
	// up and from are what the node of a single task had before it was called.
	up, from int
	// forked are the interpreters of this request, by process.
	forked []int
}

// outside is the wrap of a group that an orchestrator walks.
const outside = -1

// begin starts the stage in wrap 1, or in the orchestrator.
func (s *simulation) begin() {
	if s.orchestrated {
		s.launch(group{wrap: outside, node: -1, children: s.list(0)}, 0)
		return
	}
	// The branches of a Parallel that run here gather before those elsewhere.
	flat := s.stage.nodes[0].kind != workflow.BlockParallel
	s.launch(group{wrap: 0, node: -1, children: s.list(0), gathers: flat}, 0)
}

// list is []int{only} in the simulation's own memory.
func (s *simulation) list(only int) []int {
	s.lists = append(s.lists, only)
	return s.listed(len(s.lists) - 1)
}

// listed is what was appended to s.lists from its index first on. What is
// appended later does not touch it.
func (s *simulation) listed(first int) []int { return s.lists[first:len(s.lists):len(s.lists)] }

// launch starts a group after a delay.
func (s *simulation) launch(g group, delay int64) {
	g.home = len(s.groups)
	s.groups = append(s.groups, g)
	if delay == 0 {
		s.startGroup(g.home)
		return
	}
	s.at(s.now+delay, event{kind: startGroup, subject: g.home})
}

// startGroup has the group's processes forked and starts its nodes in their
// order.
func (s *simulation) startGroup(i int) {
	g := &s.groups[i]
	if g.wrap != outside {
		s.fork(i, g.children)
	}
	g.pending = len(g.children)
	for _, n := range g.children {
		s.nodes[n].up = -1
		s.start(n, i)
	}
}

// serves says whether process p has a task below one of the nodes.
func (s *simulation) serves(p int, nodes []int) bool {
	for _, n := range nodes {
		for t := s.stage.nodes[n].first; t < s.stage.nodes[n].end; t++ {
			if s.places[t].process == p {
				return true
			}
		}
	}
	return false
}

func (s *simulation) interpret(in interpreter) int {
	in.holder, in.handover = -1, never
	i := len(s.interpreters)
	if i < cap(s.interpreters) { // its memory
		was := &s.interpreters[:i+1][i]
		in.line, in.queue, in.called = was.line[:0], was.queue[:0], was.called[:0]
		in.begins = was.begins[:0]
	}
	s.interpreters = append(s.interpreters, in)
	return i
}

// start walks a node in group i from now on.
func (s *simulation) start(n, i int) {
	s.nodes[n].group = i
	switch s.stage.nodes[n].kind {
	case workflow.BlockTask:
		s.startTask(n, i)
	case workflow.BlockSeries:
		s.nodes[n].next = 1
		first := s.stage.nodes[n].children[0]
		s.nodes[first].up = n
		s.start(first, i)
	case workflow.BlockParallel:
		s.startParallel(n, i)
	}
}

// startParallel calls the wraps that hold whole branches (equation 2: the k-th
// wrap's call begins (k-1)·T_INV later, and T_RPC is paid beside its work), and
// walks the other branches here.
func (s *simulation) startParallel(n, i int) {
	here := s.groups[i].wrap
	children := s.stage.nodes[n].children
	first := len(s.lists)
	for _, c := range children {
		if o := s.nodes[c].owner; o == here || o < 0 || here == outside {
			s.lists = append(s.lists, c)
		}
	}
	local := s.listed(first)
	k := int64(0)
	calibration := &s.p.calibration
	for w := range len(s.wraps) - 1 {
		if w == here || here == outside { // an orchestrator calls tasks, not branches
			continue
		}
		first = len(s.lists)
		for _, c := range children {
			if s.nodes[c].owner == w {
				s.lists = append(s.lists, c)
			}
		}
		remote := s.listed(first)
		if len(remote) == 0 {
			continue
		}
		k++
		s.nodes[n].pending++
		s.launch(group{wrap: w, node: n, children: remote, remote: true, gathers: true}, k*int64(calibration.INV)+int64(calibration.RPC)/2)
	}
	if len(local) == 0 {
		return
	}
	s.nodes[n].pending++
	// The first Parallel of a group uses the processes that the group forked.
	inner := len(s.groups)
	s.groups = append(s.groups, group{wrap: here, node: n, children: local, gathers: n == 0 && here != outside, home: s.groups[i].home, pending: len(local)})
	for _, c := range local {
		s.nodes[c].up = -1
		s.start(c, inner)
	}
}

// startTask starts a task's thread in its process, or calls its wrap.
func (s *simulation) startTask(n, i int) {
	t := s.stage.nodes[n].first
	calibration := &s.p.calibration
	pl := s.places[t]
	here := pl.wrap == s.groups[i].wrap
	g := &s.groups[i]
	goesOn := s.rows[t] > 0 && here && !(g.remote && g.node == n) // in the call of the task before
	if here && !goesOn && calibration.Agent > 0 {
		// Before anything points to a thread: more threads may move them all.
		s.work(thread{job: calls, cpu: -1, domain: s.homes[pl.wrap], left: int64(calibration.Agent)})
	}
	th := &s.threads[t-s.stage.first]
	th.up = n
	if th.activity == "" {
		s.become(t-s.stage.first, Start)
	}
	if !here {
		called := group{wrap: pl.wrap, node: n, children: s.list(n), remote: true, up: s.nodes[n].up, from: i}
		s.launch(called, int64(calibration.INV)+s.rpc()/2)
		return
	}
	home := &s.groups[s.groups[i].home]
	in := -1
	for _, f := range home.forked {
		if s.interpreters[f].process == pl.process {
			in = f
		}
	}
	if in < 0 {
		if s.pools[pl.process] < 0 {
			s.pools[pl.process] = s.interpret(interpreter{process: pl.process, group: -1, up: true})
		}
		in = s.pools[pl.process]
	}
	th.interpreter = in
	x := &s.interpreters[in]
	if !x.up {
		x.queue = append(x.queue, t)
		return
	}
	begin := s.now
	// A pool process and one that has been running get a call; the first call
	// of a fork is in T_Startup, that of a child that waited is Standby.
	switch {
	case goesOn:
		s.enter(in, t, begin+int64(calibration.Row))
		return
	case x.group >= 0 && s.processes[x.process].mode == plan.Standby && (x.started == 0 || s.now == x.ready):
		begin += int64(calibration.Standby)
	case x.group < 0 || s.now > x.ready:
		begin += int64(calibration.Dispatch)
	}
	s.schedule(in, t, begin)
}

// schedule starts a task's thread in a process that is up: at a time, or when
// the thread before it has been started.
func (s *simulation) schedule(i, t int, begin int64) {
	if x := &s.interpreters[i]; x.started > 0 {
		begin = max(begin, x.latest+int64(s.p.calibration.ThreadStart))
	}
	s.enter(i, t, begin)
}

// enter is a task's begin in a process, at a time.
func (s *simulation) enter(i, t int, begin int64) {
	x := &s.interpreters[i]
	x.started++
	x.latest = begin
	th := &s.threads[t-s.stage.first]
	proc := &s.processes[x.process]
	th.cpu, th.domain = proc.cpu, proc.domain
	if x.group >= 0 {
		th.last, x.last = x.last, 0 // its main thread's; the others are new
	}
	th.periods = s.periodsIn(x, t)
	s.due(x, t, begin)
}

// periodsIn are the task's periods in a process: those of a first call where it
// was forked for this request and has not called the function yet.
func (s *simulation) periodsIn(x *interpreter, t int) []period {
	task := &s.p.tasks[t]
	if x.group < 0 || slices.Contains(x.called, task.functionIndex) {
		return task.periods
	}
	x.called = append(x.called, task.functionIndex)
	return task.cold
}

// rpc is what calling another wrap costs: an exchange with it, or one with the
// gateway and one of the gateway's with the wrap.
func (s *simulation) rpc() int64 {
	if s.orchestrated {
		return 2 * int64(s.p.calibration.RPC)
	}
	return int64(s.p.calibration.RPC)
}

// nodeDone tells a node's end to whatever waits for it.
func (s *simulation) nodeDone(n int) {
	up := s.nodes[n].up
	if up < 0 {
		s.childDone(s.nodes[n].group)
		return
	}
	// The node that waits is a series.
	series := &s.nodes[up]
	children := s.stage.nodes[up].children
	if series.next == len(children) {
		s.nodeDone(up)
		return
	}
	child := children[series.next]
	series.next++
	s.nodes[child].up = up
	s.start(child, series.group)
}

// childDone counts a group's nodes down. Its end costs T_IPC for each further
// process of its wrap (equation 3), and the way back where it was called.
func (s *simulation) childDone(i int) {
	g := &s.groups[i]
	g.pending--
	if g.pending > 0 {
		return
	}
	cost := int64(0)
	calibration := &s.p.calibration
	if g.gathers {
		used := int64(0)
		for p := s.wraps[g.wrap]; p < s.wraps[g.wrap+1]; p++ {
			if s.serves(p, g.children) {
				used++
			}
		}
		cost += max(0, used-1) * int64(calibration.IPC)
	}
	s.endForks(i)
	if g.remote {
		cost += s.rpc() - s.rpc()/2
	}
	if cost == 0 {
		s.groupDone(i)
		return
	}
	s.at(s.now+cost, event{kind: endGroup, subject: i})
}

// groupDone tells a group's end to the node that waits for it.
func (s *simulation) groupDone(i int) {
	n := s.groups[i].node
	switch {
	case n < 0:
		s.done = true
	case s.stage.nodes[n].kind == workflow.BlockTask:
		// The call of a single task: the node is done where it was called from.
		s.nodes[n].up, s.nodes[n].group = s.groups[i].up, s.groups[i].from
		s.nodeDone(n)
	default:
		s.nodes[n].pending--
		if s.nodes[n].pending == 0 {
			s.nodeDone(n)
		}
	}
}
