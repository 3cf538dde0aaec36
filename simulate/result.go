package simulate

import (
	"slices"
	"time"

	"github.com/chiron-faas/chiron/internal/quantile"
)

// Result of a simulation: of the requests after the warm-up, and of the time from
// the first of them to the last one's arrival.
type Result struct {
	// Requests came; Answered and Refused of them are all of them.
	Requests, Answered, Refused int
	// Duration of what is reported.
	Duration time.Duration
	// Latencies from a request's arrival to its answer, ascending.
	Latencies []time.Duration
	// Waited is the mean time without a place in an instance, of answered requests.
	Waited time.Duration

	Instances Level
	// Starts of instances, and those that found no room, of Options.Min too; Room
	// says why, nil: all found room.
	Starts, NoRoom int
	Room           error
	// CPUs and Memory (bytes) that the instances have, those that start included.
	CPUs, Memory Level
	// CPUsUsed is how many are busy on average, MemoryUsed what is held, bytes.
	CPUsUsed   float64
	MemoryUsed Level
	// InSystem is how many requests wait or are inside, on average.
	InSystem float64

	// Whole is the whole simulation, warm-up and rest included.
	Whole Totals
}

// Level is something that goes up and down.
type Level struct {
	Mean float64 `json:"mean"`
	Peak float64 `json:"peak"`
}

// Totals of a whole simulation, for who checks it.
type Totals struct {
	Requests, Answered, Refused int
	// Length until the last answer.
	Length time.Duration
	// Crowd is the integral of the number of requests that wait or are inside;
	// Sojourns is the sum of the times from their arrival to their answer; Used is
	// the CPU time that they had. All in seconds.
	Crowd, Sojourns, Used float64
}

// Mean latency.
func (r *Result) Mean() time.Duration {
	if len(r.Latencies) == 0 {
		return 0
	}
	var sum float64 // many long ones are more than a Duration holds
	for _, l := range r.Latencies {
		sum += float64(l)
	}
	return time.Duration(sum / float64(len(r.Latencies)))
}

// Percentile of the latencies by nearest rank; 0: the mean, as in an SLO.
func (r *Result) Percentile(percentile float64) time.Duration {
	if percentile == 0 {
		return r.Mean()
	}
	return quantile.Nearest(r.Latencies, percentile)
}

// Over is how many answered requests took longer.
func (r *Result) Over(slo time.Duration) int {
	i, _ := slices.BinarySearch(r.Latencies, slo+1)
	return len(r.Latencies) - i
}

// meter measures while the simulation goes on.
type meter struct {
	result Result
	// cpus and memory of an instance.
	cpus   int
	memory int64

	instances, peakInstances int
	instanceTime             float64 // integral, ns
	resized                  int64

	inside, peakInside int
	insideTime         float64
	moved              int64

	crowded  int
	crowdAt  int64
	crowdSum float64

	starts, missing int
	short           int // of Options.Min
	room            error
	waited, used    float64

	isOpen bool
	from   int64
	before marks
	whole  Totals
}

// marks are what has been counted up to a moment.
type marks struct {
	instanceTime, insideTime, used, crowd float64
	starts, missing                       int
}

func (m *meter) marks(e *engine) marks {
	m.resize(e.now, 0)
	m.move(e.now, m.inside)
	m.crowd(e.now, 0)
	for _, in := range e.instances {
		if in != nil && in.ready {
			m.used += in.advance(e.now)
		}
	}
	return marks{m.instanceTime, m.insideTime, m.used, m.crowdSum, m.starts, m.missing}
}

// open begins what is reported.
func (m *meter) open(e *engine) {
	m.before = m.marks(e)
	m.peakInstances, m.peakInside = m.instances, m.inside
	m.isOpen, m.from = true, e.now
}

// close ends it. Where all requests come at one moment, their end does.
func (m *meter) close(e *engine) {
	if !m.isOpen || e.now == m.from && e.inside+e.queued() > 0 {
		return
	}
	m.isOpen = false
	after := m.marks(e)
	r := &m.result
	r.Duration = time.Duration(e.now - m.from)
	r.Starts, r.NoRoom, r.Room = after.starts-m.before.starts, after.missing-m.before.missing+m.short, m.room
	d := e.deployment
	r.Instances.Peak = float64(m.peakInstances)
	if r.Duration > 0 {
		length := float64(r.Duration)
		r.Instances.Mean = (after.instanceTime - m.before.instanceTime) / length
		r.CPUsUsed = (after.used - m.before.used) / length
		r.InSystem = (after.crowd - m.before.crowd) / length
		r.MemoryUsed.Mean = float64(d.Rest)*r.Instances.Mean + float64(d.PerRequest)*((after.insideTime-m.before.insideTime)/length)
	}
	r.MemoryUsed.Peak = float64(d.Rest)*float64(m.peakInstances) + float64(d.PerRequest)*float64(m.peakInside)
	r.CPUs = Level{r.Instances.Mean * float64(m.cpus), r.Instances.Peak * float64(m.cpus)}
	r.Memory = Level{r.Instances.Mean * float64(m.memory), r.Instances.Peak * float64(m.memory)}
}

func (m *meter) came(t ticket) {
	m.whole.Requests++
	if t.counts {
		m.result.Requests++
	}
}

func (m *meter) refuse(t ticket) {
	m.whole.Refused++
	if t.counts {
		m.result.Refused++
	}
}

// crowd counts requests that wait or are inside.
func (m *meter) crowd(now int64, by int) {
	m.crowdSum += float64(m.crowded) * float64(now-m.crowdAt)
	m.crowdAt = now
	m.crowded += by
}

func (m *meter) enter(now int64, t ticket, inside int) {
	if t.counts {
		m.waited += float64(now - t.arrived)
	}
	m.move(now, inside)
}

func (m *meter) leave(now int64, t ticket, inside int) {
	m.move(now, inside)
	m.whole.Answered++
	m.whole.Sojourns += float64(now-t.arrived) / 1e9
	if t.counts {
		m.result.Answered++
		m.result.Latencies = append(m.result.Latencies, time.Duration(now-t.arrived))
	}
}

func (m *meter) move(now int64, inside int) {
	m.insideTime += float64(m.inside) * float64(now-m.moved)
	m.moved, m.inside = now, inside
	m.peakInside = max(m.peakInside, inside)
}

// resize counts instances.
func (m *meter) resize(now int64, by int) {
	m.instanceTime += float64(m.instances) * float64(now-m.resized)
	m.resized = now
	m.instances += by
	m.peakInstances = max(m.peakInstances, m.instances)
}

func (m *meter) noRoom(err error) {
	m.missing++
	m.room = err
}

// result is what came of a simulation that is over.
func (e *engine) result() *Result {
	m := &e.meter
	m.close(e)
	m.marks(e)
	r := &m.result
	slices.Sort(r.Latencies)
	if r.Answered > 0 {
		r.Waited = time.Duration(m.waited / float64(r.Answered))
	}
	m.whole.Length, m.whole.Crowd, m.whole.Used = time.Duration(e.now), m.crowdSum/1e9, m.used/1e9
	r.Whole = m.whole
	return r
}
