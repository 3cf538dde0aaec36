package pgp

import (
	"context"
	"slices"
)

// algorithm2 is the paper's Algorithm 2 within one stage, as it is printed: lines
// 8 to 11, and the function KernighanLin, lines 18 to 25. It is the reference
// that the production search is held against.
//
//	8:  deal the functions out to n processes in turn
//	9:  for each pair of processes X, Y:
//	10:     KernighanLin(X, Y)
func (w *worker) algorithm2(ctx context.Context, st *stage, sh *shape, taken [][]string) (*board, error) {
	b, err := w.newBoard(st, sh, taken, w.inTurn(st, sh, taken))
	if err != nil {
		return nil, err
	}
	for x := range b.sets {
		for y := x + 1; y < len(b.sets); y++ {
			if err := b.kernighanLin(ctx, x, y); err != nil {
				return nil, err
			}
		}
	}
	return b, nil
}

// kernighanLin swaps, of the tasks that have not been swapped yet, the two after
// which the stage is fastest, until none is left; then it keeps the first k swaps,
// those after which the stage was fastest of all.
func (b *board) kernighanLin(ctx context.Context, x, y int) error {
	bestX, bestY, best := b.sets[x], b.sets[y], b.score
	swapped := make(map[int]bool)
	for {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		fastest, left, right := hopeless, -1, -1
		for _, l := range b.ofEachKind(x, swapped) {
			for _, r := range b.ofEachKind(y, swapped) {
				if b.st.kinds[l] == b.st.kinds[r] || !b.may(l, y) || !b.may(r, x) {
					continue
				}
				got, err := b.try(x, y, b.st.exchanged(b.sets[x], l, r), b.st.exchanged(b.sets[y], r, l), hopeless)
				if err != nil {
					return err
				}
				if got.latency < fastest.latency {
					fastest, left, right = got, l, r
				}
			}
		}
		if left < 0 {
			break
		}
		forX, forY := b.st.exchanged(b.sets[x], left, right), b.st.exchanged(b.sets[y], right, left)
		if err := b.put(x, y, forX, forY, fastest); err != nil {
			return err
		}
		swapped[left], swapped[right] = true, true
		if b.score.latency < best.latency {
			bestX, bestY, best = b.sets[x], b.sets[y], b.score
		}
	}
	return b.put(x, y, bestX, bestY, best)
}

// ofEachKind returns the first task of every kind in a process that is not done:
// to swap another of the kind would come to the same.
func (b *board) ofEachKind(process int, done map[int]bool) []int {
	var out []int
	var seen []uint16
	for _, t := range b.sets[process] {
		if kind := b.st.kinds[t]; !done[t] && !slices.Contains(seen, kind) {
			seen = append(seen, kind)
			out = append(out, t)
		}
	}
	return out
}
