package pgp

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/chiron-faas/chiron/plan"
)

// leading are the layouts that do best when the longest tasks are dealt out first
// and then moved while that helps, where there are many. Of stages of many tasks
// one that meets the target so is enough.
func (w *worker) leading(ctx context.Context, shapes []*shape, target time.Duration) ([]*shape, error) {
	most := wrapChoices
	if w.s.small() {
		most = smallChoices
	}
	if w.s.Method != Production || len(shapes) <= most {
		return shapes, nil
	}
	sums := make(map[*shape]time.Duration, len(shapes))
	for _, sh := range shapes {
		taken := make([][]string, len(sh.slots))
		for i := range w.s.stages {
			st := &w.s.stages[i]
			if !w.s.composes(st, sh) {
				return shapes[:most], nil
			}
			b, err := w.newBoard(st, sh, taken, w.longestFirst(st, sh, taken))
			if err != nil {
				return nil, err
			}
			if err := b.descend(ctx, 0); err != nil {
				return nil, err
			}
			sums[sh] += b.score.latency
		}
		if w.s.Calibration.Request+sums[sh] <= target && !w.s.small() {
			return []*shape{sh}, nil
		}
	}
	shapes = slices.Clone(shapes)
	slices.SortStableFunc(shapes, func(a, b *shape) int { return cmp.Compare(sums[a], sums[b]) })
	return shapes[:most], nil
}

// partition puts all stages' tasks into the processes of a shape. It works in
// rounds, each harder than the one before, and ends as soon as the workflow takes
// no longer than target. It returns nil where that breaks a limit.
func (w *worker) partition(ctx context.Context, sh *shape, target time.Duration) (*candidate, error) {
	taken := make([][]string, len(sh.slots))
	boards := make([]*board, len(w.s.stages))
	for i := range boards {
		st := &w.s.stages[i]
		var err error
		switch w.s.Method {
		case Algorithm2:
			boards[i], err = w.algorithm2(ctx, st, sh, taken)
		default:
			boards[i], err = w.newBoard(st, sh, taken, w.longestFirst(st, sh, taken))
		}
		if err != nil {
			return nil, err
		}
		if w.s.limits.Memory > 0 { // the next stages go around what is there
			taken = w.sets(boards[:i+1], taken)
		}
	}
	aim := target
	for range maxCorrected {
		if w.s.Method != Algorithm2 && len(sh.slots) > 1 {
			if err := w.improve(ctx, boards, aim); err != nil {
				return nil, err
			}
			var err error
			if boards, err = w.reshaped(ctx, boards, aim); err != nil {
				return nil, err
			}
			sh = boards[0].sh
		}
		sum := w.s.Calibration.Request + total(boards)
		c, err := w.candidate(filled{sh, w.sets(boards, taken)})
		if err != nil || c == nil || c.latency <= target || sum > aim || target == asFastAsCanBe {
			return c, err
		}
		// The stages touch each other a little: what ends in one takes CPU time of
		// the next. Aim as much lower.
		aim -= c.latency - target
	}
	return w.candidate(filled{sh, w.sets(boards, taken)})
}

// maxCorrected is how often a partition aims lower because its stages touch each
// other.
const maxCorrected = 3

// sets are the processes' tasks on boards.
func (w *worker) sets(boards []*board, like [][]string) [][]string {
	sets := make([][]string, len(like))
	for _, b := range boards {
		for j, set := range b.sets {
			sets[j] = append(sets[j], b.st.named(set)...)
		}
	}
	return sets
}

// candidate makes the plan of a layout and predicts it; nil where it breaks a
// limit or a rule, in any way to divide it among wraps.
func (w *worker) candidate(f filled) (*candidate, error) {
	f = f.without()
	p := w.s.plan(f)
	if w.s.allowed(p) != nil {
		f = w.s.divide(f)
		p = w.s.plan(f)
		if w.s.allowed(p) != nil {
			return nil, nil
		}
	}
	w.evaluations++
	latency, err := w.predictor.Latency(p)
	if err != nil {
		return nil, err
	}
	return &candidate{plan: p, layout: f, latency: latency, memory: p.MemoryEstimate(w.s.Profile)}, nil
}

// divide puts the processes into wraps anew, in order, each wrap as full as the
// limits allow. A wrap whose processes share its CPUs is left as it is.
func (s *search) divide(f filled) filled {
	var wraps []wrapShape
	j := 0
	for _, ws := range f.wraps {
		if !ws.pinned() {
			wraps = append(wraps, ws)
			j += ws.processes
			continue
		}
		var open plan.Wrap
		for i := range ws.processes {
			next := plan.Process{Tasks: f.sets[j]}
			with := plan.Wrap{Processes: append(slices.Clone(open.Processes), next)}
			last := len(wraps) - 1
			switch {
			case i == 0, s.limits.Memory > 0 && with.MemoryEstimate(s.Profile) > s.limits.Memory,
				s.limits.CPUs > 0 && wraps[last].cpus == s.limits.CPUs:
				wraps = append(wraps, wrapShape{group: ws.group, processes: 1, cpus: 1})
				open = plan.Wrap{Processes: []plan.Process{next}}
			default:
				wraps[last].processes++
				wraps[last].cpus++
				open = with
			}
			j++
		}
	}
	return filled{newShape(f.mode, wraps), f.sets}
}
