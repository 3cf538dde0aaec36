package predict

import (
	"math"

	"github.com/chiron-faas/chiron/profile"
)

// algorithm1 is the paper's Algorithm 1: how long the threads of one process
// take under an interpreter lock. All times are ns.
//
// The paper's text leaves some of its steps open; they are taken so that the
// figures that its authors' planner answers on their published profiles come
// out (TestPublishedFigures):
//   - the main thread is one of the threads and computes for start before each
//     function's thread is there; it is gone when the last is (lines 4 and 5);
//   - a turn ends when the holder blocks, is over, or has had an interval; where
//     all others are blocked, an interval after the first of them wakes;
//   - the next turn is another thread's, the one with the least CPU time, the
//     earlier started one of equals (line 17). A thread that wakes during a turn
//     goes on with its next period at the turn's end;
//   - where all are blocked, the first that wakes goes on.
type algorithm1 struct {
	interval int64 // I, the switch interval
	start    int64 // of the main thread's CPU time, to start one thread
	// begin is what every thread computes before its function, and turn what
	// every change of the holder costs. The paper's text has neither, its test
	// bed has; a profile taken in the host that serves includes the first.
	begin, turn int64
}

// turnThread is a thread of Algorithm 1.
type turnThread struct {
	periods []period // from the one that it is in; none: it is over
	left    int64    // of the first
	cpu     int64    // how long it has held the lock
}

// exec is T_exec of equation 4 for functions with these periods.
func (a algorithm1) exec(functions [][]period) int64 {
	threads := make([]turnThread, 1, len(functions)+1) // the main thread is the first
	if a.start > 0 {
		threads[0] = newTurnThread(a.start*int64(len(functions)), nil)
	}
	now, holder := int64(0), 0
	for {
		for n := len(threads); n <= len(functions) && threads[0].cpu >= a.start*int64(n); n++ {
			threads = append(threads, newTurnThread(a.begin, functions[n-1]))
		}
		if now > 0 || threads[0].over() {
			holder = next(threads, holder)
		}
		switch others, wakes := company(threads, holder); {
		case holder < 0 && wakes == math.MaxInt64:
			return now
		case holder < 0: // all are blocked
			now += wakes
			pass(threads, -1, wakes)
		default:
			f := &threads[holder]
			length := a.interval
			switch {
			case holder == 0 && others == 0:
				length = max(a.interval, a.start)
			case others == 0:
				return now + f.rest() + a.turn
			case wakes < math.MaxInt64:
				length += wakes
			}
			length = min(length, f.left)
			now += length + a.turn
			f.cpu += length
			pass(threads, holder, length)
			f.advance(length)
		}
	}
}

// company is how many threads there are besides the holder; where all of those
// are blocked, wakes is when the first of them wakes, else it is without end.
func company(threads []turnThread, holder int) (others int, wakes int64) {
	runnable := false
	wakes = math.MaxInt64
	for i := range threads {
		switch t := &threads[i]; {
		case i == holder || t.over():
		case t.blocked():
			others++
			wakes = min(wakes, t.left)
		default:
			others++
			runnable = true
		}
	}
	if runnable {
		wakes = math.MaxInt64
	}
	return others, wakes
}

// next selects the holder of the next turn: another than last, unless that is the
// only one that is not blocked; -1: there is none.
func next(threads []turnThread, last int) int {
	best := -1
	for i := range threads {
		t := &threads[i]
		if i != last && !t.over() && !t.blocked() && (best < 0 || t.cpu < threads[best].cpu) {
			best = i
		}
	}
	if best < 0 && last >= 0 && !threads[last].over() && !threads[last].blocked() {
		return last
	}
	return best
}

// pass lets a turn's time pass for the blocked threads besides its holder.
func pass(threads []turnThread, holder int, length int64) {
	for i := range threads {
		if t := &threads[i]; i != holder && t.blocked() {
			t.advance(min(length, t.left))
		}
	}
}

// newTurnThread computes for begin and then has the periods. Native periods
// count as computing, so that only blocks end a turn.
func newTurnThread(begin int64, periods []period) turnThread {
	t := turnThread{periods: make([]period, 1, len(periods)+1)}
	t.periods[0] = period{class: profile.CPU, work: begin}
	for _, p := range periods {
		last := &t.periods[len(t.periods)-1]
		switch {
		case p.class == profile.Block:
			t.periods = append(t.periods, p)
		case last.class == profile.CPU:
			last.work += p.work
		default:
			t.periods = append(t.periods, period{class: profile.CPU, work: p.work})
		}
	}
	t.left = t.periods[0].work
	t.advance(0)
	return t
}

func (t *turnThread) over() bool    { return len(t.periods) == 0 }
func (t *turnThread) blocked() bool { return !t.over() && t.periods[0].class == profile.Block }

// rest is what is left of all periods.
func (t *turnThread) rest() int64 {
	rest := t.left
	for _, p := range t.periods[1:] {
		rest += p.work
	}
	return rest
}

// advance takes the thread through some of its current period, and on to the
// next where that is over.
func (t *turnThread) advance(length int64) {
	t.left -= length
	for t.left == 0 && !t.over() {
		if t.periods = t.periods[1:]; !t.over() {
			t.left = t.periods[0].work
		}
	}
}
