package workflow

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// maxMembers of a rule: the pairs of more than that are no list that somebody
// wrote.
const maxMembers = 1000

// rules reads apart, together and limits, once the definition and the functions
// are known. Any of the nodes may be nil.
func (l *loader) rules(p *Project, apart, together, limits *node) {
	if limits != nil {
		p.Rules.Limits = l.limits(p, limits)
	}
	if p.Definition == nil {
		return // its faults come first: without tasks every name would be one
	}
	names := namesOf(p)
	p.Rules.Apart = l.ruleLists(names, "apart", apart)
	p.Rules.Together = l.ruleLists(names, "together", together)
	l.contradictions(&p.Rules)
	if most := p.Rules.Limits.Wraps; most > 0 {
		for _, r := range p.Rules.Apart {
			if len(r.Members) > most {
				l.add(r.Pos, fmt.Sprintf("allow as many wraps, or take names out of %q", "apart"),
					"%d names are to be apart in at most %s: %s", len(r.Members), countOf(most, "wrap"), quotedNames(r.Members))
			}
		}
	}
}

// nameTable says what a name in a rule stands for.
type nameTable struct {
	tasks map[string][]string // by name; the tasks in the definition's order
	// clash names a function and a task that calls another: neither is meant.
	clash map[string]bool
	all   []string // sorted
}

func namesOf(p *Project) nameTable {
	t := nameTable{tasks: make(map[string][]string), clash: make(map[string]bool)}
	tasks := p.Definition.Tasks()
	for _, task := range tasks {
		if p.Functions[task.Function] != nil {
			t.tasks[task.Function] = append(t.tasks[task.Function], task.Name)
		}
	}
	for _, task := range tasks {
		function := p.Functions[task.Name] != nil
		if same := t.tasks[task.Name]; function && !slices.Equal(same, []string{task.Name}) {
			t.clash[task.Name] = true
			continue
		}
		t.tasks[task.Name] = []string{task.Name}
	}
	for name := range p.Functions {
		if _, used := t.tasks[name]; !used {
			t.tasks[name] = nil
		}
	}
	t.all = slices.Sorted(maps.Keys(t.tasks))
	return t
}

// ruleLists reads [[A, B], [C, D]], or [A, B] for a single rule.
func (l *loader) ruleLists(names nameTable, what string, n *node) []Rule {
	if n == nil {
		return nil
	}
	hint := fmt.Sprintf("write: %s: [[NAME, NAME], …]", what)
	if n.kind != arrayNode || len(n.items) == 0 {
		l.add(n.pos, hint, "%q must be a list of lists of names, not %s", what, n.described())
		return nil
	}
	lists := n.items
	if n.items[0].kind == stringNode {
		lists = []*node{n}
	}
	var rules []Rule
	for _, list := range lists {
		if list.kind != arrayNode {
			l.add(list.pos, hint, "%q holds lists of names, and this is %s", what, list.described())
			continue
		}
		if r, ok := l.rule(names, what, list); ok {
			rules = append(rules, r)
		}
	}
	return rules
}

// rule reads [A, B]; false after a fault.
func (l *loader) rule(names nameTable, what string, n *node) (Rule, bool) {
	r := Rule{Pos: n.pos}
	good := true
	from := make(map[string]string) // the member that a task came from
	if len(n.items) > maxMembers {
		l.add(n.pos, "", "a list of %q has %d names, over %d", what, len(n.items), maxMembers)
		return r, false
	}
	for _, item := range n.items {
		m, ok := l.member(names, what, item)
		if !ok {
			good = false
			continue
		}
		for _, task := range m.Tasks {
			other, twice := from[task]
			from[task] = m.Name
			switch {
			case !twice:
			case other == m.Name:
				l.add(m.Pos, "", "%q is twice in one list of %q", m.Name, what)
				good = false
			default:
				l.add(m.Pos, "name either", "%q and %q in one list of %q both stand for task %q", other, m.Name, what, task)
				good = false
			}
			if twice {
				break
			}
		}
		r.Members = append(r.Members, m)
	}
	if good && len(r.Members) < 2 {
		l.add(n.pos, "", "a list of %q needs two names at least", what)
		good = false
	}
	return r, good
}

func (l *loader) member(names nameTable, what string, n *node) (Member, bool) {
	m := Member{Name: n.written, Pos: n.pos}
	if n.kind != stringNode && n.kind != numberNode {
		l.add(n.pos, "", "%q names functions or tasks, and this is %s", what, n.described())
		return m, false
	}
	if n.kind == stringNode {
		m.Name = n.text
	}
	tasks, known := names.tasks[m.Name]
	switch {
	case names.clash[m.Name]:
		l.add(n.pos, "rename one of them", "%q names a function, and also a task that is not the function's only one: which is meant?", m.Name)
	case !known:
		l.add(n.pos, hints(didYouMean(m.Name, names.all), listed("functions and tasks", names.all)), "%q names no function and no task: %q", what, m.Name)
	case len(tasks) == 0:
		l.add(n.pos, "", "%q names function %q, which no task calls", what, m.Name)
	default:
		m.Tasks = tasks
		return m, true
	}
	return m, false
}

// contradictions reports every pair that is to be apart and, by one rule or by
// several, together.
func (l *loader) contradictions(rules *Rules) {
	of := make(map[string][]int) // rules of together, by task
	for i, r := range rules.Together {
		for _, m := range r.Members {
			for _, task := range m.Tasks {
				of[task] = append(of[task], i)
			}
		}
	}
	for _, r := range rules.Apart {
		for i, a := range r.Members {
			for _, b := range r.Members[i+1:] {
				chain := bound(rules.Together, of, a.Tasks, b.Tasks)
				if chain == nil {
					continue
				}
				lines := make([]string, len(chain))
				for k, at := range chain {
					lines[k] = strconv.Itoa(rules.Together[at].Pos.Line)
				}
				where := "line " + lines[0]
				if len(lines) > 1 {
					where = "lines " + strings.Join(lines, ", ")
				}
				l.add(b.Pos, "take one of the rules out", "%q and %q cannot be apart: they are together by %s", a.Name, b.Name, where)
			}
		}
	}
}

// bound is the shortest chain of rules of together, by index, that leads from
// one of the tasks to one of the others; nil where there is none.
func bound(together []Rule, of map[string][]int, from, to []string) []int {
	previous := make(map[int]int)
	var queue []int
	reach := func(task string, by int) {
		for _, r := range of[task] {
			if _, seen := previous[r]; !seen {
				previous[r] = by
				queue = append(queue, r)
			}
		}
	}
	for _, task := range from {
		reach(task, -1)
	}
	for len(queue) > 0 {
		at := queue[0]
		queue = queue[1:]
		for _, m := range together[at].Members {
			for _, task := range m.Tasks {
				if slices.Contains(to, task) {
					chain := []int{at}
					for previous[at] >= 0 {
						at = previous[at]
						chain = append(chain, at)
					}
					slices.Reverse(chain)
					return chain
				}
				reach(task, at)
			}
		}
	}
	return nil
}

// limits reads {memory: 512Mi, cpus: 2, wraps: 4}.
func (l *loader) limits(p *Project, n *node) Limits {
	var limits Limits
	if n.kind != objectNode || len(n.fields) == 0 {
		l.add(n.pos, "write: limits: {memory: 512Mi, cpus: 2, wraps: 4}", "%q must be a mapping, not %s", "limits", n.described())
		return limits
	}
	for _, f := range n.fields {
		switch f.name {
		case "memory":
			limits.Memory = l.memory(f.value)
			l.fitFunctions(p, f.value, limits.Memory)
		case "cpus":
			limits.CPUs = l.whole(f.value, "cpus", "a wrap has whole CPUs: write a number such as 2")
		case "wraps":
			limits.Wraps = l.whole(f.value, "wraps", "write a number such as 4")
		default:
			l.unknownField(f, `"limits"`, []string{"memory", "cpus", "wraps"})
		}
	}
	return limits
}

// fitFunctions reports functions that are given more memory than a wrap may
// have.
func (l *loader) fitFunctions(p *Project, n *node, most int64) {
	for _, name := range slices.Sorted(maps.Keys(p.Functions)) {
		if f := p.Functions[name]; most > 0 && f.Memory > most {
			l.add(n.pos, "", "memory of %s a wrap is less than the %d bytes that function %q is given on line %d", n.written, f.Memory, name, f.Pos.Line)
		}
	}
}

// maxWhole bounds the numbers of limits: far over any machine.
const maxWhole = 1 << 16

// whole reads a number of things, 1 at least; 0 after a fault.
func (l *loader) whole(n *node, what, hint string) int {
	x, err := strconv.ParseUint(n.text, 10, 32)
	if n.kind != numberNode || err != nil || x < 1 || x > maxWhole {
		l.add(n.pos, hint, "%s must be a whole number from 1 to %d, not %s", what, maxWhole, n.described())
		return 0
	}
	return int(x)
}

func quotedNames(members []Member) string {
	names := make([]string, len(members))
	for i, m := range members {
		names[i] = strconv.Quote(m.Name)
	}
	return strings.Join(names, ", ")
}

func countOf(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}
