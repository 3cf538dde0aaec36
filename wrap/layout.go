package wrap

import (
	"cmp"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/chiron-faas/chiron/host"
	"github.com/chiron-faas/chiron/plan"
	"github.com/chiron-faas/chiron/workflow"
)

// layout is the plan as one wrap sees it, with every question that a request
// asks answered beforehand.
type layout struct {
	// processes of this wrap, in the plan's order.
	processes []*process
	// places of the workflow's tasks, by name.
	places map[string]*place
	// functions of this wrap, by name.
	functions map[string]*function
	// rows of tasks that a process does one after the other, by the first.
	rows map[*workflow.State]*row
	// splits of the Parallel states.
	splits map[*workflow.State]*split
	// forks are the processes of this wrap that serve one request, with tasks in
	// a branch, in the plan's order.
	forks map[*workflow.Definition][]*process
}

// process is a process of the plan in this wrap.
type process struct {
	index   int // in plan.Wrap.Processes
	mode    plan.Mode
	options host.WorkerOptions
	tasks   []string
	// uses counts the calls made on it.
	uses atomic.Int64
	// pool keeps the worker of a pool process, shelf the children of a standby
	// process that wait; both are nil for a fork process.
	pool  *pool
	shelf *shelf
	// ready and maxUses are the plan's.
	ready, maxUses int
}

// function is a function of this wrap.
type function struct {
	name    string
	timeout time.Duration
	// process serves calls of the function alone, outside a workflow.
	process *process
}

// place is where a task runs.
type place struct {
	task     *workflow.State
	wrap     int       // index in plan.Wraps
	process  *process  // nil in another wrap
	function *function // nil in another wrap
	order    int       // position in the tasks of its process
	query    string    // of the internal request that runs it in another wrap
}

// split says who walks the branches of a Parallel state.
type split struct {
	// remote parts in wrap order: branches whose tasks are all in that wrap.
	remote []remotePart
	// local branches, in the order in which they start: those whose tasks are
	// all here, and those that are spread over wraps.
	local []localPart
	// whole[i] says that all tasks of branch i are here.
	whole []bool
	// forks are the processes of this wrap that serve one request, with tasks in
	// any branch.
	forks []*process
}

type remotePart struct {
	wrap     int
	branches []int  // ascending
	query    string // of the internal request
	// usesContext says that a branch reads the context object.
	usesContext bool
}

type localPart struct {
	branch int
	// process of the branch's first task here; nil where it has none or starts
	// in another wrap.
	process *process
	order   int
}

const elsewhere = -1

func newLayout(b *bundle, cpus []int) (*layout, error) {
	l := &layout{
		places:    make(map[string]*place),
		functions: make(map[string]*function),
		rows:      make(map[*workflow.State]*row),
		splits:    make(map[*workflow.State]*split),
		forks:     make(map[*workflow.Definition][]*process),
	}
	for i := range b.manifest.Functions {
		f := &b.manifest.Functions[i]
		timeout := f.Timeout
		if timeout <= 0 {
			timeout = workflow.DefaultTimeout
		}
		l.functions[f.Name] = &function{name: f.Name, timeout: timeout}
	}
	for w := range b.plan.Wraps {
		for i := range b.plan.Wraps[w].Processes {
			spec := &b.plan.Wraps[w].Processes[i]
			var p *process
			if w == b.wrap {
				cpu := host.AnyCPU
				if spec.CPU != plan.Unpinned {
					if spec.CPU < 0 || len(cpus) == 0 {
						return nil, fmt.Errorf("process %d of wrap %q is pinned to CPU %d: the wrap has CPUs %v", i, b.manifest.Wrap, spec.CPU, cpus)
					}
					cpu = cpus[spec.CPU%len(cpus)]
				}
				p = &process{
					index: i, mode: spec.Mode, tasks: spec.Tasks,
					options: host.WorkerOptions{CPU: cpu, SwitchInterval: spec.SwitchInterval},
					ready:   spec.Ready, maxUses: spec.Uses,
				}
				l.processes = append(l.processes, p)
			}
			for order, name := range spec.Tasks {
				l.place(b, w, p, order, name)
			}
		}
	}
	l.divide(b, b.definition)
	l.rank(b.definition, true)
	for _, p := range l.processes {
		here := func(task string) bool { return l.places[task].process == p }
		p.options.Lanes = min(max(1, b.definition.Width(here)), maxLanes)
	}
	return l, nil
}

// unpin lets every process run on any CPU.
func (l *layout) unpin() {
	for _, p := range l.processes {
		p.options.CPU = host.AnyCPU
	}
}

func (l *layout) place(b *bundle, wrap int, p *process, order int, name string) {
	task, _ := b.definition.State(name)
	pl := &place{task: task, wrap: wrap, process: p, order: order, query: stageQuery(b.manifest.PlanID, name, nil)}
	l.places[name] = pl
	if p == nil {
		return
	}
	pl.function = l.functions[task.Function]
	// A function alone runs where it waits least: no fork is paid where it has a
	// process that lives, or waits.
	if q := pl.function.process; q == nil || quickness(p.mode) > quickness(q.mode) {
		pl.function.process = p
	}
}

func quickness(m plan.Mode) int {
	return slices.Index([]plan.Mode{plan.Fork, plan.Standby, plan.Pool}, m)
}

// divide prepares the Parallel states of d, nested ones included.
func (l *layout) divide(b *bundle, d *workflow.Definition) {
	here := b.wrap
	for _, name := range d.Order {
		s := d.States[name]
		if s.Type != workflow.Parallel {
			continue
		}
		sp := &split{whole: make([]bool, len(s.Branches))}
		parts := make(map[int]*remotePart)
		all := make(map[*process]bool)
		for i, branch := range s.Branches {
			tasks := branch.Tasks()
			for _, p := range l.forksOf(branch, tasks) {
				all[p] = true
			}
			owner := l.owner(tasks, here)
			sp.whole[i] = owner == here
			if owner != here && owner != elsewhere {
				if parts[owner] == nil {
					parts[owner] = &remotePart{wrap: owner}
				}
				parts[owner].branches = append(parts[owner].branches, i)
				parts[owner].usesContext = parts[owner].usesContext || branch.UsesContext()
			} else {
				part := localPart{branch: i}
				if len(tasks) > 0 {
					part.process = l.places[tasks[0].Name].process
					part.order = l.places[tasks[0].Name].order
				}
				sp.local = append(sp.local, part)
			}
			l.divide(b, branch)
		}
		for _, p := range parts {
			p.query = stageQuery(b.manifest.PlanID, s.Name, p.branches)
			sp.remote = append(sp.remote, *p)
		}
		slices.SortFunc(sp.remote, func(a, b remotePart) int { return cmp.Compare(a.wrap, b.wrap) })
		slices.SortStableFunc(sp.local, compareStart)
		sp.forks = inOrder(all)
		l.splits[s] = sp
	}
}

// compareStart puts branches in the order in which their first tasks start:
// those that begin elsewhere, for they only cost a write, then process by
// process and, in a process, task by task as in the plan.
func compareStart(a, b localPart) int {
	rank := func(p *process) int {
		if p == nil {
			return -1
		}
		return p.index
	}
	return cmp.Or(cmp.Compare(rank(a.process), rank(b.process)), cmp.Compare(a.order, b.order))
}

// longest is the longest timeout of p's functions.
func (l *layout) longest(p *process) time.Duration {
	var d time.Duration
	for _, task := range p.tasks {
		d = max(d, l.places[task].function.timeout)
	}
	return d
}

// functionsOf lists the functions of p's tasks, each once, in the plan's order.
func (l *layout) functionsOf(p *process) []string {
	var names []string
	for _, task := range p.tasks {
		if f := l.places[task].function.name; !slices.Contains(names, f) {
			names = append(names, f)
		}
	}
	return names
}

// owner returns the one wrap that has all tasks: here where there are none,
// elsewhere (no single wrap) where they are spread.
func (l *layout) owner(tasks []*workflow.State, here int) int {
	if len(tasks) == 0 {
		return here
	}
	owner := l.places[tasks[0].Name].wrap
	for _, t := range tasks[1:] {
		if l.places[t.Name].wrap != owner {
			return elsewhere
		}
	}
	return owner
}

// forksOf remembers and returns the processes here that serve one request, with
// tasks in branch.
func (l *layout) forksOf(branch *workflow.Definition, tasks []*workflow.State) []*process {
	found := make(map[*process]bool)
	for _, t := range tasks {
		if p := l.places[t.Name].process; p != nil && p.mode.PerRequest() {
			found[p] = true
		}
	}
	l.forks[branch] = inOrder(found)
	return l.forks[branch]
}

func inOrder(set map[*process]bool) []*process {
	var list []*process
	for p := range set {
		list = append(list, p)
	}
	slices.SortFunc(list, func(a, b *process) int { return cmp.Compare(a.index, b.index) })
	return list
}

// stageQuery is the query of an internal request for a task (branches nil) or
// for branches of a Parallel state.
func stageQuery(planID, state string, branches []int) string {
	q := url.Values{"plan": {planID}, "state": {state}}
	if branches != nil {
		numbers := make([]string, len(branches))
		for i, b := range branches {
			numbers[i] = strconv.Itoa(b)
		}
		q.Set("branches", strings.Join(numbers, ","))
	}
	return q.Encode()
}
