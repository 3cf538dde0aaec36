package pgp

import (
	"context"
	"math/rand/v2"
	"time"
)

// Bounds on how long a board is improved.
const (
	// shortlisted moves of the process that ends last are predicted, the most
	// promising first.
	shortlisted = 12
	// patience is after how many moves in a row that did not help a walk ends.
	patience = 24
	// seed of the random choices: the same for everyone, so that the same input
	// gives the same plan.
	seed = 1
)

// descend takes the first of the promising moves that helps, until none does or
// the stage takes no longer than enough.
func (b *board) descend(ctx context.Context, enough time.Duration) error {
	for b.score.latency > max(enough, b.floor) {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		helped := false
		for _, m := range b.promising(b.last(), shortlisted, b.score.latency, nil) {
			forX, forY := b.after(m)
			got, err := b.try(m.from, m.to, forX, forY, b.score)
			if err != nil {
				return err
			}
			if got.better(b.score) {
				if err := b.put(m.from, m.to, forX, forY, got); err != nil {
					return err
				}
				helped = true
				break
			}
		}
		if !helped {
			return nil
		}
	}
	return nil
}

// walk leaves local optima (tabu search): it always takes the best of the
// promising moves, also where that is worse, and does not take a task of a kind
// back to where it came from for a while, unless that is better than anything
// found. It ends with the best that it came by.
func (b *board) walk(ctx context.Context, rng *rand.Rand, enough time.Duration, budget int) error {
	type place struct {
		kind    uint16
		process int
	}
	until := make(map[place]int) // moves there are barred before this step
	best, bestSets := b.score, b.snapshot()
	stop := b.w.evaluations + budget
	for step, idle := 0, 0; idle < patience && b.w.evaluations < stop; step++ {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if best.latency <= max(enough, b.floor) {
			break
		}
		barred := func(m move) bool {
			if m.all {
				return until[place{0xffff, m.to}] > step
			}
			return until[place{b.st.kinds[m.goes], m.to}] > step || m.comes >= 0 && until[place{b.st.kinds[m.comes], m.from}] > step
		}
		var chosen move
		score := hopeless
		for _, m := range b.promising(b.last(), shortlisted, hopeless.latency, nil) {
			forX, forY := b.after(m)
			got, err := b.try(m.from, m.to, forX, forY, hopeless)
			if err != nil {
				return err
			}
			if got.better(score) && (got.better(best) || !barred(m)) {
				chosen, score = m, got
			}
		}
		if score == hopeless {
			break
		}
		forX, forY := b.after(chosen)
		if err := b.put(chosen.from, chosen.to, forX, forY, score); err != nil {
			return err
		}
		tenure := step + 4 + rng.IntN(6)
		if chosen.all {
			until[place{0xffff, chosen.from}] = tenure
		} else {
			until[place{b.st.kinds[chosen.goes], chosen.from}] = tenure
			if chosen.comes >= 0 {
				until[place{b.st.kinds[chosen.comes], chosen.to}] = tenure
			}
		}
		idle++
		if score.better(best) {
			best, bestSets, idle = score, b.snapshot(), 0
		}
	}
	return b.reset(bestSets)
}

// kick moves some tasks at random, and keeps what descending from there, and for
// few tasks dividing pairs anew, leads to unless that is worse.
func (b *board) kick(ctx context.Context, rng *rand.Rand, enough time.Duration) error {
	before, sets := b.score, b.snapshot()
	tasks := len(b.st.names)
	moves := 2 + rng.IntN(3)
	if b.w.s.small() && rng.IntN(2) == 0 {
		moves = 2 * tasks // to anywhere
	}
	for range moves {
		t := rng.IntN(tasks)
		var from int
		for j, set := range b.sets {
			for _, other := range set {
				if other == t {
					from = j
				}
			}
		}
		to := rng.IntN(len(b.sets))
		if to == from || !b.may(t, to) {
			continue
		}
		forX, forY := b.st.exchanged(b.sets[from], t, -1), b.st.exchanged(b.sets[to], -1, t)
		if !b.fits(to, forY) {
			continue
		}
		b.sets[from], b.sets[to] = forX, forY
	}
	if err := b.reset(b.sets); err != nil {
		return err
	}
	if err := b.descend(ctx, enough); err != nil {
		return err
	}
	if b.w.s.small() {
		if err := b.splitPairs(ctx, enough); err != nil {
			return err
		}
	}
	if before.better(b.score) {
		return b.reset(sets)
	}
	return nil
}

// splitPairs divides the tasks of the process that ends last and of each other
// between the two in the best way, until that does not help.
func (b *board) splitPairs(ctx context.Context, enough time.Duration) error {
	for b.score.latency > max(enough, b.floor) {
		before := b.score
		last := b.last()
		for y := range b.sets {
			if y == last || b.sh.slots[y].group != b.sh.slots[last].group {
				continue
			}
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			if err := b.split(last, y); err != nil {
				return err
			}
		}
		if !b.score.better(before) {
			break
		}
	}
	return nil
}

// split divides the tasks of two processes between them in the best of all ways,
// for stages of few tasks, whose processes are soon all known.
func (b *board) split(x, y int) error {
	both := append(append([]int{}, b.sets[x]...), b.sets[y]...)
	b.st.inOrder(both)
	if len(both) > MaxExact {
		return nil
	}
	best, bestX, bestY := b.score, b.sets[x], b.sets[y]
	for mask := range 1 << len(both) {
		forX, forY := make([]int, 0, len(both)), make([]int, 0, len(both))
		var busyX, busyY time.Duration
		fits := true
		for i, t := range both {
			to := y
			if mask>>i&1 == 1 {
				to = x
				forX = append(forX, t)
				busyX += b.st.work[t].cpu
			} else {
				forY = append(forY, t)
				busyY += b.st.work[t].cpu
			}
			fits = fits && b.may(t, to)
		}
		if !fits || max(b.offsets[x]+busyX, b.offsets[y]+busyY) > best.latency {
			continue
		}
		got, err := b.try(x, y, forX, forY, best)
		if err != nil {
			return err
		}
		if got.better(best) {
			best, bestX, bestY = got, forX, forY
		}
	}
	return b.put(x, y, bestX, bestY, best)
}
