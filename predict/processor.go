package predict

import (
	"cmp"
	"math"
	"slices"

	"github.com/chiron-faas/chiron/profile"
)

// processor deals CPUs out as Linux does (EEVDF, kernel/sched/fair.c, from 6.6 on;
// CFS before was alike at this grain): a thread has its CPU until it waits, or
// until its turn ends while another that waits for that CPU has had no more CPU
// time; a thread that wakes and has had clearly less takes the CPU at once. Who has
// had least comes first. Which CPU a thread waits for is balance.go's.
//
// Turns matter: of five functions that are called at once on one CPU, the last
// begins after four turns. A processor that all share evenly has all of them under
// way at once, and the sleeps of one overlap the computing of others by more than
// they do: 34 ms were predicted so where 40 were measured.
type processor struct {
	slots []slot // by CPU
	line  []int  // of threads that want a CPU and have none
	// turnEnd is when the next turn ends for which somebody waits, or an idle CPU
	// takes a thread from another's queue; never: neither will be.
	turnEnd int64
	// waker is the CPU, from 1, on which a thread wakes others just now.
	waker int
	// beside is Calibration.Beside in parts of a thousand: integers add up the
	// same on every machine.
	beside int64
}

// slot is a CPU.
type slot struct {
	thread int   // -1: idle
	until  int64 // end of its turn
	idle   int64 // since when it has no thread
	queue  int64 // since when threads wait for it; never: none does
	waits  bool  // whether one does: noteWaiting's own
}

const (
	// turn is how long a thread has a CPU while others wait: a tick of a kernel of
	// 250 Hz (Debian's and Ubuntu's CONFIG_HZ), for a turn ends at one. Measured:
	// 4.1 to 4.4 ms in traces of processes that begin together on one CPU.
	turn = 4_000_000
	// ahead is how much more CPU time a thread must have had than one that wakes,
	// to lose its CPU at once: about a slice of EEVDF (base_slice_ns, 0.7 ms and
	// more by the number of CPUs).
	ahead = 1_000_000
)

// enterCPU lets a thread want a CPU.
func (s *simulation) enterCPU(t int) {
	th := &s.threads[t]
	th.wants, th.woke = true, true
	if th.on == 0 {
		th.num, th.queued, th.waker = 0, s.now, s.processor.waker
	}
	s.running = append(s.running, t)
	s.shared = true
}

// leaveCPU lets it want none. Where it wants one again at the same moment, it
// keeps the one that it had.
func (s *simulation) leaveCPU(t int) {
	s.threads[t].wants = false
	for i, r := range s.running {
		if r == t {
			last := len(s.running) - 1
			s.running[i] = s.running[last]
			s.running = s.running[:last]
			s.shared = true
			return
		}
	}
}

// share deals the CPUs out anew.
func (s *simulation) share() {
	s.shared = false
	q := &s.processor
	for c := range q.slots {
		if t := q.slots[c].thread; t >= 0 && !s.threads[t].wants {
			s.vacate(c)
		}
	}
	s.lineUp()
	if len(q.line) > 0 {
		s.endTurns()
		s.fill()
	}
	s.noteWaiting()
	q.turnEnd = never
	for _, t := range q.line {
		at := &q.slots[s.threads[t].home]
		if at.until <= s.now { // nobody waited for it when its turn ended
			at.until = s.now + turn
		}
		q.turnEnd = min(q.turnEnd, at.until, s.pulled(t))
	}
	s.setRates()
	if s.recording {
		s.noteQueues()
	}
}

// lineUp puts all in line that want a CPU and have none. Who was in it stays where
// it was: what is nearly in order is sorted soon.
func (s *simulation) lineUp() {
	q := &s.processor
	was := q.line
	q.line = q.line[:0]
	for _, t := range was {
		if th := &s.threads[t]; th.wants && th.on == 0 {
			th.lined = true
			q.line = append(q.line, t)
		}
	}
	for _, t := range s.running {
		if th := &s.threads[t]; th.on == 0 && !th.lined {
			q.line = append(q.line, t)
		}
	}
	for _, t := range q.line {
		s.threads[t].lined = false
	}
}

// noteQueues notes which threads wait for a CPU, and which have one again.
func (s *simulation) noteQueues() {
	for _, t := range s.running {
		th := &s.threads[t]
		switch {
		case th.job != runsTask:
		case th.on == 0 && th.activity != Queue:
			s.become(t, Queue)
		case th.on > 0 && th.activity == Queue && !th.passing && th.periods[th.next].class == profile.Native:
			s.become(t, Native)
		case th.on > 0 && th.activity == Queue:
			s.become(t, CPU)
		}
	}
}

// endTurns takes the CPU from threads whose turn has ended, where one that waits
// for it has had no more.
func (s *simulation) endTurns() {
	q := &s.processor
	for c := range q.slots {
		at := &q.slots[c]
		if at.thread < 0 || at.until > s.now {
			continue
		}
		had := s.threads[at.thread].had
		wanted, waits := false, false
		for _, t := range q.line {
			if th := &s.threads[t]; !th.woke && th.home == c {
				wanted, waits = true, waits || th.had <= had
			}
		}
		if !wanted {
			continue // what goes on elsewhere does not begin a turn here
		}
		at.until = s.now + turn
		if waits {
			s.threads[at.thread].woke = false
			q.line = append(q.line, at.thread)
			s.vacate(c)
		}
	}
}

// fill gives CPUs to threads in line, to those that have had least first, and of
// those to who has waited longest.
func (s *simulation) fill() {
	q := &s.processor
	slices.SortFunc(q.line, func(a, b int) int {
		x, y := &s.threads[a], &s.threads[b]
		return cmp.Or(cmp.Compare(x.had, y.had), cmp.Compare(x.queued, y.queued), cmp.Compare(a, b))
	})
	waiting := 0
	for i := 0; i < len(q.line); i++ {
		t := q.line[i]
		th := &s.threads[t]
		woke := th.woke
		th.woke = false
		idle := s.idleFor(t, woke)
		most := q.slots[th.home].thread
		switch {
		case idle >= 0:
			s.occupy(idle, t)
		case woke && most >= 0 && s.threads[most].had > th.had+ahead:
			q.line = append(q.line, most)
			s.vacate(th.home)
			s.occupy(th.home, t)
		default:
			q.line[waiting] = t
			waiting++
		}
	}
	q.line = q.line[:waiting]
}

func (s *simulation) occupy(c, t int) {
	at := &s.processor.slots[c]
	at.thread, at.until = t, s.now+turn
	s.threads[t].on, s.threads[t].last = c+1, c+1
}

func (s *simulation) vacate(c int) {
	at := &s.processor.slots[c]
	th := &s.threads[at.thread]
	th.on, th.num, th.queued, th.home = 0, 0, s.now, c
	at.thread, at.idle = -1, s.now
}

// mayUse are the CPUs that a thread may run on.
func (s *simulation) mayUse(t int) []int {
	if th := &s.threads[t]; th.cpu < 0 {
		return s.domains[th.domain].cpus
	} else {
		return s.alone[th.cpu : th.cpu+1]
	}
}

// setRates says how fast the threads that have a CPU get on: slower, the more
// other CPUs compute too.
func (s *simulation) setRates() {
	busy := int64(0)
	for c := range s.processor.slots {
		if s.processor.slots[c].thread >= 0 {
			busy++
		}
	}
	beside := s.processor.beside * max(0, busy-1)
	for _, t := range s.running {
		if th := &s.threads[t]; th.on > 0 {
			th.num, th.den = 1000, 1000+beside
		}
	}
}

// readyProcessor makes all CPUs idle.
func (s *simulation) readyProcessor() {
	q := &s.processor
	q.beside = int64(math.Round(s.p.calibration.Beside * 1000))
	q.slots = slices.Grow(q.slots[:0], s.cpus)[:s.cpus]
	for c := range q.slots {
		q.slots[c] = slot{thread: -1, idle: -balancing, queue: never}
	}
	for c := len(s.alone); c < s.cpus; c++ {
		s.alone = append(s.alone, c)
	}
	q.turnEnd, q.waker, q.line = never, 0, q.line[:0]
}
