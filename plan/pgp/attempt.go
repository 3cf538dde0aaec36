package pgp

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/chiron-faas/chiron/plan"
)

// candidate is a plan with its predicted latency.
type candidate struct {
	plan    *plan.Plan
	layout  filled
	latency time.Duration
	memory  int64
}

// faster is the faster of two candidates, of which one may be nil; a on a tie.
func faster(a, b *candidate) *candidate {
	if a == nil || b != nil && b.latency < a.latency {
		return b
	}
	return a
}

// attempt is what came of a count of CPUs.
type attempt struct {
	cpus  int
	steps []Step
	// found are the candidates of the steps.
	found []*candidate
	// best meets the target, or is the fastest; nil: no layout could be.
	best        *candidate
	evaluations int
	// floor is the least that any layout takes; none was tried where that is over
	// the target.
	floor time.Duration
}

// asFastAsCanBe is a target that nothing meets.
const asFastAsCanBe = time.Duration(0)

// try finds the best plan with so many CPUs: the first layout that takes no
// longer than target, or the fastest.
func (s *search) try(ctx context.Context, cpus int, target time.Duration) (*attempt, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	w, err := s.newWorker()
	if err != nil {
		return nil, err
	}
	defer s.letGo(w)
	a := &attempt{cpus: cpus, floor: hopeless.latency}
	defer func() { a.evaluations = w.evaluations }()
	for _, l := range s.layouts(cpus) {
		if err := a.each(ctx, w, l.resident, target); err != nil {
			return nil, err
		}
		resident := a.best
		met := resident != nil && resident.latency <= target
		// Forking takes longer than calling a process that is there: where that is
		// too slow, or all that counts is speed, forking is not tried.
		if s.Method == Algorithm2 || s.Calibration.Startup < s.Calibration.Dispatch || met {
			a.best = nil
			if err := a.each(ctx, w, l.forked(), target); err != nil {
				return nil, err
			}
			if a.best == nil || a.best.latency > target {
				a.best = faster(resident, a.best)
			}
		}
		if a.best != nil && a.best.latency <= target {
			return a, nil
		}
	}
	if s.Method != Algorithm2 && a.best != nil {
		c, err := w.switchSooner(a.best, target)
		if err != nil {
			return nil, err
		}
		if c != nil {
			a.add(s, c, target)
		}
	}
	return a, nil
}

// each tries shapes until one takes no longer than target. Shapes that cannot, or
// cannot be faster than the best, are left out.
func (a *attempt) each(ctx context.Context, w *worker, shapes []*shape, target time.Duration) error {
	shapes, err := w.leading(ctx, shapes)
	if err != nil {
		return err
	}
	for _, sh := range shapes {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		floor := w.s.floor(sh)
		a.floor = min(a.floor, floor)
		if w.s.Method != Algorithm2 && (target > 0 && floor > target || a.best != nil && floor >= a.best.latency) {
			continue
		}
		if w.bar = 0; a.best != nil {
			w.bar = a.best.latency
		}
		c, err := w.partition(ctx, sh, target)
		if err != nil {
			return err
		}
		if c == nil {
			continue // it breaks a limit
		}
		a.add(w.s, c, target)
		if c.latency <= target {
			return nil
		}
	}
	return nil
}

func (a *attempt) add(s *search, c *candidate, target time.Duration) {
	a.best = faster(a.best, c)
	a.found = append(a.found, c)
	st := Step{
		Processes: len(c.layout.slots), Mode: c.layout.mode, Wraps: len(c.plan.Wraps), CPUs: c.plan.CPUs(), Shared: !c.layout.pinned(),
		Interval: shortestInterval(c.plan), Memory: c.memory, Latency: c.latency, Meets: s.SLO == 0 || c.latency <= s.SLO && (target == 0 || c.latency <= target),
	}
	if !st.Meets {
		st.Why = fmt.Sprintf("%.2f ms too slow", ms(c.latency-s.SLO))
		if c.latency <= s.SLO {
			st.Why = fmt.Sprintf("%.2f ms too slow at the percentile", ms(c.latency-target))
		}
	}
	a.steps = append(a.steps, st)
}

// leading are the layouts that do best when the longest tasks are dealt out first
// and then moved while that helps, where there are many: for stages of few tasks.
func (w *worker) leading(ctx context.Context, shapes []*shape) ([]*shape, error) {
	if w.s.Method != Production || len(shapes) <= smallChoices {
		return shapes, nil
	}
	sums := make(map[*shape]time.Duration, len(shapes))
	for _, sh := range shapes {
		taken := make([][]string, len(sh.slots))
		for i := range w.s.stages {
			st := &w.s.stages[i]
			if !w.s.composes(st, sh) {
				return shapes[:smallChoices], nil
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
	}
	shapes = slices.Clone(shapes)
	slices.SortStableFunc(shapes, func(a, b *shape) int { return cmp.Compare(sums[a], sums[b]) })
	return shapes[:smallChoices], nil
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

// Bounds on a board's predictions, by the effort of a round.
const (
	walkPredictions = 400
	kicks           = 120
	smallKicks      = 40 // in stages of few tasks
	// hopelessly many times the target is what descending alone does not leave
	// where more effort can help: in large stages it comes within 2 % of what the
	// other rounds find.
	hopelessly = 1.04
)

// improve goes over the boards in rounds until their sum is no more than target.
func (w *worker) improve(ctx context.Context, boards []*board, target time.Duration) error {
	sum := w.s.Calibration.Request
	for _, b := range boards {
		sum += b.score.latency
	}
	rng := rand.New(rand.NewPCG(seed, uint64(len(boards[0].sets))))
	// What a board may take at most, for the whole to beat what there is.
	limit := func(b *board) time.Duration {
		if w.bar == 0 {
			return hopeless.latency
		}
		left := w.bar - w.s.Calibration.Request + b.floor
		for _, other := range boards {
			left -= other.floor
		}
		return left
	}
	for i, round := range w.rounds(limit) {
		if i > 0 && w.s.Method == Production && target > 0 && float64(sum) > hopelessly*float64(target) && len(boards[0].st.names) > MaxExact {
			return nil
		}
		for i := range boards {
			b := boards[i]
			if sum <= target {
				return nil
			}
			if b.score.latency <= b.floor {
				continue
			}
			before := b.score.latency
			// What the other stages leave to this one.
			enough := max(0, before-(sum-target))
			if target == asFastAsCanBe {
				enough = 0
			}
			improved, err := round(ctx, b, enough, rng)
			if err != nil {
				return err
			}
			if improved.score.better(b.score) || improved == b {
				boards[i] = improved
			}
			sum += boards[i].score.latency - before
		}
	}
	return nil
}

type round func(ctx context.Context, b *board, enough time.Duration, rng *rand.Rand) (*board, error)

// rounds of improve.
func (w *worker) rounds(limit func(*board) time.Duration) []round {
	if w.s.Method == Exact {
		return []round{descending, func(ctx context.Context, b *board, _ time.Duration, _ *rand.Rand) (*board, error) {
			return b, b.exact(ctx, limit(b))
		}}
	}
	if w.s.small() {
		return []round{descending, otherStart, splitting, walking, kicking}
	}
	return []round{descending, otherStart, walking, kicking}
}

func descending(ctx context.Context, b *board, enough time.Duration, _ *rand.Rand) (*board, error) {
	if !b.composed {
		return b, b.improveWhole(ctx, enough)
	}
	return b, b.descend(ctx, enough)
}

// otherStart deals in turn.
func otherStart(ctx context.Context, b *board, enough time.Duration, rng *rand.Rand) (*board, error) {
	other, err := b.w.newBoard(b.st, b.sh, b.taken, b.w.inTurn(b.st, b.sh, b.taken))
	if err != nil {
		return nil, err
	}
	if !b.composed && float64(other.score.latency) > 1.2*float64(b.score.latency) {
		return b, nil
	}
	if other, err = descending(ctx, other, enough, rng); err != nil || !other.score.better(b.score) {
		return b, err
	}
	return other, nil
}

// splitting is for stages of few tasks.
func splitting(ctx context.Context, b *board, enough time.Duration, _ *rand.Rand) (*board, error) {
	if !b.composed {
		return b, nil
	}
	return b, b.splitPairs(ctx, enough)
}

func walking(ctx context.Context, b *board, enough time.Duration, rng *rand.Rand) (*board, error) {
	if !b.composed {
		return b, nil
	}
	return b, b.walk(ctx, rng, enough, walkPredictions)
}

func kicking(ctx context.Context, b *board, enough time.Duration, rng *rand.Rand) (*board, error) {
	if !b.composed {
		return b, nil
	}
	stop := b.w.evaluations + walkPredictions
	most := kicks
	if b.w.s.small() {
		most = smallKicks
	}
	for range most {
		if b.score.latency <= max(enough, b.floor) || b.w.evaluations >= stop {
			break
		}
		if err := b.kick(ctx, rng, enough); err != nil {
			return nil, err
		}
	}
	return b, nil
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

// ms is for text only.
func ms(d time.Duration) float64 { return float64(d) / 1e6 }
