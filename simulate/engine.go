package simulate

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"
)

// Bounds of Options.
const (
	// MaxRequests that are simulated: each leaves its latency in memory, 8 bytes.
	MaxRequests = 20_000_000
	MaxNodes    = 1_000_000
	// MaxInstances of a deployment.
	MaxInstances = 1_000_000
	// MaxNodeCPUs and MaxNodeMemory (bytes) bound what a node has.
	MaxNodeCPUs   = 100_000
	MaxNodeMemory = int64(1e15)
)

// Defaults of Options.
const (
	// DefaultQueue is how many requests wait at a gateway (gateway.DefaultQueue).
	DefaultQueue = 1024
	// DefaultIdle is how long an instance stays that is not needed
	// (fleet.DefaultIdle).
	DefaultIdle = time.Minute
	// DefaultColdStart is an instance's start with a new interpreter, as "chiron
	// bench cold" measured it (docs/scaling.md).
	DefaultColdStart = 255 * time.Millisecond
	// leastPlaces is how many requests a gateway lets through at least
	// (gateway.DefaultConcurrency).
	leastPlaces = 64
	// firstPause and longestPause bound the pauses after starts that failed, as in
	// gateway/fleet.
	firstPause   = time.Second
	longestPause = 30 * time.Second
	// leastWait is the shortest pause between two looks for what is not needed.
	leastWait = time.Millisecond
)

// Options of Run.
type Options struct {
	// Nodes is their number, Node what each has.
	Nodes int
	Node  Node
	// Arrivals say when requests come, Requests how many are simulated at most.
	Arrivals Arrivals
	Requests int
	// WarmUp is how many of the first are not reported.
	WarmUp int
	// Min and Max bound the number of instances. Min run from the begin, as far as
	// there is room; where there is none for one, Run fails. Max 0: as many as there
	// is room for.
	Min, Max int
	// Idle is how long an instance beyond Min stays that is not needed; 0:
	// DefaultIdle.
	Idle time.Duration
	// ColdStart is what the start of an instance takes; 0: DefaultColdStart;
	// negative: no time.
	ColdStart time.Duration
	// Queue is the most requests that wait when as many are let through as all
	// instances may work on; more are answered 429. 0: DefaultQueue; negative:
	// none may wait.
	Queue int
	Seed  uint64
}

func (o *Options) check() error {
	switch {
	case o.Nodes < 1 || o.Nodes > MaxNodes:
		return fmt.Errorf("simulate: %d nodes: give 1 to %d", o.Nodes, MaxNodes)
	case o.Node.CPUs < 1 || o.Node.CPUs > MaxNodeCPUs:
		return fmt.Errorf("simulate: %d CPUs in a node: give 1 to %d", o.Node.CPUs, MaxNodeCPUs)
	case o.Node.Memory < 0 || o.Node.Memory > MaxNodeMemory:
		return fmt.Errorf("simulate: %d bytes of memory in a node: give 0 (enough) to %d", o.Node.Memory, MaxNodeMemory)
	case o.Arrivals == nil:
		return errors.New("simulate: nothing says when requests come")
	case o.Requests < 1 || o.Requests > MaxRequests:
		return fmt.Errorf("simulate: %d requests: give 1 to %d", o.Requests, MaxRequests)
	case o.WarmUp < 0 || o.WarmUp >= o.Requests:
		return fmt.Errorf("simulate: %d of %d requests warm up: leave some to report", o.WarmUp, o.Requests)
	case o.Min < 0 || o.Max < 0 || o.Min > MaxInstances || o.Max > MaxInstances || o.Max > 0 && o.Max < o.Min:
		return fmt.Errorf("simulate: %d to %d instances: give a range from 0 to %d", o.Min, o.Max, MaxInstances)
	case o.Idle < 0 || o.Idle > horizon || o.ColdStart > horizon:
		return fmt.Errorf("simulate: an idle time of %v and a cold start of %v: give less than %v", o.Idle, o.ColdStart, horizon)
	}
	if o.Idle == 0 {
		o.Idle = DefaultIdle
	}
	if o.ColdStart == 0 {
		o.ColdStart = DefaultColdStart
	}
	o.ColdStart = max(o.ColdStart, 0)
	if o.Queue == 0 {
		o.Queue = DefaultQueue
	}
	o.Queue = max(o.Queue, 0)
	return nil
}

// The sources of moments; those of instances follow, by place.
const (
	arrivals = iota
	shrinks
	retries
	firstInstance
)

// engine is one simulation.
type engine struct {
	options    Options
	deployment *Deployment
	requests   []Request
	dice       *rand.Rand

	clock clock
	now   int64

	nodes     *nodes
	instances []*instance // by place; nil: none
	lowest    int         // no place below it is free
	members   *members
	need      need
	starting  int
	retryAt   int64
	pause     time.Duration

	inside   int // requests
	waiting  []ticket
	head     int // of waiting
	places   int
	came     int // requests
	answered []ticket

	meter meter
}

// Run simulates a deployment. It fails where the options are wrong, where a wrap
// fits on no node (*CapacityError), and where ctx ends.
func Run(ctx context.Context, d *Deployment, o Options) (*Result, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	if err := d.check(); err != nil {
		return nil, err
	}
	e := &engine{options: o, deployment: d, dice: rand.New(rand.NewPCG(o.Seed, requestStream))}
	e.prepare()
	if err := e.begin(); err != nil {
		return nil, err
	}
	for n := 0; ; n++ {
		if n%4096 == 0 && ctx.Err() != nil {
			return nil, ctx.Err()
		}
		source, at := e.clock.next()
		if source < 0 || e.over() {
			break
		}
		e.now = at
		e.happen(source)
	}
	if e.came <= o.WarmUp {
		return nil, fmt.Errorf("simulate: only %d requests came, and %d of them warm up: report more", e.came, o.WarmUp)
	}
	return e.result(), nil
}

// prepare counts the CPUs of phases and bounds the number of instances by what the
// nodes have.
func (e *engine) prepare() {
	d, o := e.deployment, &e.options
	e.requests = make([]Request, len(d.Requests))
	for i, r := range d.Requests {
		r.cpus = make([]float64, len(r.Phases))
		for k, p := range r.Phases {
			for _, demand := range p.Demands {
				if demand.Resource < len(d.Wraps) {
					r.cpus[k] += demand.Threads
				}
			}
		}
		e.requests[i] = r
	}
	cpus := 0
	for _, w := range d.Wraps {
		cpus += w.CPUs
	}
	room := max(1, o.Nodes*o.Node.CPUs/cpus)
	if o.Max == 0 {
		o.Max = max(min(room, MaxInstances), o.Min)
	}
	e.nodes = newNodes(o.Nodes, o.Node)
	e.members = newMembers(o.Max)
	e.need.idle = int64(o.Idle)
	e.places = max(d.Limit*o.Max, leastPlaces)
	e.meter.cpus, e.meter.memory = cpus, 0
	for _, w := range d.Wraps {
		e.meter.memory += w.Memory
	}
}

// begin starts the least instances, and the first request's way.
func (e *engine) begin() error {
	for n := range max(1, e.options.Min) {
		placed, err := e.nodes.place(e.deployment.Wraps)
		if err != nil {
			if n == 0 {
				return fmt.Errorf("an instance has no room: %w", err)
			}
			e.meter.short, e.meter.room = e.options.Min-n, err
			break
		}
		if e.options.Min == 0 {
			e.nodes.free(e.deployment.Wraps, placed) // it could run
			break
		}
		e.instances = append(e.instances, e.instance(placed))
		e.instances[n].ready = true
		e.members.set(n, 0)
		e.meter.instances++
	}
	e.meter.peakInstances = e.meter.instances
	e.clock.set(shrinks, int64(e.options.Idle))
	e.nextArrival()
	return nil
}

func (e *engine) instance(placed []int) *instance {
	return &instance{placed: placed, at: e.now, used: make([]float64, len(e.deployment.Resources))}
}

// over says that all requests have come and left.
func (e *engine) over() bool {
	return e.clock.place[arrivals] < 0 && e.inside == 0 && e.queued() == 0
}

func (e *engine) queued() int { return len(e.waiting) - e.head }

func (e *engine) happen(source int) {
	switch source {
	case arrivals:
		e.arrive()
	case shrinks:
		e.shrink()
	case retries:
		e.clock.set(retries, never)
		if e.queued() > 0 {
			e.grow()
		}
	default:
		place := source - firstInstance
		if in := e.instances[place]; in.ready {
			e.work(place)
		} else {
			e.started(place)
		}
	}
}

// nextArrival sets when the next request comes.
func (e *engine) nextArrival() {
	at, more := time.Duration(0), false
	if e.came < e.options.Requests {
		at, more = e.options.Arrivals.Next()
	}
	if !more {
		e.clock.set(arrivals, never)
		if e.came > 0 {
			e.meter.close(e)
		}
		return
	}
	e.clock.set(arrivals, max(int64(at), e.now))
}

// arrive lets a request come: the way of gateway.enter and fleet.Acquire.
func (e *engine) arrive() {
	t := ticket{arrived: e.now, counts: e.came >= e.options.WarmUp}
	if e.came == e.options.WarmUp {
		e.meter.open(e)
	}
	e.came++
	e.meter.came(t)
	switch {
	case e.inside+e.queued() >= e.places+e.options.Queue:
		e.meter.refuse(t)
	case e.queued() == 0 && e.enter(t):
	case e.members.running()+e.starting == 0 && e.now < e.retryAt:
		e.meter.refuse(t)
	default:
		e.meter.crowd(e.now, 1)
		e.waiting = append(e.waiting, t)
		e.grow()
	}
	e.nextArrival()
}

// enter gives a request a place in an instance; false: all are full.
func (e *engine) enter(t ticket) bool {
	place := e.members.choose(max(e.need.most(e.now), e.options.Min), e.deployment.Limit)
	if place < 0 {
		return false
	}
	e.meter.crowd(e.now, 1)
	e.inside++
	e.meter.enter(e.now, t, e.inside)
	in := e.instances[place]
	in.inside++
	e.members.set(place, in.inside)
	e.note()
	e.meter.used += in.advance(e.now)
	in.runs = append(in.runs, run{request: &e.requests[e.dice.IntN(len(e.requests))], ticket: t, phase: -1})
	e.turn(place)
	return true
}

// work lets phases end.
func (e *engine) work(place int) {
	e.meter.used += e.instances[place].advance(e.now)
	e.turn(place)
}

// turn takes an instance's requests to their next phases, and lets those leave
// that are answered.
func (e *engine) turn(place int) {
	in := e.instances[place]
	first := len(e.answered)
	e.answered = in.turn(e.answered)
	e.clock.set(firstInstance+place, in.share(e.deployment.Resources))
	for i := first; i < len(e.answered); i++ {
		e.leave(place, e.answered[i])
	}
	e.answered = e.answered[:first]
}

// leave lets an answered request leave, as fleet.release does.
func (e *engine) leave(place int, t ticket) {
	e.note()
	e.inside--
	e.meter.crowd(e.now, -1)
	e.meter.leave(e.now, t, e.inside)
	in := e.instances[place]
	in.inside--
	e.members.set(place, in.inside)
	e.serve()
}

// serve gives places to those who wait.
func (e *engine) serve() {
	for e.queued() > 0 {
		t := e.waiting[e.head]
		e.head++
		e.meter.crowd(e.now, -1) // enter counts it again
		if !e.enter(t) {
			e.head--
			e.meter.crowd(e.now, 1)
			return
		}
		if e.head > 1024 && e.head > len(e.waiting)/2 {
			e.waiting = e.waiting[:copy(e.waiting, e.waiting[e.head:])]
			e.head = 0
		}
	}
}

// demand is how many instances would have a place for every request.
func (e *engine) demand() int {
	limit := e.deployment.Limit
	return min((e.inside+e.queued()+limit-1)/limit, e.options.Max)
}

func (e *engine) note() { e.need.note(e.now, e.demand()) }

// grow starts as many instances as those who wait need.
func (e *engine) grow() {
	e.note()
	if e.now < e.retryAt {
		return
	}
	for want := e.demand(); e.members.running()+e.starting < want; {
		if !e.start() {
			return
		}
	}
}

// start starts an instance; false: there is no room for it.
func (e *engine) start() bool {
	placed, err := e.nodes.place(e.deployment.Wraps)
	if err != nil {
		e.pause = min(max(2*e.pause, firstPause), longestPause)
		e.retryAt = e.now + int64(e.pause)
		e.meter.noRoom(err)
		if e.members.running()+e.starting == 0 {
			for ; e.head < len(e.waiting); e.head++ {
				e.meter.crowd(e.now, -1)
				e.meter.refuse(e.waiting[e.head])
			}
		} else {
			e.clock.set(retries, e.retryAt)
		}
		return false
	}
	place := e.lowest
	for place < len(e.instances) && e.instances[place] != nil {
		place++
	}
	e.lowest = place + 1
	if place == len(e.instances) {
		e.instances = append(e.instances, nil)
	}
	e.instances[place] = e.instance(placed)
	e.starting++
	e.meter.resize(e.now, 1)
	e.meter.starts++
	e.clock.set(firstInstance+place, e.now+int64(e.options.ColdStart))
	return true
}

// started gives an instance that has started its first requests.
func (e *engine) started(place int) {
	in := e.instances[place]
	in.ready, in.at = true, e.now
	e.starting--
	e.retryAt, e.pause = 0, 0
	e.members.set(place, 0)
	e.clock.set(firstInstance+place, never)
	e.serve()
	e.clock.set(shrinks, e.now)
}

// shrink stops what is not needed, and says when to look again.
func (e *engine) shrink() {
	e.note()
	for {
		needed := max(e.need.most(e.now), e.options.Min)
		running := e.members.running()
		if running <= e.options.Min {
			e.clock.set(shrinks, never) // until another has started
			return
		}
		if running <= needed {
			e.clock.set(shrinks, e.now+max(int64(e.options.Idle)-(e.now-e.need.last(running)), int64(leastWait)))
			return
		}
		place := e.members.idle()
		if place < 0 {
			e.clock.set(shrinks, e.now+max(int64(e.options.Idle)/4, int64(leastWait)))
			return
		}
		in := e.instances[place]
		e.meter.used += in.advance(e.now)
		e.nodes.free(e.deployment.Wraps, in.placed)
		e.instances[place] = nil
		e.lowest = min(e.lowest, place)
		e.members.set(place, absent)
		e.clock.set(firstInstance+place, never)
		e.meter.resize(e.now, -1)
	}
}
