package pgp

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/chiron-faas/chiron/plan"
)

// shape is everything of a plan but which task is in which process.
type shape struct {
	wraps []wrapShape
	// mode of all processes but the first of each wrap, which is resident.
	mode  plan.Mode
	slots []slot
}

// wrapShape has as many CPUs as processes, each pinned to one; or another number,
// and none is pinned.
type wrapShape struct{ group, processes, cpus int }

// slot is the place of a process.
type slot struct {
	wrap, group int
	// first says that it is in the first wrap of its group.
	first bool
	mode  plan.Mode
}

func newShape(mode plan.Mode, wraps []wrapShape) *shape {
	sh := &shape{wraps: wraps, mode: mode}
	seen := make(map[int]bool)
	for w, ws := range wraps {
		for i := range ws.processes {
			sl := slot{wrap: w, group: ws.group, first: !seen[ws.group], mode: mode}
			if i == 0 {
				sl.mode = plan.Pool
			}
			sh.slots = append(sh.slots, sl)
		}
		seen[ws.group] = true
	}
	return sh
}

func (w wrapShape) pinned() bool { return w.cpus == w.processes }

func (sh *shape) pinned() bool {
	return !slices.ContainsFunc(sh.wraps, func(w wrapShape) bool { return !w.pinned() })
}

func (sh *shape) cpus() int {
	n := 0
	for _, w := range sh.wraps {
		n += w.cpus
	}
	return n
}

// layouts are ways to divide so many CPUs and processes; only in how processes
// are made they differ within one.
type layouts struct {
	// resident has pool processes only; forked has them forked but for the first of
	// each wrap, which costs no memory between requests and is slower.
	resident []*shape
	forked   func() []*shape
}

// layouts to try with so many CPUs, those that need less memory first.
func (s *search) layouts(cpus int) []layouts {
	of := s.deal(cpus)
	var out []layouts
	sharing := func(processes func(g int) int) {
		var wraps []wrapShape
		other, several := false, false
		for g, n := range of {
			w := wrapShape{group: g, processes: max(1, min(processes(g), max(s.groups[g].width, 1))), cpus: n}
			if s.limits.CPUs > 0 && n > s.limits.CPUs {
				return
			}
			other, several = other || !w.pinned(), several || w.processes > 1
			wraps = append(wraps, w)
		}
		if !other {
			return
		}
		l := layouts{resident: []*shape{newShape(plan.Pool, wraps)}, forked: func() []*shape { return nil }}
		if several {
			l.forked = func() []*shape { return []*shape{newShape(plan.Fork, wraps)} }
		}
		out = append(out, l)
	}
	beyond := s.Method != Algorithm2
	if s.native && beyond && cpus > len(of) {
		sharing(func(int) int { return 1 })
		if slices.Max(of) > 3 {
			sharing(func(g int) int { return of[g] / 2 })
		}
	}
	pinned := layouts{resident: s.pinned(of, plan.Pool), forked: func() []*shape {
		if slices.Max(of) == 1 {
			return nil
		}
		return s.pinned(of, plan.Fork)
	}}
	out = append(out, pinned)
	if s.waits && beyond {
		sharing(func(g int) int { return of[g] + 1 })
		if slices.Max(of) > 1 {
			sharing(func(g int) int { return 2 * of[g] })
		}
	}
	return out
}

// wrapChoices is how many ways to divide processes among wraps are tried: those
// with the least estimates.
const (
	wrapChoices  = 2
	smallChoices = 24 // where all stages have few tasks
)

// pinned are the layouts with a CPU for each process.
func (s *search) pinned(of []int, mode plan.Mode) []*shape {
	most := slices.Max(of)
	if s.limits.CPUs > 0 {
		most = min(most, s.limits.CPUs)
	}
	if s.Method == Algorithm2 {
		return []*shape{s.divided(of, mode, func(n int) []int { return s.paperSizes(n, mode, most) })}
	}
	all := s.divisions(of, mode, most)
	estimates := make([]time.Duration, len(all))
	for i, sh := range all {
		estimates[i] = s.estimate(sh)
	}
	order := make([]int, len(all))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		return cmp.Or(cmp.Compare(estimates[a], estimates[b]), cmp.Compare(len(all[a].wraps), len(all[b].wraps)))
	})
	choices := wrapChoices
	switch {
	case s.Method == Exact, s.small():
		choices = len(order)
	}
	var out []*shape
	for _, i := range order[:min(len(order), choices)] {
		out = append(out, all[i])
	}
	return out
}

// small says that no stage has more tasks than the exact solver takes.
func (s *search) small() bool {
	return !slices.ContainsFunc(s.stages, func(st stage) bool { return len(st.names) > MaxExact })
}

// So many processes are divided among wraps in every way: fewProcesses where the
// stages have few tasks too.
const (
	fewProcesses     = 9
	veryFewProcesses = 5
)

// divisions are the ways to divide the processes among wraps that are looked at.
func (s *search) divisions(of []int, mode plan.Mode, most int) []*shape {
	var all []*shape
	add := func(sizes func(n int) []int) {
		sh := s.divided(of, mode, sizes)
		if n := s.limits.Wraps; n > 0 && len(sh.wraps) > n {
			return
		}
		for _, known := range all {
			if slices.Equal(known.wraps, sh.wraps) {
				return
			}
		}
		all = append(all, sh)
	}
	for wraps := 1; wraps <= slices.Max(of); wraps += 1 + wraps/6 {
		add(func(n int) []int {
			least := (n + most - 1) / most
			return even(n, max(least, min(n, wraps)))
		})
		// Calling the other wraps takes time in which wrap 1 can fork.
		add(func(n int) []int {
			sizes := s.paperSizes(n, mode, most)
			if rest := n - sizes[0]; rest > 0 {
				least := (rest + most - 1) / most
				sizes = append(sizes[:1], even(rest, max(least, min(rest, wraps)))...)
			}
			return sizes
		})
	}
	add(func(n int) []int { return s.paperSizes(n, mode, most) })
	if n := slices.Max(of); n <= fewProcesses && s.small() || n <= veryFewProcesses || s.Method == Exact && n <= MaxExact {
		for bits := range 1 << (n - 1) {
			add(func(n int) []int { return composed(n, bits, most) })
		}
	}
	return all
}

// divided is the pinned layout of processes of each group in wraps of these sizes.
func (s *search) divided(of []int, mode plan.Mode, sizes func(n int) []int) *shape {
	var wraps []wrapShape
	for g, n := range of {
		for _, size := range sizes(n) {
			wraps = append(wraps, wrapShape{group: g, processes: size, cpus: size})
		}
	}
	return newShape(mode, wraps)
}

// paperSizes are the wraps that lines 6 and 7 of Algorithm 2 begin with: as many
// processes in the first as are forked in the time that calling another takes,
// at least one; the others in a wrap each.
func (s *search) paperSizes(n int, mode plan.Mode, most int) []int {
	first := min(n, most)
	if c := s.composition; mode == plan.Fork && c.block > 0 {
		first = max(1, min(first, int(c.rpc/c.block)))
	}
	sizes := []int{first}
	for range n - first {
		sizes = append(sizes, 1)
	}
	return sizes
}

// even divides n processes into wraps whose sizes differ by one at most.
func even(n, wraps int) []int {
	sizes := make([]int, wraps)
	for i := range n {
		sizes[i%wraps]++
	}
	return sizes
}

// composed is the way to divide n processes among wraps, one after the other,
// where bit i says that a wrap ends after process i; those of more than most are
// divided further.
func composed(n, bits, most int) []int {
	sizes := []int{0}
	for i := range n {
		last := len(sizes) - 1
		sizes[last]++
		if i < n-1 && (bits>>i&1 == 1 || sizes[last] == most) {
			sizes = append(sizes, 0)
		}
	}
	return sizes
}

// floor is what the workflow takes at least in a layout.
func (s *search) floor(sh *shape) time.Duration {
	sum := s.Calibration.Request
	for i := range s.stages {
		st := &s.stages[i]
		sum += st.floor(sh, s.composition.begins(sh, st))
	}
	return sum
}

// estimate is what the workflow takes in a layout if the longest tasks are dealt
// out first and the threads of a process are never in each other's way.
func (s *search) estimate(sh *shape) time.Duration {
	sum := s.Calibration.Request
	for i := range s.stages {
		st := &s.stages[i]
		if !st.flat {
			sum += st.floor(sh, s.composition.begins(sh, st))
			continue
		}
		sum += st.dealt(sh, s.composition.allBegin(sh, func(sl *slot) bool { return st.groups[sl.group].duration > 0 }))
	}
	return sum
}

// floor of a stage: its longest way; for each group, its longest task behind the
// first process that can begin, and its work poured into its processes.
func (st *stage) floor(sh *shape, begins []time.Duration) time.Duration {
	least := st.critical
	for g, w := range st.groups {
		if w.duration == 0 {
			continue
		}
		var own []time.Duration
		cpus := 0
		for j, sl := range sh.slots {
			if sl.group == g {
				own = append(own, begins[j])
			}
		}
		for _, ws := range sh.wraps {
			if ws.group == g {
				cpus += ws.cpus
			}
		}
		slices.Sort(own)
		if !st.flat {
			own[0] = 0 // a branch may begin elsewhere
		}
		least = max(least, own[0]+w.duration)
		if !sh.pinned() || !st.flat {
			least = max(least, w.cpu/time.Duration(cpus))
			continue
		}
		level, sum := time.Duration(0), time.Duration(0)
		for k, begin := range own {
			if k > 0 && begin >= level {
				break
			}
			sum += begin
			level = (w.cpu + sum) / time.Duration(k+1)
		}
		least = max(least, level)
	}
	return least
}

// filled is a layout with the tasks of each process, of all stages.
type filled struct {
	*shape
	sets [][]string
}

// without removes the processes that have no task, and their CPUs where they
// have CPUs of their own.
func (f filled) without() filled {
	out := filled{}
	var wraps []wrapShape
	j := 0
	for _, w := range f.wraps {
		n := 0
		for range w.processes {
			if len(f.sets[j]) > 0 {
				out.sets = append(out.sets, f.sets[j])
				n++
			}
			j++
		}
		if n == 0 {
			continue
		}
		if w.pinned() {
			w.cpus = n
		}
		w.processes = n
		wraps = append(wraps, w)
	}
	out.shape = newShape(f.mode, wraps)
	return out
}

// plan makes a plan of the processes.
func (s *search) plan(f filled) *plan.Plan {
	p := &plan.Plan{Workflow: s.Workflow, Model: Name}
	j := 0
	for i, ws := range f.wraps {
		w := plan.Wrap{Name: fmt.Sprintf("wrap-%d", i+1), CPUs: ws.cpus}
		for k := range ws.processes {
			process := plan.Process{Mode: f.slots[j].mode, CPU: k, Tasks: slices.Clone(f.sets[j])}
			if !ws.pinned() {
				process.CPU = plan.Unpinned
			}
			w.Processes = append(w.Processes, process)
			j++
		}
		p.Wraps = append(p.Wraps, w)
	}
	return p
}

// allowed says why a plan may not be: it breaks a rule or a limit.
func (s *search) allowed(p *plan.Plan) error {
	if err := p.Within(s.limits, s.Profile); err != nil {
		return err
	}
	return p.Apart(s.conflicts)
}
