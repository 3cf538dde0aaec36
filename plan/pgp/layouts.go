package pgp

import (
	"cmp"
	"slices"
	"time"

	"github.com/chiron-faas/chiron/plan"
)

// layout is a way to divide so many CPUs and processes: its shapes, in each of
// which all processes but the first of each wrap have the mode. It has none for a
// mode that would come to the same as plan.Pool.
type layout func(plan.Mode) []*shape

// only are the shapes of a mode, with those in which no process has it, since each
// is the first of its wrap.
func (l layout) only(mode plan.Mode) []*shape {
	if mode == plan.Pool {
		return l(mode)
	}
	return append(slices.DeleteFunc(l(plan.Pool), func(sh *shape) bool { return len(sh.wraps) != len(sh.slots) }), l(mode)...)
}

// layouts to try with so many CPUs, those that need less memory first.
func (s *search) layouts(cpus int) []layout {
	of := s.deal(cpus)
	var out []layout
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
		out = append(out, func(mode plan.Mode) []*shape {
			if mode != plan.Pool && !several {
				return nil
			}
			return []*shape{newShape(mode, wraps)}
		})
	}
	beyond := s.Method != Algorithm2
	if s.native && beyond && cpus > len(of) {
		sharing(func(int) int { return 1 })
		if slices.Max(of) > 3 {
			sharing(func(g int) int { return of[g] / 2 })
		}
	}
	out = append(out, func(mode plan.Mode) []*shape {
		if mode == plan.Pool {
			return s.pinned(of, mode)
		}
		return slices.DeleteFunc(s.pinned(of, mode), func(sh *shape) bool { return len(sh.wraps) == len(sh.slots) })
	})
	if s.waits && beyond {
		sharing(func(g int) int { return of[g] + 1 })
		if slices.Max(of) > 1 {
			sharing(func(g int) int { return 2 * of[g] })
		}
	}
	return out
}

// How many ways to divide processes among wraps are tried: of those with the
// least estimates, those that lead (worker.leading).
const (
	wrapChoices  = 2
	smallChoices = 24 // where all stages have few tasks
	// leadChoices may lead, fewer where they have more than leadTasks together: in
	// FINRA-50 and FINRA-200 the best is up to 4 % faster than that of the two with
	// the least estimates.
	leadChoices = 8
	leadTasks   = 400
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
	choices := len(order)
	if s.Method != Exact && !s.small() {
		choices = max(wrapChoices, min(leadChoices, leadTasks/len(s.Definition.Tasks())))
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
