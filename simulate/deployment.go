package simulate

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/chiron-faas/chiron/plan"
	"github.com/chiron-faas/chiron/predict"
	"github.com/chiron-faas/chiron/profile"
	"github.com/chiron-faas/chiron/workflow"
)

// Deployment is what a plan's instances need and what their requests do.
type Deployment struct {
	// Wraps of an instance.
	Wraps []Wrap
	// Limit is the most requests that an instance works on at once.
	Limit int
	// Resources are what the requests inside an instance share: how many threads
	// may use each at once. The first are the wraps' CPUs, by wrap.
	Resources []int
	// Requests are drawn from, each as likely as the others.
	Requests []Request
	// Memory that an instance holds without a request, and what each request
	// inside adds, bytes; 0 where the profile has no memory.
	Rest, PerRequest int64
}

// Wrap is what an instance's wrap asks of a node.
type Wrap struct {
	Name string
	CPUs int
	// Memory in bytes: the wrap's limit, or what one request is expected to need.
	Memory int64
}

// Request is one drawn request.
type Request struct {
	Phases []Phase
	// Answered is the number of phases after which it is answered; the others go
	// on behind it.
	Answered int

	cpus []float64 // that it has, by phase
}

// Phase is a stretch of a request, which takes Length where nothing that it
// demands is scarce.
type Phase struct {
	Length  time.Duration
	Demands []Demand
}

// Demand for a resource.
type Demand struct {
	Resource int
	// Threads that use it, on average over the phase.
	Threads float64
}

// maxPhases of a request: where it has more, neighbours are joined.
const maxPhases = 32

// MaxConcurrency is the most requests that an instance may work on at once.
const MaxConcurrency = 1_000_000

// DefaultSamples are the requests that are drawn of a plan.
const DefaultSamples = 500

// DeploymentOptions of NewDeployment.
type DeploymentOptions struct {
	Definition  *workflow.Definition
	Profile     *profile.Profile
	Calibration *predict.Calibration
	Plan        *plan.Plan
	// Concurrency is the most requests that a wrap works on at once, instead of
	// what the plan says; 0: the plan's.
	Concurrency int
	// Samples is the number of requests that are drawn; 0: DefaultSamples.
	Samples int
	Seed    uint64
}

// NewDeployment reads a plan and draws requests of it.
func NewDeployment(o DeploymentOptions) (*Deployment, error) {
	if o.Concurrency < 0 || o.Concurrency > MaxConcurrency {
		return nil, fmt.Errorf("simulate: a concurrency of %d: give 1 to %d", o.Concurrency, MaxConcurrency)
	}
	if o.Samples == 0 {
		o.Samples = DefaultSamples
	}
	predictor, err := predict.New(o.Definition, o.Profile, o.Calibration, predict.Options{})
	if err != nil {
		return nil, fmt.Errorf("simulate: %w", err)
	}
	prediction, err := predictor.Predict(o.Plan)
	if err != nil {
		return nil, fmt.Errorf("simulate: %w", err)
	}
	drawn, err := predictor.Requests(o.Plan, predict.DistributionOptions{Samples: o.Samples, Seed: o.Seed})
	if err != nil {
		return nil, fmt.Errorf("simulate: %w", err)
	}
	d := &Deployment{}
	if d.Rest = o.Plan.MemoryDuring(o.Profile, func(string) bool { return false }); prediction.Memory > d.Rest {
		d.PerRequest = prediction.Memory - d.Rest
	}
	s := sharing{cpus: make(map[[2]int]int), locks: make(map[[2]int]int)}
	for i := range o.Plan.Wraps {
		w := &o.Plan.Wraps[i]
		placed := Wrap{Name: w.Name, CPUs: max(1, w.CPUs), Memory: w.Memory}
		if placed.Memory == 0 {
			placed.Memory = w.MemoryEstimate(o.Profile)
		}
		d.Wraps = append(d.Wraps, placed)
		d.Resources = append(d.Resources, placed.CPUs)
		// A request is in all of them, so the strictest counts.
		if limit := w.MaxInside(); i == 0 || limit < d.Limit {
			d.Limit = limit
		}
	}
	if o.Concurrency > 0 {
		d.Limit = o.Concurrency
	}
	for w := range o.Plan.Wraps {
		s.number(d, w, &o.Plan.Wraps[w])
	}
	for i := range drawn {
		d.Requests = append(d.Requests, s.request(&drawn[i]))
	}
	return d, d.check()
}

// sharing numbers the resources of a plan.
type sharing struct {
	cpus, locks map[[2]int]int // by wrap and CPU, by wrap and process
}

// number adds what the requests in a wrap share besides its CPUs: pinned CPUs,
// where there are others, and the locks of processes that stay. With one CPU the
// lock is never scarcer than it.
func (s *sharing) number(d *Deployment, w int, wrap *plan.Wrap) {
	if wrap.CPUs < 2 {
		return
	}
	for i := range wrap.Processes {
		p := &wrap.Processes[i]
		if at := [2]int{w, p.CPU}; p.CPU != plan.Unpinned {
			if _, there := s.cpus[at]; !there {
				s.cpus[at] = len(d.Resources)
				d.Resources = append(d.Resources, 1)
			}
			continue
		}
		if p.Mode == plan.Pool {
			s.locks[[2]int{w, i}] = len(d.Resources)
			d.Resources = append(d.Resources, 1)
		}
	}
}

// request translates a drawn request.
func (s *sharing) request(drawn *predict.Drawn) Request {
	phases := joined(s.phases(drawn.Uses))
	after := joined(s.phases(drawn.After))
	return Request{Phases: append(phases, after...), Answered: len(phases)}
}

func (s *sharing) phases(uses []predict.Use) []Phase {
	var out []Phase
	for _, use := range uses {
		p := Phase{Length: use.Length}
		for _, on := range use.Threads {
			p.demand(on.Wrap, 1)
			if r, shared := s.cpus[[2]int{on.Wrap, on.CPU}]; shared {
				p.demand(r, 1)
			}
			if r, shared := s.locks[[2]int{on.Wrap, on.Process}]; shared {
				p.demand(r, 1)
			}
		}
		if last := len(out) - 1; last >= 0 && slices.Equal(out[last].Demands, p.Demands) {
			out[last].Length += p.Length
			continue
		}
		out = append(out, p)
	}
	return out
}

// demand adds threads to a resource; demands are in the resources' order.
func (p *Phase) demand(resource int, threads float64) {
	i, there := slices.BinarySearchFunc(p.Demands, resource, func(d Demand, r int) int { return d.Resource - r })
	if there {
		p.Demands[i].Threads += threads
		return
	}
	p.Demands = slices.Insert(p.Demands, i, Demand{resource, threads})
}

// joined has at most maxPhases: the two neighbours that are shortest together
// become one again and again, which demands what they did on average.
func joined(phases []Phase) []Phase {
	for len(phases) > maxPhases {
		best := 0
		for i := range len(phases) - 1 {
			if phases[i].Length+phases[i+1].Length < phases[best].Length+phases[best+1].Length {
				best = i
			}
		}
		a, b := phases[best], phases[best+1]
		one := Phase{Length: a.Length + b.Length}
		for _, p := range []Phase{a, b} {
			for _, d := range p.Demands {
				one.demand(d.Resource, d.Threads*(float64(p.Length)/float64(one.Length)))
			}
		}
		phases[best] = one
		phases = slices.Delete(phases, best+1, best+2)
	}
	return phases
}

// check says what cannot be simulated.
func (d *Deployment) check() error {
	switch {
	case len(d.Wraps) == 0 || len(d.Resources) < len(d.Wraps):
		return errors.New("simulate: a deployment needs a wrap, and each its CPUs as a resource")
	case d.Limit < 1 || d.Limit > MaxConcurrency:
		return fmt.Errorf("simulate: at most %d requests in an instance: give 1 to %d", d.Limit, MaxConcurrency)
	case len(d.Requests) == 0:
		return errors.New("simulate: there is no request to draw from")
	}
	for i := range d.Requests {
		r := &d.Requests[i]
		if r.Answered < 0 || r.Answered > len(r.Phases) {
			return fmt.Errorf("simulate: request %d is answered after %d of %d phases", i, r.Answered, len(r.Phases))
		}
		for _, p := range r.Phases {
			if p.Length < 0 || p.Length > horizon {
				return fmt.Errorf("simulate: a phase of %v", p.Length)
			}
			for _, demand := range p.Demands {
				if demand.Resource < 0 || demand.Resource >= len(d.Resources) || !(demand.Threads >= 0) || d.Resources[demand.Resource] < 1 {
					return fmt.Errorf("simulate: a demand of %v threads for resource %d of %d", demand.Threads, demand.Resource, len(d.Resources))
				}
			}
		}
	}
	return nil
}
