package simulate

import (
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestChoose holds the tree against looking at every instance, as
// gateway/fleet.choose does.
func TestChoose(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 9))
		places := 1 + r.IntN(40)
		m := newMembers(places)
		inside := make([]int, places)
		for i := range inside {
			inside[i] = absent
		}
		for range 200 {
			i := r.IntN(places)
			inside[i] = r.IntN(5)
			if r.IntN(3) == 0 {
				inside[i] = absent
			}
			m.set(i, inside[i])
			needed, limit := r.IntN(places+2), 1+r.IntN(5)
			if got, want := m.choose(needed, limit), chosen(inside, needed, limit); got != want {
				t.Fatalf("seed %d: chose %d, want %d of %v, %d needed, at most %d", seed, got, want, inside, needed, limit)
			}
			last := -1
			for i, n := range inside {
				if n == 0 {
					last = i
				}
			}
			if got := m.idle(); got != last {
				t.Fatalf("seed %d: %d is idle, want %d of %v", seed, got, last, inside)
			}
		}
	}
}

func chosen(inside []int, needed, limit int) int {
	best, bestSpare, n := -1, false, 0
	for i, has := range inside {
		if has == absent {
			continue
		}
		spare := n >= needed
		n++
		if has < limit && (best < 0 || bestSpare && !spare || spare == bestSpare && has < inside[best]) {
			best, bestSpare = i, spare
		}
	}
	return best
}

// TestNeed holds the queue against gateway/fleet's times by number.
func TestNeed(t *testing.T) {
	for seed := range uint64(100) {
		r := rand.New(rand.NewPCG(seed, 10))
		const most = 8
		n := need{idle: 50}
		times := slices.Repeat([]int64{-1000}, most)
		now := int64(0)
		for range 3000 {
			now += r.Int64N(20)
			demand := r.IntN(most + 1)
			n.note(now, demand)
			for i := range demand {
				times[i] = now
			}
			want := 0
			for want < most && now-times[want] < n.idle {
				want++
			}
			if got := n.most(now); got != want {
				t.Fatalf("seed %d: %d were needed, want %d", seed, got, want)
			}
			if want > 0 {
				if k := 1 + r.IntN(want); n.last(k) != times[k-1] {
					t.Fatalf("seed %d: %d were needed last at %d, want %d", seed, k, n.last(k), times[k-1])
				}
			}
		}
	}
}

// TestClock: sources come in the order of their times.
func TestClock(t *testing.T) {
	for seed := range uint64(100) {
		r := rand.New(rand.NewPCG(seed, 11))
		var c clock
		times := make(map[int]int64)
		for range 500 {
			source, at := r.IntN(20), r.Int64N(50)
			if r.IntN(3) == 0 {
				c.set(source, never)
				delete(times, source)
			} else {
				c.set(source, at)
				times[source] = at
			}
			want, first := -1, int64(never)
			for s, at := range times {
				if at < first || at == first && s < want {
					want, first = s, at
				}
			}
			if got, at := c.next(); got != want || at != first {
				t.Fatalf("seed %d: source %d at %d, want %d at %d", seed, got, at, want, first)
			}
		}
	}
}

// times plays the given times.
type times []time.Duration

func (s *times) Next() (time.Duration, bool) {
	if len(*s) == 0 {
		return 0, false
	}
	at := (*s)[0]
	*s = (*s)[1:]
	return at, true
}

// TestColdStart: requests that come to none wait for one start together; a third
// place needs a second instance; what is idle is stopped and started anew.
func TestColdStart(t *testing.T) {
	d := station(1, true, []Request{requestOf(100*time.Millisecond, false)})
	d.Limit = 2
	at := times{0, time.Millisecond, 2 * time.Millisecond, 10 * time.Second}
	r, err := Run(t.Context(), d, Options{
		Nodes: 1, Node: Node{CPUs: 4}, Arrivals: &at, Requests: 10, Max: 4, Idle: time.Second, ColdStart: 500 * time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	// The third comes at 2 ms, its instance is there at 502.
	want := []time.Duration{599 * time.Millisecond, 600 * time.Millisecond, 600 * time.Millisecond, 600 * time.Millisecond}
	if r.Starts != 3 || r.Instances.Peak != 2 || !slices.Equal(r.Latencies, want) {
		t.Errorf("%d starts, at most %v instances, latencies %v", r.Starts, r.Instances.Peak, r.Latencies)
	}
}

// TestNoRoom: instances that find none are counted, and requests go on with those
// that there are.
func TestNoRoom(t *testing.T) {
	d := station(3, true, []Request{requestOf(time.Second, true)})
	d.Limit = 1
	at := times{0, 0, 0, 0, 0}
	r, err := Run(t.Context(), d, Options{Nodes: 2, Node: Node{CPUs: 4}, Arrivals: &at, Requests: 5, Min: 1, Max: 5, ColdStart: -1})
	if err != nil {
		t.Fatal(err)
	}
	var lacks *CapacityError
	if r.Answered != 5 || r.Instances.Peak != 2 || r.Latencies[4] != 3*time.Second || !errors.As(r.Room, &lacks) || !lacks.Full {
		t.Errorf("%d answered, %v instances, %v, %v", r.Answered, r.Instances.Peak, r.Latencies, r.Room)
	}
}

// TestFewerThanAsked: of the least instances as many run as there is room for.
func TestFewerThanAsked(t *testing.T) {
	at := times{0, 0, 0}
	r := simulated(t, station(3, true, []Request{requestOf(time.Second, true)}), Options{
		Nodes: 2, Node: Node{CPUs: 4}, Arrivals: &at, Requests: 3, Min: 5, Max: 5,
	})
	if r.Instances.Peak != 2 || r.NoRoom != 3 || r.Answered != 3 || r.Room == nil {
		t.Errorf("%v instances, %d without room (%v), %d answered", r.Instances.Peak, r.NoRoom, r.Room, r.Answered)
	}
}

// TestQueueLimit: 64 are let through at least, then the queue; the rest is 429.
func TestQueueLimit(t *testing.T) {
	at := make(times, 100)
	r := simulated(t, station(1, false, []Request{requestOf(time.Second, false)}), Options{Arrivals: &at, Requests: 100, Queue: 10})
	if r.Answered != 74 || r.Refused != 26 {
		t.Errorf("%d answered, %d refused", r.Answered, r.Refused)
	}
}

// TestNodes: wraps go where they fit first, and what has no room leaves nothing
// behind.
func TestNodes(t *testing.T) {
	n := newNodes(3, Node{CPUs: 4, Memory: 1000})
	wraps := []Wrap{{"wrap-1", 3, 100}, {"wrap-2", 2, 100}, {"wrap-3", 1, 950}}
	got, err := n.place(wraps)
	if err != nil || !slices.Equal(got, []int{0, 1, 2}) {
		t.Fatalf("%v, %v", got, err)
	}
	if _, err := n.place(wraps); err == nil || err.Error() != "wrap-1 asks for 3 CPUs and 0 MB, and no node has as much left: give more nodes" {
		t.Fatal(err)
	}
	n.free(wraps, got)
	for _, c := range []struct {
		wrap Wrap
		want string
	}{
		{Wrap{"wrap-7", 5, 0}, "wrap-7 asks for 5 CPUs and 0 MB, and a node has 4 and 0 MB: give larger nodes"},
		{Wrap{"wrap-8", 1, 2e9}, "wrap-8 asks for 1 CPU and 2000 MB, and a node has 4 and 0 MB: give larger nodes"},
	} {
		if _, err := n.place([]Wrap{wraps[0], c.wrap}); err == nil || err.Error() != c.want {
			t.Errorf("%v, want %s", err, c.want)
		}
	}
	if n.cpus[1] != 4 || n.memory[1] != 1000 || n.cpus[n.leaves+0] != 4 {
		t.Errorf("something is left behind: %v, %v", n.cpus, n.memory)
	}
}

// TestWrongOptions: what cannot be simulated is one line that says why.
func TestWrongOptions(t *testing.T) {
	good := Options{Nodes: 1, Node: Node{CPUs: 1}, Requests: 10}
	for want, change := range map[string]func(*Options, *Deployment){
		"0 nodes":                      func(o *Options, _ *Deployment) { o.Nodes = 0 },
		"1000001 nodes":                func(o *Options, _ *Deployment) { o.Nodes = MaxNodes + 1 },
		"0 CPUs":                       func(o *Options, _ *Deployment) { o.Node.CPUs = 0 },
		"-1 bytes":                     func(o *Options, _ *Deployment) { o.Node.Memory = -1 },
		"when requests come":           func(o *Options, _ *Deployment) { o.Arrivals = nil },
		"0 requests":                   func(o *Options, _ *Deployment) { o.Requests = 0 },
		"20000001 requests":            func(o *Options, _ *Deployment) { o.Requests = MaxRequests + 1 },
		"10 of 10 requests warm up":    func(o *Options, _ *Deployment) { o.WarmUp = 10 },
		"3 to 2 instances":             func(o *Options, _ *Deployment) { o.Min, o.Max = 3, 2 },
		"an idle time of -1ns":         func(o *Options, _ *Deployment) { o.Idle = -1 },
		"larger nodes":                 func(_ *Options, d *Deployment) { d.Wraps[0].CPUs = 2 },
		"no request to draw from":      func(_ *Options, d *Deployment) { d.Requests = nil },
		"at most 0 requests":           func(_ *Options, d *Deployment) { d.Limit = 0 },
		"only 1 requests came":         func(o *Options, _ *Deployment) { o.Arrivals, o.WarmUp = &times{0}, 5 },
		"for resource 9 of 1":          func(_ *Options, d *Deployment) { d.Requests[0].Phases[0].Demands[0].Resource = 9 },
		"is answered after 2 of 1":     func(_ *Options, d *Deployment) { d.Requests[0].Answered = 2 },
		"each its CPUs as a resource":  func(_ *Options, d *Deployment) { d.Resources = nil },
		"a phase of -1ns":              func(_ *Options, d *Deployment) { d.Requests[0].Phases[0].Length = -1 },
		"an idle time of 1m0s and a c": func(o *Options, _ *Deployment) { o.Idle, o.ColdStart = time.Minute, horizon+1 },
	} {
		o, d := good, station(1, true, []Request{requestOf(time.Second, true)})
		o.Arrivals = NewSteady(1)
		change(&o, d)
		if _, err := Run(t.Context(), d, o); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%v, want one line with %q", err, want)
		}
	}
}
