package simulate

import "math"

// instance is a plan's wraps with the requests inside.
type instance struct {
	placed []int // nodes of the wraps
	// ready is false while it starts.
	ready bool
	// inside are the requests that are not answered yet.
	inside int
	runs   []run
	at     int64 // when runs was brought up to date
	// used is the demand for each resource, valid while rates are made.
	used []float64
}

// run is a request inside an instance, or what goes on behind its answer.
type run struct {
	request *Request
	ticket  ticket
	phase   int
	// left of the phase, ns; rate is how fast it gets on, at most 1.
	left, rate float64
}

// ticket is a request as its caller sees it.
type ticket struct {
	arrived int64
	// counts says that it is reported.
	counts bool
}

// finished is what may be left of a phase that has ended, ns: times are whole
// nanoseconds, and rates are not.
const finished = 1e-3

// advance brings the requests up to date and returns the CPU time that they have
// had, ns.
func (in *instance) advance(now int64) (cpu float64) {
	elapsed := float64(now - in.at)
	in.at = now
	if elapsed == 0 {
		return 0
	}
	for i := range in.runs {
		r := &in.runs[i]
		progress := float64(elapsed * r.rate)
		r.left -= progress
		cpu += float64(progress * r.request.cpus[r.phase])
	}
	return cpu
}

// turn takes requests whose phase has ended to their next one, and appends to
// answered those that are answered thereby.
func (in *instance) turn(answered []ticket) []ticket {
	kept := in.runs[:0]
	for i := range in.runs {
		r := in.runs[i]
		for r.left < finished && r.phase < len(r.request.Phases) {
			r.phase++
			if r.phase == r.request.Answered {
				answered = append(answered, r.ticket)
			}
			if r.phase < len(r.request.Phases) {
				r.left = float64(r.request.Phases[r.phase].Length)
			}
		}
		if r.phase < len(r.request.Phases) {
			kept = append(kept, r)
		}
	}
	in.runs = kept
	return answered
}

// share says how fast each request gets on, and when the first phase ends.
func (in *instance) share(capacity []int) (due int64) {
	if len(in.runs) == 0 {
		return never
	}
	clear(in.used)
	for i := range in.runs {
		r := &in.runs[i]
		for _, d := range r.request.Phases[r.phase].Demands {
			in.used[d.Resource] += d.Threads
		}
	}
	first := math.Inf(1)
	for i := range in.runs {
		r := &in.runs[i]
		r.rate = 1
		for _, d := range r.request.Phases[r.phase].Demands {
			if all := float64(capacity[d.Resource]); in.used[d.Resource] > all && d.Threads > 0 {
				r.rate = min(r.rate, all/in.used[d.Resource])
			}
		}
		first = min(first, r.left/r.rate)
	}
	return in.at + int64(math.Ceil(min(first, float64(horizon)))) // and look again
}
