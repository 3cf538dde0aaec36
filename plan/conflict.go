package plan

import (
	"fmt"
	"slices"
	"strings"

	"github.com/chiron-faas/chiron/internal/requirement"
	"github.com/chiron-faas/chiron/profile"
	"github.com/chiron-faas/chiron/workflow"
)

// Conflicts says which tasks may not share a wrap (the paper's section 3.4), and
// which must:
//
//   - tasks that the project's rules want apart;
//   - tasks whose functions are of different languages or runtimes: a wrap has
//     one interpreter;
//   - tasks whose functions ask for packages that cannot both be installed: a
//     wrap has one folder of packages. Where that cannot be told, they are apart,
//     unless the project's rules want them together;
//   - tasks whose functions write the same file, as their profiles saw it:
//     beside each other they could read what the other wrote.
//
// Two tasks of the same function are in conflict only where a rule says so:
// whoever deploys a function lets it run beside itself.
type Conflicts struct {
	byTask map[string]*nature
	apart  map[pair]workflow.Position
	// between says for each two natures, by their ids, whether functions of them
	// are in conflict: most tasks have few natures, and hundreds are compared.
	between  [][]strength
	group    map[string]int // of tasks that are to be together
	together [][]string
}

// nature is what of a function decides its conflicts; functions that are alike
// share one id.
type nature struct {
	id       int
	function string
	runtime  string   // language and runtime, for people; "" where not known
	files    []string // written, sorted
	packages *requirement.Set
}

// strength of a conflict.
type strength int8

const (
	none strength = iota
	doubtful
	certain
)

// pair of tasks, the lesser name first.
type pair [2]string

func pairOf(a, b string) pair {
	if b < a {
		a, b = b, a
	}
	return pair{a, b}
}

// NewConflicts finds the conflicts of d's tasks. functions, measured and rules
// may be nil: what they would say is then no conflict.
func NewConflicts(d *workflow.Definition, functions map[string]*workflow.Function, measured *profile.Profile, rules *workflow.Rules) *Conflicts {
	tasks := d.Tasks()
	// A function that several tasks call writes the files of all of them.
	files := map[string][]string{}
	if measured != nil {
		for _, task := range tasks {
			if f, ok := measured.Task(task.Name); ok {
				files[task.Function] = append(files[task.Function], f.Files...)
			}
		}
	}
	for function := range files {
		slices.Sort(files[function])
	}
	c := &Conflicts{byTask: make(map[string]*nature, len(tasks)), apart: make(map[pair]workflow.Position), group: make(map[string]int)}
	byFunction := make(map[string]*nature)
	ids := make(map[string]int)
	var distinct []*nature
	for _, task := range tasks {
		n := byFunction[task.Function]
		if n == nil {
			f := functions[task.Function]
			n = &nature{function: task.Function, files: files[task.Function]}
			if f != nil {
				n.runtime = runtimeName(f)
			}
			key := n.key(f)
			id, known := ids[key]
			if !known {
				id = len(distinct)
				ids[key] = id
				distinct = append(distinct, n)
				if f != nil && len(f.Packages) > 0 {
					n.packages = requirement.NewSet(f.Packages, requirement.Environment{Python: f.Runtime})
				}
			}
			n.id, n.packages = id, distinct[id].packages
			byFunction[task.Function] = n
		}
		c.byTask[task.Name] = n
	}
	c.between = make([][]strength, len(distinct))
	for i, x := range distinct {
		c.between[i] = make([]strength, len(distinct))
		for k, y := range distinct[:i+1] {
			c.between[i][k], _ = x.against(y)
			c.between[k][i] = c.between[i][k]
		}
	}
	if rules != nil {
		c.follow(rules, tasks)
	}
	return c
}

// key is the same for functions that have the same conflicts.
func (n *nature) key(f *workflow.Function) string {
	var packages []requirement.Line
	if f != nil {
		packages = f.Packages
	}
	return fmt.Sprintf("%q %q %#v", n.runtime, n.files, packages)
}

// against says why another function, of the same nature or not, may not share a
// wrap with n's.
func (n *nature) against(m *nature) (strength, string) {
	if n.runtime != m.runtime && n.runtime != "" && m.runtime != "" {
		return certain, fmt.Sprintf("function %q needs %s, function %q needs %s", n.function, n.runtime, m.function, m.runtime)
	}
	doubt := ""
	if n.packages != nil && m.packages != nil {
		clash := n.packages.Clash(m.packages)
		doubt = fmt.Sprintf("packages of functions %q and %q: %s", n.function, m.function, clash.Why)
		switch {
		case clash.Certain:
			return certain, doubt
		case clash.Why == "":
			doubt = ""
		}
	}
	if file := shared(n.files, m.files); file != "" {
		return certain, fmt.Sprintf("functions %q and %q both write %s", n.function, m.function, file)
	}
	if doubt != "" {
		return doubtful, doubt
	}
	return none, ""
}

func runtimeName(f *workflow.Function) string {
	if f.Runtime == "" {
		return f.Lang + " (the machine's default)"
	}
	return f.Lang + " " + f.Runtime
}

// follow takes over the project's rules.
func (c *Conflicts) follow(rules *workflow.Rules, tasks []*workflow.State) {
	for _, r := range rules.Apart {
		for i, a := range r.Members {
			for _, b := range r.Members[i+1:] {
				for _, x := range a.Tasks {
					for _, y := range b.Tasks {
						c.apart[pairOf(x, y)] = r.Pos
					}
				}
			}
		}
	}
	// Rules of together that name the same task are one group.
	head := make(map[string]string)
	var find func(string) string
	find = func(task string) string {
		if up, ok := head[task]; ok && up != task {
			head[task] = find(up)
			return head[task]
		}
		return task
	}
	for _, r := range rules.Together {
		first := ""
		for _, m := range r.Members {
			for _, task := range m.Tasks {
				if first == "" {
					first = task
				}
				head[find(task)] = find(first)
				head[find(first)] = find(first)
			}
		}
	}
	index := make(map[string]int)
	for _, task := range tasks {
		if _, ok := head[task.Name]; !ok {
			continue
		}
		root := find(task.Name)
		at, known := index[root]
		if !known {
			at = len(c.together)
			index[root] = at
			c.together = append(c.together, nil)
		}
		c.group[task.Name] = at
		c.together[at] = append(c.together[at], task.Name)
	}
}

// Together returns the groups of tasks that are to share a wrap: of two tasks at
// least, no task in two of them, in the order of the definition's tasks. The
// caller must not change them.
func (c *Conflicts) Together() [][]string { return c.together }

// Between says why tasks a and b may not share a wrap; empty where they may.
func (c *Conflicts) Between(a, b string) string {
	if !c.conflict(a, b) {
		return ""
	}
	if pos, apart := c.apart[pairOf(a, b)]; apart {
		where := ""
		if at := pos.String(); at != "" {
			where = " (" + at + ")"
		}
		return fmt.Sprintf("the project wants %q and %q apart%s", a, b, where)
	}
	_, why := c.byTask[a].against(c.byTask[b])
	return why
}

// conflict is Between without the words.
func (c *Conflicts) conflict(a, b string) bool {
	if a == b {
		return false
	}
	if len(c.apart) > 0 {
		if _, apart := c.apart[pairOf(a, b)]; apart {
			return true
		}
	}
	x, y := c.byTask[a], c.byTask[b]
	if x == nil || y == nil || x == y {
		return false
	}
	s := c.between[x.id][y.id]
	return s == certain || s == doubtful && !c.joined(a, b)
}

// joined says whether the rules want two tasks together.
func (c *Conflicts) joined(a, b string) bool {
	i, ok := c.group[a]
	j, also := c.group[b]
	return ok && also && i == j
}

// Contradiction says that tasks which are to be together may not share a wrap;
// nil where all groups can be. It names a pair of every such group.
func (c *Conflicts) Contradiction() error {
	var lines []string
	for _, group := range c.together {
		if a, b, why := c.within(group); why != "" {
			lines = append(lines, fmt.Sprintf("tasks %q and %q cannot be together: %s", a, b, why))
		}
	}
	if lines == nil {
		return nil
	}
	return &ContradictionError{Problems: lines}
}

// ContradictionError says that the project's rules want tasks together that may
// not share a wrap.
type ContradictionError struct {
	// Problems, one for each group, with the tasks' names.
	Problems []string
}

// Error is one line a problem.
func (e *ContradictionError) Error() string { return strings.Join(e.Problems, "\n") }

// Groups splits tasks, in order, into as few groups without a conflict as a
// first fit finds: each task goes to the first group that it is not in conflict
// with, and those that are to be together go together.
func (c *Conflicts) Groups(tasks []string) [][]string {
	var groups [][]string
	placed := make(map[int]bool) // groups of c.together
next:
	for i, task := range tasks {
		unit := tasks[i : i+1]
		if g, ok := c.group[task]; ok {
			if placed[g] {
				continue
			}
			placed[g] = true
			unit = slices.DeleteFunc(slices.Clone(tasks[i:]), func(other string) bool { return !c.joined(task, other) })
		}
		for i, group := range groups {
			if !c.clash(group, unit) {
				groups[i] = append(group, unit...)
				continue next
			}
		}
		groups = append(groups, slices.Clone(unit))
	}
	return groups
}

// clash says whether any task of one list is in conflict with any of the
// other.
func (c *Conflicts) clash(group, unit []string) bool {
	return slices.ContainsFunc(group, func(a string) bool {
		return slices.ContainsFunc(unit, func(b string) bool { return c.conflict(a, b) })
	})
}

// within finds the first pair of tasks in conflict.
func (c *Conflicts) within(tasks []string) (a, b, why string) {
	if len(c.apart) == 0 && len(c.between) == 1 && c.between[0][0] == none {
		return "", "", ""
	}
	for i, task := range tasks {
		for _, other := range tasks[:i] {
			if c.conflict(other, task) {
				return other, task, c.Between(other, task)
			}
		}
	}
	return "", "", ""
}

// shared is the first string in both sorted lists.
func shared(a, b []string) string {
	for len(a) > 0 && len(b) > 0 {
		switch {
		case a[0] == b[0]:
			return a[0]
		case a[0] < b[0]:
			a = a[1:]
		default:
			b = b[1:]
		}
	}
	return ""
}
