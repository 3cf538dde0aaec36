package pgp

import (
	"context"
	"math/rand/v2"
	"time"
)

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
