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
	// called are the functions that a forked process has called.
	called []int
	// started counts its threads; latest is when the last of them starts.
	started int
	latest  int64

	holder int   // thread; -1: free
	held   int64 // since when
	line   []waiter
	// handover is when a waiter will ask; never: nobody will.
	handover int64
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

// release is a holder's letting go by itself.
func (s *simulation) release(i int) {
	in := &s.interpreters[i]
	in.holder = -1
	if len(in.line) == 0 {
		in.handover = never
		return
	}
	s.hold(i, s.takeFirst(in))
}

// handOver makes the holder let go because a waiter asked.
func (s *simulation) handOver(i int) {
	in := &s.interpreters[i]
	t := in.holder
	s.leaveCPU(t)
	first := s.takeFirst(in)
	s.become(t, Lock)
	in.line = append(in.line, waiter{thread: t, since: s.now})
	s.hold(i, first)
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
