package predict

// Linux keeps a queue for each CPU, and balances them slowly
// (kernel/sched/fair.c):
//
//   - A thread that wakes goes to the CPU that it had last, where that is idle, or
//     to another that is (select_idle_sibling); where none is, it waits in the queue
//     of the one that it had last. Who wakes it is still on its own CPU then: an
//     agent that calls five functions on two CPUs finds one idle for the first, and
//     the others wait where they last ran, perhaps all of them for the same.
//   - A process that is forked, and a thread that is started, goes where the fewest
//     are (sched_balance_find_dst_cpu).
//   - A CPU that becomes idle gives up looking for work where its idle times have
//     been short of late (sched_balance_newidle, avg_idle against
//     sched_migration_cost_ns, 0.5 ms), and between the wake-ups of a request they
//     are. It gets a thread from another's queue when a tick of that CPU wakes it to
//     balance (nohz_balancer_kick).
//
// Measured with the scheduler's trace points, FINRA-5 in three processes on two
// CPUs: of 24.4 ms of a request a CPU idled for 2 to 5 while a thread waited for
// the other, for 3.8, 3.9 and 7.3 ms at a time in one of them. With CPUs that take
// what there is at once, placements on two CPUs were predicted 5.6 % too short.

// balancing is how long, in the mean, a CPU is idle before it takes a thread from
// another's queue: to the next tick, or to the one after it, as measured.
const balancing = turn + turn/2

// late is balancing where requests are drawn. The mean request finds its threads
// well placed and CPUs that take what there is: most requests are near that, and
// some much slower, so that a mean of both would be neither.
func (s *simulation) late() int64 {
	if s.shuffle == 0 {
		return 0
	}
	return balancing
}

// idleFor finds an idle CPU that a thread gets now, -1 where there is none. Of a
// thread that woke it decides which CPU's queue it is in.
func (s *simulation) idleFor(t int, woke bool) int {
	q, th, may := &s.processor, &s.threads[t], s.mayUse(t)
	idle := func(c int) bool { return q.slots[c].thread < 0 }
	if !woke {
		// A pinned thread may use its home alone.
		if idle(th.home) || th.cpu >= 0 && s.makeRoom(th.home) {
			return th.home
		}
		for _, c := range may {
			if idle(c) && max(q.slots[c].idle, q.slots[th.home].queue) <= s.now-s.late() {
				return c
			}
		}
		return -1
	}
	if th.last == 0 {
		th.last = 1 + s.firstCPU(th, may)
	}
	th.home = th.last - 1
	if idle(th.home) && th.last != th.waker {
		return th.home
	}
	for _, c := range may {
		if idle(c) && c+1 != th.waker {
			return c
		}
	}
	if idle(th.home) || th.cpu >= 0 && s.makeRoom(th.home) {
		return th.home
	}
	return -1
}

// pulled is when an idle CPU takes a waiting thread from the queue that it is in;
// never: no other CPU that it may use is idle.
func (s *simulation) pulled(t int) int64 {
	th := &s.threads[t]
	at := int64(never)
	for _, c := range s.mayUse(t) {
		if slot := &s.processor.slots[c]; slot.thread < 0 && c != th.home {
			at = min(at, max(slot.idle, s.processor.slots[th.home].queue)+s.late())
		}
	}
	return at
}

// noteWaiting notes since when threads wait for each CPU.
func (s *simulation) noteWaiting() {
	q := &s.processor
	for c := range q.slots {
		q.slots[c].waits = false
	}
	for _, t := range q.line {
		q.slots[s.threads[t].home].waits = true
	}
	for c := range q.slots {
		if at := &q.slots[c]; !at.waits {
			at.queue = never
		} else if at.queue == never {
			at.queue = s.now
		}
	}
}

// firstCPU is the CPU that a thread had last where nothing tells. One that is new
// goes where the fewest are; one that lives had any in an earlier request, for much
// has run since then: it is drawn where requests are, and counts as new where they
// are not, for the mean request finds no CPU taken by chance.
func (s *simulation) firstCPU(th *thread, may []int) int {
	isNew := th.job == starts || th.job == runsTask && s.interpreters[th.interpreter].group >= 0
	if s.shuffle != 0 && !isNew {
		return may[s.drawn(len(may))]
	}
	best, fewest := may[0], len(s.threads)+1
	for _, c := range may {
		n := 0
		for _, r := range s.running {
			if other := &s.threads[r]; other != th && (other.on == c+1 || other.on == 0 && !other.woke && other.home == c) {
				n++
			}
		}
		if n < fewest {
			best, fewest = c, n
		}
	}
	return best
}

// makeRoom moves the thread that has a CPU to another that is idle, if it may run
// there.
func (s *simulation) makeRoom(c int) bool {
	q := &s.processor
	t := q.slots[c].thread
	if s.threads[t].cpu >= 0 {
		return false
	}
	for _, other := range s.mayUse(t) {
		if q.slots[other].thread < 0 {
			until := q.slots[c].until
			s.vacate(c)
			s.occupy(other, t)
			q.slots[other].until = until
			return true
		}
	}
	return false
}
