package predict

import (
	"fmt"

	"github.com/chiron-faas/chiron/plan"
)

// layout is a plan in numbers.
type layout struct {
	places []place // by task
	// processes of all wraps, one wrap after the other.
	processes []process
	// wraps[w] is the first of processes that is wrap w's; one more at the end.
	wraps []int
	// homes[w] is the domain of wrap w's CPUs.
	homes []int
	// orchestrated says that no wrap walks the workflow: every task is called
	// through the gateway.
	orchestrated bool
	// rows[t] is which one of its process' call task t is, from 0 (row.go).
	rows []int
	// domains are sets of CPUs that threads may share; every wrap is in one.
	domains []domain
	// cpus is the number of CPUs of all domains together.
	cpus int
	// everywhere is a domain of all CPUs, where the machine has no more than
	// these; -1: it has, and what else runs there is in nobody's way.
	everywhere int
	// owner[wrap of a CPU], used while domains are made.
	domainOf []int // by CPU
}

// place of a task.
type place struct {
	process int // index in layout.processes; -1: none
	wrap    int
	order   int // among the process' tasks
}

type process struct {
	wrap     int
	index    int // in the wrap
	mode     plan.Mode
	cpu      int   // of all; -1: any of its domain
	domain   int   // index in layout.domains
	interval int64 // ns
	uses     int   // of a worker; 0: no bound
}

// domain is a set of CPUs; pinned threads run on one of them, others on any.
type domain struct{ cpus []int }

// layOut reads the plan. With only, the tasks of that stage must be placed;
// without, all.
func (l *layout) layOut(p *Predictor, pl *plan.Plan, only *stage) error {
	p.sim.left = p.sim.left[:0] // of another plan, or request
	l.places = l.places[:0]
	for range p.tasks {
		l.places = append(l.places, place{process: -1})
	}
	l.processes, l.wraps, l.homes = l.processes[:0], l.wraps[:0], l.homes[:0]
	l.deal(p.options.CPUs, pl)
	l.everywhere = -1
	if o := p.options; o.CPUs == l.cpus && !o.Spare {
		l.everywhere = l.all()
	}
	l.orchestrated = pl.Calls == plan.ThroughGateway
	firstCPU := 0
	for w := range pl.Wraps {
		wrap := &pl.Wraps[w]
		l.wraps = append(l.wraps, len(l.processes))
		l.homes = append(l.homes, l.domainOf[firstCPU%l.cpus])
		for i := range wrap.Processes {
			spec := &wrap.Processes[i]
			proc := process{
				wrap: w, index: i, mode: spec.Mode, cpu: -1, domain: l.domainOf[firstCPU%l.cpus],
				interval: int64(p.calibration.SwitchInterval), uses: spec.Uses,
			}
			if spec.Mode == plan.Standby && p.calibration.Standby == 0 {
				proc.mode = plan.Fork // nobody has measured what is spared
			}
			switch {
			case spec.CPU >= wrap.CPUs:
				return fmt.Errorf("predict: process %d of wrap %q is pinned to CPU %d of %d: plan again", i, wrap.Name, spec.CPU, wrap.CPUs)
			case spec.CPU != plan.Unpinned:
				proc.cpu = (firstCPU + spec.CPU) % l.cpus
			case wrap.CPUs == 1:
				proc.cpu = firstCPU % l.cpus
			}
			if spec.SwitchInterval > 0 {
				proc.interval = int64(spec.SwitchInterval)
			}
			for order, name := range spec.Tasks {
				t, ok := p.index[name]
				if !ok {
					return fmt.Errorf("predict: the plan places %q, which is no task of the workflow: plan again", name)
				}
				if l.places[t].process >= 0 {
					return fmt.Errorf("predict: the plan places task %q twice: plan again", name)
				}
				l.places[t] = place{process: len(l.processes), wrap: w, order: order}
			}
			l.processes = append(l.processes, proc)
		}
		firstCPU += wrap.CPUs
	}
	l.wraps = append(l.wraps, len(l.processes))
	first, end := 0, len(p.tasks)
	if only != nil {
		first, end = only.first, only.end
	}
	for t := first; t < end; t++ {
		if l.places[t].process < 0 {
			return fmt.Errorf("predict: the plan has no place for task %q: plan again", p.tasks[t].name)
		}
	}
	l.line(p)
	return nil
}

// deal makes the domains: a wrap's CPUs are one, and wraps that share a CPU
// because the machine has too few share one.
func (l *layout) deal(machine int, pl *plan.Plan) {
	total := 0
	for w := range pl.Wraps {
		total += max(1, pl.Wraps[w].CPUs)
	}
	l.cpus = total
	if machine > 0 && machine < total {
		l.cpus = machine
	}
	l.domainOf = l.domainOf[:0]
	for range l.cpus {
		l.domainOf = append(l.domainOf, -1)
	}
	for i := range l.domains {
		l.domains[i].cpus = l.domains[i].cpus[:0]
	}
	l.domains = l.domains[:0]
	first := 0
	for w := range pl.Wraps {
		n := max(1, pl.Wraps[w].CPUs)
		d := -1
		for i := range n {
			if joined := l.domainOf[(first+i)%l.cpus]; joined >= 0 {
				d = joined
				break
			}
		}
		if d < 0 {
			d = l.newDomain()
		}
		for i := range n {
			l.join((first+i)%l.cpus, d)
		}
		first += n
	}
}

// join puts a CPU, and the domain that it may already be in, into domain d.
func (l *layout) join(cpu, d int) {
	switch old := l.domainOf[cpu]; {
	case old == d:
	case old < 0:
		l.domainOf[cpu] = d
		l.domains[d].cpus = append(l.domains[d].cpus, cpu)
	default:
		for _, c := range l.domains[old].cpus {
			l.domainOf[c] = d
		}
		l.domains[d].cpus = append(l.domains[d].cpus, l.domains[old].cpus...)
		l.domains[old].cpus = l.domains[old].cpus[:0]
	}
}

// all finds or makes the domain of all CPUs.
func (l *layout) all() int {
	for d := range l.domains {
		if len(l.domains[d].cpus) == l.cpus {
			return d
		}
	}
	d := l.newDomain()
	for c := range l.cpus {
		l.domains[d].cpus = append(l.domains[d].cpus, c)
	}
	return d
}

// newDomain adds an empty one, in the memory of an earlier plan's.
func (l *layout) newDomain() int {
	d := len(l.domains)
	if d < cap(l.domains) {
		l.domains = l.domains[:d+1]
	} else {
		l.domains = append(l.domains, domain{})
	}
	return d
}
