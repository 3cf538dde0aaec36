package plan

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/chiron-faas/chiron/profile"
	"github.com/chiron-faas/chiron/workflow"
)

// Feasible says why no plan can be: a profile that lacks functions, tasks that
// are to be together and may not be, a memory limit under what a function or a
// group needs, more functions that may not share a wrap than there may be wraps.
// It reports all reasons, joined, each with the names. That it finds none does
// not mean that there is a plan.
func Feasible(d *workflow.Definition, functions map[string]*workflow.Function, measured *profile.Profile, rules *workflow.Rules) error {
	if rules == nil {
		rules = &workflow.Rules{}
	}
	if err := lacks(d, measured); err != nil {
		return err // nothing else can be told
	}
	c := NewConflicts(d, functions, measured, rules)
	return errors.Join(c.Contradiction(), c.fits(d, measured, rules.Limits), c.enoughWraps(d, rules.Limits))
}

// MissingError says that a profile has nothing on functions of the workflow.
type MissingError struct {
	// Functions, sorted.
	Functions []string
}

// Error names the functions in one line.
func (e *MissingError) Error() string {
	return fmt.Sprintf("the profile lacks %s: profile again", namesOf("function", e.Functions))
}

func lacks(d *workflow.Definition, measured *profile.Profile) error {
	var functions []string
	for _, task := range d.Tasks() {
		if _, ok := measured.Task(task.Name); !ok {
			functions = append(functions, task.Function)
		}
	}
	if functions == nil {
		return nil
	}
	slices.Sort(functions)
	return &MissingError{Functions: slices.Compact(functions)}
}

// MemoryError says that tasks need more memory than a wrap may have, even with
// nothing beside them.
type MemoryError struct {
	// Functions that need it: one, or those of a group that is to be together.
	Functions []string
	// Need and Limit in bytes.
	Need, Limit int64
}

// Error names the functions in one line.
func (e *MemoryError) Error() string {
	need := "needs"
	together := ""
	if len(e.Functions) > 1 {
		need, together = "need", ", which are to be together,"
	}
	return fmt.Sprintf("%s%s %s %.1f MB, over the %.1f MB that a wrap may have (limits: memory)",
		namesOf("function", e.Functions), together, need, float64(e.Need)/1e6, float64(e.Limit)/1e6)
}

// fits looks for tasks, and groups that are to be together, that need more
// memory than a wrap may have. A group needs the least in one process.
func (c *Conflicts) fits(d *workflow.Definition, measured *profile.Profile, limits workflow.Limits) error {
	if limits.Memory <= 0 {
		return nil
	}
	var faults []error
	tooMuch := make(map[string]bool) // functions that do not fit alone
	check := func(tasks []string) {
		w := Wrap{Processes: []Process{{Tasks: tasks}}}
		need := w.MemoryEstimate(measured)
		if need <= limits.Memory {
			return
		}
		e := &MemoryError{Need: need, Limit: limits.Memory}
		for _, task := range tasks {
			e.Functions = append(e.Functions, c.byTask[task].function)
		}
		slices.Sort(e.Functions)
		e.Functions = slices.Compact(e.Functions)
		if slices.ContainsFunc(e.Functions, func(f string) bool { return tooMuch[f] }) {
			return // said already
		}
		if len(e.Functions) == 1 {
			tooMuch[e.Functions[0]] = true
		}
		faults = append(faults, e)
	}
	for _, task := range d.Tasks() {
		check([]string{task.Name})
	}
	for _, group := range c.together {
		check(group)
	}
	return errors.Join(faults...)
}

// WrapsError says that more tasks may not share a wrap, any two of them, than
// there may be wraps.
type WrapsError struct {
	Tasks []string
	Limit int
}

// Error names the tasks in one line.
func (e *WrapsError) Error() string {
	return fmt.Sprintf("no two of %s may share a wrap: that takes %d, and the project allows %d (limits: wraps)", namesOf("task", e.Tasks), len(e.Tasks), e.Limit)
}

// enoughWraps looks for tasks of which any two are in conflict, more than there
// may be wraps: greedily, those with the most conflicts first.
func (c *Conflicts) enoughWraps(d *workflow.Definition, limits workflow.Limits) error {
	if limits.Wraps <= 0 {
		return nil
	}
	tasks := d.Tasks()
	names := make([]string, len(tasks))
	degree := make(map[string]int, len(tasks))
	for i, task := range tasks {
		names[i] = task.Name
		for _, other := range names[:i] {
			if c.conflict(task.Name, other) {
				degree[task.Name]++
				degree[other]++
			}
		}
	}
	sorted := slices.Clone(names)
	slices.SortStableFunc(sorted, func(a, b string) int { return degree[b] - degree[a] })
	var clique []string
	for _, name := range sorted {
		if !slices.ContainsFunc(clique, func(other string) bool { return !c.conflict(name, other) }) {
			clique = append(clique, name)
		}
	}
	if len(clique) <= limits.Wraps {
		return nil
	}
	slices.SortFunc(clique, func(a, b string) int { return slices.Index(names, a) - slices.Index(names, b) })
	return &WrapsError{Tasks: clique, Limit: limits.Wraps}
}

// namesOf lists names in a message, the first ten of them.
func namesOf(thing string, names []string) string {
	const most = 10
	shown := make([]string, 0, most)
	for _, name := range names[:min(len(names), most)] {
		shown = append(shown, fmt.Sprintf("%q", name))
	}
	text := strings.Join(shown, ", ")
	if len(names) > most {
		text += fmt.Sprintf(" and %d more", len(names)-most)
	}
	if len(names) > 1 {
		thing += "s"
	}
	return thing + " " + text
}
