package plan

import (
	"fmt"
	"slices"

	"github.com/chiron-faas/chiron/profile"
	"github.com/chiron-faas/chiron/workflow"
)

// Conflicts says which tasks may not share a wrap (the paper's section 3.4):
//
//   - tasks whose functions are of different languages or runtimes: a wrap has
//     one interpreter;
//   - tasks whose functions write the same file, as their profiles saw it:
//     beside each other they could read what the other wrote.
//
// Two tasks of the same function are never in conflict: whoever deploys a
// function lets it run beside itself.
type Conflicts struct {
	byTask map[string]nature
}

// nature is what of a task decides its conflicts.
type nature struct {
	function string
	runtime  string   // language and runtime, for people; "" where not known
	files    []string // written, sorted
}

// NewConflicts finds the conflicts of d's tasks. functions and measured may be
// nil: what they would say is then no conflict.
func NewConflicts(d *workflow.Definition, functions map[string]*workflow.Function, measured *profile.Profile) *Conflicts {
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
	c := &Conflicts{byTask: make(map[string]nature, len(tasks))}
	for _, task := range tasks {
		n := nature{function: task.Function, files: files[task.Function]}
		if f := functions[task.Function]; f != nil {
			n.runtime = runtimeName(f)
		}
		c.byTask[task.Name] = n
	}
	return c
}

func runtimeName(f *workflow.Function) string {
	if f.Runtime == "" {
		return f.Lang + " (the machine's default)"
	}
	return f.Lang + " " + f.Runtime
}

// Between says why tasks a and b may not share a wrap; empty where they may.
func (c *Conflicts) Between(a, b string) string {
	x, y := c.byTask[a], c.byTask[b]
	if x.function == y.function {
		return ""
	}
	if x.runtime != y.runtime && x.runtime != "" && y.runtime != "" {
		return fmt.Sprintf("function %q needs %s, function %q needs %s", x.function, x.runtime, y.function, y.runtime)
	}
	if file := shared(x.files, y.files); file != "" {
		return fmt.Sprintf("functions %q and %q both write %s", x.function, y.function, file)
	}
	return ""
}

// Groups splits tasks, in order, into as few groups without a conflict as a
// first fit finds: each task goes to the first group that it is not in conflict
// with.
func (c *Conflicts) Groups(tasks []string) [][]string {
	var groups [][]string
next:
	for _, task := range tasks {
		for i, group := range groups {
			if !slices.ContainsFunc(group, func(other string) bool { return c.Between(task, other) != "" }) {
				groups[i] = append(group, task)
				continue next
			}
		}
		groups = append(groups, []string{task})
	}
	return groups
}

// within finds the first pair of tasks in conflict. It looks at one task a
// function, so that it stays fast for hundreds of tasks of few functions.
func (c *Conflicts) within(tasks []string) (a, b, why string) {
	var distinct []string
	seen := map[string]bool{}
	for _, task := range tasks {
		function := c.byTask[task].function
		if seen[function] {
			continue
		}
		seen[function] = true
		for _, other := range distinct {
			if why := c.Between(other, task); why != "" {
				return other, task, why
			}
		}
		distinct = append(distinct, task)
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
