package pgp

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/chiron-faas/chiron/plan"
)

// Bounds on how long a board is improved.
const (
	// patience is after how many exchanges in a row that did not help a pass of
	// Kernighan-Lin ends.
	patience = 6
	// maxRounds over all pairs of processes.
	maxRounds = 4
	// maxCritical rounds for each process, where only pairs with the one that
	// ends last are tried.
	maxCritical = 8
)

// improve runs Kernighan-Lin between pairs of processes (lines 9 to 11).
func (b *board) improve(ctx context.Context) error {
	tasks, processes := 0, len(b.sets)
	for _, set := range b.sets {
		tasks += len(set)
	}
	if processes < 2 || tasks < 2 {
		return nil
	}
	if b.composed && !b.s.Literal {
		for range maxCritical * processes {
			improved, err := b.relieve(ctx)
			if err != nil || !improved {
				return err
			}
		}
		return nil
	}
	rounds := maxRounds
	if b.s.Literal {
		rounds = 1
	}
	for range rounds {
		before := b.score
		for x := range processes {
			for y := x + 1; y < processes; y++ {
				if err := b.kernighanLin(ctx, x, y); err != nil {
					return err
				}
			}
		}
		if !b.score.better(before) {
			break
		}
	}
	return nil
}

// relieve tries the pairs with the process that ends last until one helps.
func (b *board) relieve(ctx context.Context) (bool, error) {
	last := b.last()
	if last >= len(b.sets) {
		return false, nil // it stands apart
	}
	if len(b.sets[last]) == 1 && b.sh.modeOf(last) == plan.Pool && last < b.sh.sizes[0] {
		return false, nil // one task, begun at once: it ends no sooner anywhere
	}
	partners := make([]int, 0, len(b.sets))
	for j := range b.sets {
		if j != last {
			partners = append(partners, j)
		}
	}
	slices.SortStableFunc(partners, func(i, j int) int { return cmp.Compare(b.ends[i], b.ends[j]) })
	before := b.score
	for _, y := range partners {
		if err := b.kernighanLin(ctx, last, y); err != nil {
			return false, err
		}
		if b.score.better(before) {
			return true, nil
		}
	}
	return false, nil
}

// exchange is one step of Kernighan-Lin: task left goes from x to y, task right
// from y to x; -1: none does.
type exchange struct {
	left, right int
	forX, forY  []int
	score       score
}

// kernighanLin is the paper's function of that name (lines 18 to 25): it makes
// the exchange after which the stage is fastest, again and again with the tasks
// that have not been exchanged yet, and keeps the first k, those after which the
// stage was fastest of all.
func (b *board) kernighanLin(ctx context.Context, x, y int) error {
	bestX, bestY, best := b.sets[x], b.sets[y], b.score
	done := make(map[int]bool)
	for idle := 0; idle < patience || b.s.Literal; idle++ {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		e, ok, err := b.bestExchange(x, y, done)
		if err != nil {
			return err
		}
		if !ok {
			break
		}
		if err := b.put(x, y, e.forX, e.forY, e.score); err != nil {
			return err
		}
		done[e.left], done[e.right] = true, true
		if b.score.better(best) {
			bestX, bestY, best, idle = b.sets[x], b.sets[y], b.score, -1
		}
	}
	return b.put(x, y, bestX, bestY, best)
}

// bestExchange tries every pair of kinds of tasks that are not done, and each
// kind alone.
func (b *board) bestExchange(x, y int, done map[int]bool) (exchange, bool, error) {
	best := exchange{score: hopeless}
	for _, o := range b.offers(x, y, done) {
		if o.atLeast > best.score.latency {
			break // so are all that follow
		}
		forX, forY := exchanged(b.sets[x], o.left, o.right), exchanged(b.sets[y], o.right, o.left)
		got, err := b.try(x, y, forX, forY, best.score)
		if err != nil {
			return exchange{}, false, err
		}
		if got.better(best.score) {
			best = exchange{o.left, o.right, forX, forY, got}
		}
	}
	return best, best.score != hopeless, nil
}

// offer is an exchange that may be tried.
type offer struct {
	left, right int
	// atLeast is a bound on when the two processes end; 0 where there is none.
	atLeast time.Duration
}

// offers are the exchanges to try between x and y, the most promising first;
// Algorithm 2 as printed takes them as they come.
func (b *board) offers(x, y int, done map[int]bool) []offer {
	var out []offer
	beginX, beginY := b.begin(x), b.begin(y)
	cpuX, cpuY := b.cpu(b.sets[x]), b.cpu(b.sets[y])
	none := work{}
	rights := b.ofEachKind(b.sets[y], done)
	for _, left := range b.ofEachKind(b.sets[x], done) {
		for _, right := range rights {
			goes, comes := none, none
			switch {
			case left < 0 && right < 0:
				continue
			case left < 0 || right < 0:
				if b.s.Literal {
					continue
				}
			case b.st.kinds[left] == b.st.kinds[right]:
				continue
			}
			if left >= 0 {
				goes = b.st.work[left]
			}
			if right >= 0 {
				comes = b.st.work[right]
			}
			o := offer{left: left, right: right}
			if b.composed && !b.s.Literal {
				moved := comes.cpu - goes.cpu
				o.atLeast = max(beginX+max(cpuX+moved, comes.duration), beginY+max(cpuY-moved, goes.duration))
			}
			out = append(out, o)
		}
	}
	slices.SortStableFunc(out, func(a, b offer) int { return cmp.Compare(a.atLeast, b.atLeast) })
	return out
}

// ofEachKind returns the first task of every kind that is not done, then -1: no
// task.
func (b *board) ofEachKind(set []int, done map[int]bool) []int {
	var out []int
	seen := make(map[uint16]bool)
	for _, t := range set {
		if kind := b.st.kinds[t]; !done[t] && !seen[kind] {
			seen[kind] = true
			out = append(out, t)
		}
	}
	return append(out, -1)
}

// last is the process that ends last; after the processes come the groups apart.
func (b *board) last() int {
	sets, ends := b.sets, b.ends
	for j := range sets {
		if len(sets[j]) == 0 {
			continue
		}
		// Without it the stage is better: it is among the last.
		set, end := sets[j], ends[j]
		ends[j] = 0
		without := b.compose(sets)
		sets[j], ends[j] = set, end
		if without.better(b.score) {
			return j
		}
	}
	return len(sets)
}
