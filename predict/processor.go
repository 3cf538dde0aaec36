package predict

import "math"

// processor shares CPUs among threads as a fair scheduler does in the long run
// (Linux' CFS and EEVDF): each gets as much as any other that may run on the
// same CPUs. Slices of time are not simulated.
type processor struct {
	pinned   []int // threads by CPU
	unpinned []int // threads by domain
	// share of a pinned thread by CPU, and of an unpinned one by domain.
	cpuNum, cpuDen       []int64
	domainNum, domainDen []int64
	open                 []bool // CPUs whose share is not settled
}

func (s *simulation) enterCPU(t int) {
	s.running = append(s.running, t)
	s.shared = true
}

func (s *simulation) leaveCPU(t int) {
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

// share gives every running thread its rate: the max-min fair one.
func (s *simulation) share() {
	s.shared = false
	q := &s.processor
	q.pinned, q.unpinned = zeroed(q.pinned, s.cpus), zeroed(q.unpinned, len(s.domains))
	for _, t := range s.running {
		if th := &s.threads[t]; th.cpu >= 0 {
			q.pinned[th.cpu]++
		} else {
			q.unpinned[th.domain]++
		}
	}
	q.cpuNum, q.cpuDen = zeroed(q.cpuNum, s.cpus), zeroed(q.cpuDen, s.cpus)
	q.domainNum, q.domainDen = zeroed(q.domainNum, len(s.domains)), zeroed(q.domainDen, len(s.domains))
	q.open = zeroed(q.open, s.cpus)
	busy := 0
	for d := range s.domains {
		busy += q.settle(d, s.domains[d].cpus)
	}
	// Parts of a thousand: integers add up the same on every machine.
	beside := int64(math.Round(s.p.calibration.Beside*1000)) * int64(max(0, busy-1))
	for _, t := range s.running {
		th := &s.threads[t]
		if th.cpu >= 0 {
			th.num, th.den = q.cpuNum[th.cpu], q.cpuDen[th.cpu]
		} else {
			th.num, th.den = q.domainNum[th.domain], q.domainDen[th.domain]
		}
		if beside > 0 {
			th.num, th.den = th.num*1000, th.den*(1000+beside)
		}
	}
}

// settle finds the shares in one domain. All its threads would get cpus/threads
// of a CPU; a CPU whose pinned threads alone cannot have as much is theirs, and
// the rest is shared by the rest. It returns how many CPUs compute.
func (q *processor) settle(d int, cpus []int) (busy int) {
	open, threads := int64(len(cpus)), int64(q.unpinned[d])
	for _, c := range cpus {
		q.open[c] = true
		threads += int64(q.pinned[c])
	}
	for again := true; again; {
		again = false
		for _, c := range cpus {
			n := int64(q.pinned[c])
			if q.open[c] && n > 0 && (q.unpinned[d] == 0 || n*open > threads) {
				q.open[c], q.cpuNum[c], q.cpuDen[c] = false, 1, n
				open, threads = open-1, threads-n
				again = true
			}
		}
	}
	num, den := open, threads
	if num >= den {
		num, den = 1, 1
	}
	q.domainNum[d], q.domainDen[d] = num, den
	for _, c := range cpus {
		if q.open[c] {
			q.cpuNum[c], q.cpuDen[c] = num, den
		}
		if q.pinned[c] > 0 {
			busy++
		}
	}
	return min(len(cpus), busy+q.unpinned[d])
}

// zeroed returns n zero values in b's memory where that suffices.
func zeroed[T any](b []T, n int) []T {
	if cap(b) < n {
		return make([]T, n)
	}
	b = b[:n]
	clear(b)
	return b
}
