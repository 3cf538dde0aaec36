package pgp

import (
	"cmp"
	"context"
	"slices"
	"time"
)

// maxRounds over all pairs of processes of a stage that is predicted whole.
const maxRounds = 4

// improveWhole improves a stage that has to be predicted whole: it goes over all
// pairs of processes and takes each exchange, or move of a single task, that
// helps; those that even out the processes' work most are tried first.
func (b *board) improveWhole(ctx context.Context, enough time.Duration) error {
	if enough > 0 && float64(b.score.latency) > 1.1*float64(enough) && len(b.st.names) > MaxExact {
		return nil // it does not come down that far
	}
	for range maxRounds {
		before := b.score
		for x := range b.sets {
			for y := x + 1; y < len(b.sets); y++ {
				if b.left == 0 || b.score.latency <= max(enough, b.floor) {
					return nil
				}
				if ctx.Err() != nil {
					return context.Cause(ctx)
				}
				if err := b.improvePair(x, y); err != nil {
					return err
				}
			}
		}
		if !b.score.better(before) {
			return nil
		}
	}
	return nil
}

func (b *board) improvePair(x, y int) error {
	busyX, busyY := b.st.cpu(b.sets[x]), b.st.cpu(b.sets[y])
	var moves []move
	rights := append(b.ofEachKind(y, nil), -1)
	for _, l := range append(b.ofEachKind(x, nil), -1) {
		for _, r := range rights {
			moved := time.Duration(0)
			switch {
			case l < 0 && r < 0, l >= 0 && !b.may(l, y), r >= 0 && !b.may(r, x):
				continue
			case l >= 0 && r >= 0 && b.st.kinds[l] == b.st.kinds[r]:
				continue
			}
			if l >= 0 {
				moved += b.st.work[l].cpu
			}
			if r >= 0 {
				moved -= b.st.work[r].cpu
			}
			moves = append(moves, move{from: x, to: y, goes: l, comes: r, estimate: max(busyX-moved, busyY+moved)})
		}
	}
	slices.SortStableFunc(moves, func(a, b move) int { return cmp.Compare(a.estimate, b.estimate) })
	for _, m := range moves {
		forX, forY := b.after(m)
		got, err := b.try(x, y, forX, forY, b.score)
		if err != nil {
			return err
		}
		if got.better(b.score) {
			return b.put(x, y, forX, forY, got)
		}
	}
	return nil
}
