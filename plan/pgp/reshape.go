package pgp

import (
	"cmp"
	"context"
	"slices"
	"time"
)

// maxReshaped is how often the processes are divided among wraps anew.
const maxReshaped = 3

// reshaped divides the processes among wraps anew, the processes that end last
// where they begin first, and improves the boards again, as long as that helps.
// Which wraps suit processes is known at once, since processes do not touch each
// other; which processes suit wraps is what the boards are improved for.
func (w *worker) reshaped(ctx context.Context, boards []*board, target time.Duration) ([]*board, error) {
	free := len(w.s.together) == 0 && w.s.limits.Memory == 0 && w.s.Method == Production
	if !free || slices.ContainsFunc(boards, func(b *board) bool { return !b.composed }) {
		return boards, nil
	}
	sh := boards[0].sh
	of := make([]int, len(w.s.groups))
	for _, ws := range sh.wraps {
		of[ws.group] += ws.processes
	}
	most := slices.Max(of)
	if w.s.limits.CPUs > 0 {
		most = min(most, w.s.limits.CPUs)
	}
	divisions := w.s.divisions(of, sh.mode, most)
	for range maxReshaped {
		sum := total(boards)
		if sum+w.s.Calibration.Request <= target {
			return boards, nil
		}
		var best []*board
		least := sum
		for _, other := range divisions {
			moved, latency, err := w.moved(ctx, boards, other, least)
			if err != nil {
				return nil, err
			}
			if latency < least {
				best, least = moved, latency
			}
		}
		if best == nil {
			return boards, nil
		}
		if err := w.improve(ctx, best, target); err != nil {
			return nil, err
		}
		boards = best
	}
	return boards, nil
}

func total(boards []*board) (sum time.Duration) {
	for _, b := range boards {
		sum += b.score.latency
	}
	return sum
}

// moved puts the boards' sets into another layout with as many processes of each
// group, those that end last where they begin first; where the stages have few
// tasks, they are moved there while that helps. It gives up where that takes as
// long as limit.
func (w *worker) moved(ctx context.Context, boards []*board, sh *shape, limit time.Duration) ([]*board, time.Duration, error) {
	var out []*board
	var sum time.Duration
	for _, b := range boards {
		sets := make([][]int, len(sh.slots))
		begins := w.s.composition.allBegin(sh, func(sl *slot) bool { return b.st.groups[sl.group].duration > 0 })
		alone := func(j int) time.Duration { return b.ends[j] - w.s.composition.late(b.sh.slots[j].mode) }
		for g := range w.s.groups {
			from, to := b.sh.of(g), sh.of(g)
			slices.SortStableFunc(from, func(x, y int) int { return cmp.Compare(alone(y), alone(x)) })
			slices.SortStableFunc(to, func(x, y int) int { return cmp.Compare(begins[x], begins[y]) })
			for k := range from {
				sets[to[k]] = b.sets[from[k]]
			}
		}
		other, err := w.newBoard(b.st, sh, b.taken, sets)
		if err != nil {
			return nil, 0, err
		}
		if w.s.small() {
			if err := other.descend(ctx, 0); err != nil {
				return nil, 0, err
			}
		}
		if sum += other.score.latency; sum >= limit {
			return nil, sum, nil
		}
		out = append(out, other)
	}
	return out, sum, nil
}

// of are the processes of a group.
func (sh *shape) of(group int) []int {
	var out []int
	for j, sl := range sh.slots {
		if sl.group == group {
			out = append(out, j)
		}
	}
	return out
}
