package predict

import (
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/chiron-faas/chiron/profile"
)

// Drawing a run of a function: its profile keeps how long whole runs took, as
// evenly spaced order statistics (the knots of its quantile function, straight
// between them), and how much each period varies. A rank, uniform from 0 to 1,
// is looked up in the one; what the run takes more or less than the mean is dealt
// to the periods by their variance, which is what is to be expected of periods
// that vary independently and sum to it.
//
// What is drawn is integer arithmetic; the knots are made with floats, each
// rounded before anything is added to it, so that no machine fuses the two.

// runs are the runs of one task that may be drawn.
type runs struct {
	knots int // 0: its runs do not vary
	// works of the periods, knot by knot.
	works []int64
}

// taskRuns are a task's runs: in a process that has called its function, and in
// one that has not. One rank draws from both.
type taskRuns struct{ warm, cold runs }

// spanBits is the resolution between two knots. With it, periods up to 2⁴⁷ ns
// (39 hours) do not overflow.
const spanBits = 16

// locate finds a rank (of 2³²) among knots: after the k-th by a part of 2^spanBits.
func locate(rank uint32, knots int) (k int, part int64) {
	scaled := uint64(rank) * uint64(knots-1)
	return int(scaled >> 32), int64(scaled & math.MaxUint32 >> (32 - spanBits))
}

// draw sets the periods' work to the run of a rank.
func (r *runs) draw(rank uint32, periods []period) {
	if r.knots == 0 {
		return
	}
	k, part := locate(rank, r.knots)
	n := len(periods)
	low, high := r.works[k*n:(k+1)*n], r.works[(k+1)*n:(k+2)*n]
	for i := range periods {
		periods[i].work = low[i] + (high[i]-low[i])*part>>spanBits
	}
}

// at is the value of a rank among evenly spaced knots.
func at(knots []int64, rank uint32) int64 {
	k, part := locate(rank, len(knots))
	return knots[k] + (knots[k+1]-knots[k])*part>>spanBits
}

// runsOf reads how a task's runs vary, for its periods or those of a first call.
// Walls are of warm runs: a first call's deviate as much in proportion.
func runsOf(t *task, periods []period) runs {
	mean := sumOf(periods)
	off := deviations(t, periods)
	if mean == 0 || off == nil || off[0] == off[len(off)-1] {
		return runs{}
	}
	r := runs{knots: len(off), works: make([]int64, 0, len(off)*len(periods))}
	for _, d := range off {
		r.works = append(r.works, deal(periods, max(d, -mean))...)
	}
	return r
}

// deviations of whole runs from their mean, as knots: as the profile saw them,
// or where it kept only how much the periods vary, of a shape that fits.
func deviations(t *task, periods []period) []int64 {
	mean := sumOf(periods)
	if len(t.walls) > 1 {
		knots := make([]int64, len(t.walls))
		for i, w := range t.walls {
			knots[i] = int64(w)
		}
		tame(knots, int64(t.mean))
		off := centred(knots)
		if warm := sumOf(t.periods); warm > 0 && warm != mean {
			for i, d := range off {
				off[i] = int64(math.Round(float64(d) * (float64(mean) / float64(warm))))
			}
		}
		return off
	}
	var variance float64
	for _, p := range periods {
		variance += p.variance
	}
	if variance == 0 {
		return nil
	}
	return centred(shifted(mean, math.Sqrt(variance)))
}

func sumOf(periods []period) (sum int64) {
	for _, p := range periods {
		sum += p.work
	}
	return sum
}

// tame gives the last knot, where the profile kept fewer of the runs than there
// were, the value with which the knots have the runs' mean. The longest run of
// a thousand stands there else, as if one in two hundred took half as long.
func tame(knots []int64, mean int64) {
	last := len(knots) - 1
	if last != wallKnots-1 || mean == 0 {
		return
	}
	rest := 2*mean*int64(last) - knots[0] // see meanOfKnots
	for _, k := range knots[1:last] {
		rest -= 2 * k
	}
	knots[last] = min(knots[last], max(knots[last-1], rest))
}

// wallKnots is how many order statistics a profile keeps at most.
const wallKnots = profile.MaxWalls

// centred takes the mean of the knots' straight lines from them.
func centred(knots []int64) []int64 {
	mean := meanOfKnots(knots)
	out := make([]int64, len(knots))
	for i, k := range knots {
		out[i] = k - mean
	}
	return out
}

// meanOfKnots is the mean of a distribution with these knots.
func meanOfKnots(knots []int64) int64 {
	last := len(knots) - 1
	sum := knots[0] + knots[last] // twice the sum of the cells
	for _, k := range knots[1:last] {
		sum += 2 * k
	}
	return (sum + int64(last)) / int64(2*last)
}

// shifted are knots of a least time and an exponential rest: mean − deviation is
// the least, what a run takes beyond it has the deviation as its mean. It is
// the plainest shape of latencies: a floor and a tail to one side. Where the
// deviation is over the mean, runs that would take less than nothing take
// nothing, and all are scaled to the mean: their deviation is then less.
func shifted(mean int64, deviation float64) []int64 {
	shape := exponential()
	middle := meanOfKnots(shape)
	knots := make([]int64, len(shape))
	for i, e := range shape {
		knots[i] = max(0, mean+int64(math.Round(float64(deviation*float64(e-middle))/micro)))
	}
	if got := meanOfKnots(knots); got > mean {
		for i := range knots {
			knots[i] = int64(float64(knots[i]) * (float64(mean) / float64(got)))
		}
	}
	return knots
}

// micro is the unit of parts: millionths.
const micro = 1e6

// exponential has the quantiles of the exponential distribution with mean 1, in
// millionths: −ln(1−u). The last is such that the last cell has the mean of all
// beyond: by ln 100, the distribution begins anew.
func exponential() []int64 {
	knots := make([]int64, wallKnots)
	last := wallKnots - 1
	for i := range last {
		// Rounded to millionths, every machine's logarithm is the same
		// (TestExponentialIsTheSameEverywhere).
		knots[i] = int64(math.Round(-micro * math.Log(float64(last-i)/float64(last))))
	}
	knots[last] = knots[last-1] + 2*micro
	return knots
}

// deal gives each period its part of a run's deviation, by its variance, or by
// its length where none is known to vary. What a period cannot be shorter, the
// others are.
func deal(periods []period, off int64) []int64 {
	works := make([]int64, len(periods))
	for i, p := range periods {
		works[i] = p.work
	}
	left := dealBy(weightsOf(periods), works, off)
	if left == 0 {
		return works
	}
	// All that varies is at nothing: the rest gives way by its length.
	lengths := make([]float64, len(works))
	for i, w := range works {
		lengths[i] = float64(w)
	}
	dealBy(lengths, works, left)
	return works
}

// dealBy adds off to the works by weight and returns what it could not take from
// them, since none gets less than nothing. It uses up the weights.
func dealBy(weights []float64, works []int64, off int64) int64 {
	for off != 0 {
		var total float64
		widest := -1
		for i, w := range weights {
			total += w
			if w > 0 && (widest < 0 || w > weights[widest]) {
				widest = i
			}
		}
		if widest < 0 {
			break
		}
		left := off
		for i, w := range weights {
			if i == widest {
				continue
			}
			part := max(int64(math.Round(float64(off)*(w/total))), -works[i])
			works[i] += part
			left -= part
		}
		// The widest takes what rounding and the others leave, as far as it can.
		part := max(left, -works[widest])
		works[widest] += part
		off = left - part
		for i, w := range works {
			if w == 0 {
				weights[i] = 0
			}
		}
	}
	return off
}

// overheadOf makes knots of Calibration.Spread, in millionths; nil: no spread.
func overheadOf(spread []float64) []int64 {
	if len(spread) < 2 {
		return nil
	}
	knots := make([]int64, len(spread))
	for i, s := range spread {
		knots[i] = int64(math.Round(s * micro))
	}
	return knots
}

// sharesOf says for each column of draws which part of its ranks is the
// moment's: the root of Together, and of a task's only as much as what varies of
// it computes. What waits, waits for others, whose luck is their own.
func (p *Predictor) sharesOf() []uint32 {
	whole := math.Sqrt(p.calibration.Together)
	shares := make([]uint32, firstTaskColumn+len(p.tasks))
	shares[overheadColumn] = partOf32(whole)
	for i := range p.tasks {
		computing, all := 0.0, 0.0
		weights := weightsOf(p.tasks[i].periods)
		for k, one := range p.tasks[i].periods {
			all += weights[k]
			if one.class != profile.Block {
				computing += weights[k]
			}
		}
		if all > 0 {
			shares[firstTaskColumn+i] = partOf32(whole * (computing / all))
		}
	}
	return shares
}

// partOf32 is a part, 0 to 1, in 2³².
func partOf32(part float64) uint32 {
	return uint32(min(math.Round(math.Ldexp(part, 32)), math.MaxUint32))
}

// weightsOf periods by which a run's deviation is dealt: their variances, or
// their lengths where none is known to vary.
func weightsOf(periods []period) []float64 {
	weights := make([]float64, len(periods))
	varies := false
	for i, p := range periods {
		weights[i] = p.variance
		varies = varies || p.variance > 0
	}
	if !varies {
		for i, p := range periods {
			weights[i] = float64(p.work)
		}
	}
	return weights
}

// scaled has all constants of a request times some millionths; the switch
// interval is a setting and stays.
func (c Calibration) scaled(by int64) Calibration {
	for _, k := range [...]*time.Duration{&c.Request, &c.Dispatch, &c.ThreadStart, &c.Startup, &c.Block, &c.Exit, &c.IPC, &c.RPC, &c.INV, &c.Standby, &c.Agent, &c.Row} {
		*k = *k * time.Duration(by) / micro
	}
	return c
}

// draws are the ranks of all samples, as parts of 2³².
type draws struct {
	columns int
	ranks   []uint32 // sample by sample
	// What they were made for.
	samples int
	seed    uint64
}

// Columns of draws: what all of a request share, the overhead, then the tasks.
const (
	momentColumn = iota
	overheadColumn
	firstTaskColumn
)

func (d *draws) of(sample int) []uint32 {
	return d.ranks[sample*d.columns : (sample+1)*d.columns]
}

// make draws the ranks, unless they are there. shares[c] is the part of samples
// whose rank of column c is that of the moment, for parts of 2³²: two columns
// that share a part p each have the rank correlation p². Every column is stratified (a
// Latin hypercube: McKay, Beckman and Conover, 1979): of n samples one falls into
// each n-th part of its range, so that each function's own distribution is met
// closely with few samples, and only their meeting is left to chance.
func (d *draws) make(samples int, shares []uint32, seed uint64) {
	columns := len(shares)
	if d.samples == samples && d.columns == columns && d.seed == seed {
		return
	}
	*d = draws{columns: columns, samples: samples, seed: seed, ranks: slices.Grow(d.ranks[:0], samples*columns)[:samples*columns]}
	dice := rand.New(rand.NewPCG(seed, 0))
	strata := make([]uint32, samples)
	for c := range columns {
		for i := range strata {
			strata[i] = uint32(i)
		}
		dice.Shuffle(samples, func(i, j int) { strata[i], strata[j] = strata[j], strata[i] })
		for i, s := range strata {
			own := uint32((uint64(s)<<32 | uint64(dice.Uint32())) / uint64(samples))
			if dice.Uint32() < shares[c] {
				own = d.ranks[i*columns+momentColumn]
			}
			d.ranks[i*columns+c] = own
		}
	}
}

// seedOf makes a generator's state, never 0, of a request's draws (FNV-1a).
func seedOf(draws []uint32) uint64 {
	h := uint64(14695981039346656037)
	for _, d := range draws {
		h = (h ^ uint64(d)) * 1099511628211
	}
	return h | 1
}
