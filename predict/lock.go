package predict

import "slices"

// interpreter is one process while it serves this stage: a pool process, or one
// forked for a request. Its lock passes as CPython's does (Python/ceval_gil.c):
// a waiter sleeps for the switch interval and, where the lock has not changed
// hands in that time, asks the holder to let go, which it does at once; else it
// sleeps for another interval. The holder that was asked goes to the end of the
// line; one that lets go by itself (to block, to compute without the lock) wakes
// the first in line. A waiter that slept for an interval stands at the end of
// the line again.
type interpreter struct {
	process int // index in layout.processes
	group   int // that forked it; -1: a pool process
	// up says that it may start threads, which it may from ready on; until then
	// tasks wait in queue. A pool process is up from the begin.
	up    bool
	ready int64
	queue []int // tasks
	// last is the CPU, from 1, on which a forked process has begun.
	last int
	// called are the functions that a forked process has called.
	called []int
	// begins are those of its threads, indices of simulation.begins.
	begins []int
	// started counts its threads; latest is when the last of them starts.
	started int
	latest  int64

	holder int   // thread; -1: free
	held   int64 // since when
	line   []waiter
	// handover is when a waiter will ask; never: nobody will.
	handover int64
	// grab is when the waiter that was woken last has a CPU.
	grab int64
}

type waiter struct {
	thread int
	since  int64
}

// acquire takes the interpreter's lock for a thread, or puts it in line.
func (s *simulation) acquire(i, t int) {
	in := &s.interpreters[i]
	if in.holder < 0 {
		s.hold(i, t)
		return
	}
	s.become(t, Lock)
	in.line = append(in.line, waiter{thread: t, since: s.now})
	// The others ask when they did before: see setHandover.
	in.handover = min(in.handover, s.now+s.processes[in.process].interval)
}

func (s *simulation) hold(i, t int) {
	in := &s.interpreters[i]
	in.holder, in.held = t, s.now
	s.become(t, CPU)
	s.enterCPU(t)
	s.setHandover(i)
}

// halfTurn is how long, in the mean, a thread that becomes ready waits for a CPU on
// which another goes on that has had no more of it. Measured: beside a thread that
// computes with the lock, on one CPU, another that lets it go to compute d ms
// without it finds it taken in a share of d/4 of the cases (0.04 of 0.2 ms, 0.22
// of 0.8 ms); on two CPUs always, from 5 µs on.
const halfTurn = turn / 2

// release is the letting go by itself of a holder that goes on without the lock:
// on its CPU, or not. Who is first in line is woken and takes the lock, as soon as
// there is a CPU for it; until then it is free.
func (s *simulation) release(i, t int, computes bool) {
	in := &s.interpreters[i]
	in.holder = -1
	in.handover = never
	if len(in.line) == 0 {
		return
	}
	if computes && s.crowded(t) {
		in.grab = s.now + halfTurn
		s.at(in.grab, event{kind: grab, subject: i})
		return
	}
	s.processor.waker = s.threads[t].on
	s.hold(i, s.takeFirst(in))
	s.processor.waker = 0
}

// grab is the moment at which a waiter that was woken has a CPU.
func (s *simulation) grab(i int) {
	if in := &s.interpreters[i]; s.now == in.grab && in.holder < 0 && len(in.line) > 0 {
		s.hold(i, s.takeFirst(in))
	}
}

// crowded says that all CPUs that a thread may run on are taken while it computes.
func (s *simulation) crowded(t int) bool {
	th := &s.threads[t]
	if th.cpu >= 0 {
		return true
	}
	others := 0
	for _, r := range s.running {
		if r != t && s.threads[r].domain == th.domain {
			others++
		}
	}
	return others+1 >= len(s.domains[th.domain].cpus)
}

// handOver makes the holder let go because a waiter asked.
func (s *simulation) handOver(i int) {
	in := &s.interpreters[i]
	t := in.holder
	s.leaveCPU(t)
	first := s.takeFirst(in)
	s.become(t, Lock)
	in.line = append(in.line, waiter{thread: t, since: s.now})
	s.processor.waker = s.threads[t].on
	s.hold(i, first)
	s.processor.waker = 0
}

// takeFirst removes the first in line: who has been asleep longest without
// waking, since each waking puts a waiter at the end.
func (s *simulation) takeFirst(in *interpreter) int {
	interval := s.processes[in.process].interval
	best, longest := 0, int64(never)
	for k, w := range in.line {
		// since its last waking
		if asleep := w.since + (s.now-w.since)/interval*interval; asleep < longest {
			best, longest = k, asleep
		}
	}
	t := in.line[best].thread
	in.line = slices.Delete(in.line, best, best+1)
	return t
}

// setHandover finds the first moment at which a waiter has slept for an
// interval in which the lock stayed with its holder.
func (s *simulation) setHandover(i int) {
	in := &s.interpreters[i]
	interval := s.processes[in.process].interval
	in.handover = never
	for _, w := range in.line {
		begin := w.since // of the sleep after which it asks
		if begin < in.held {
			begin += (in.held - begin + interval - 1) / interval * interval
		}
		in.handover = min(in.handover, begin+interval)
	}
}
