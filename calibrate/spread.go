package calibrate

import (
	"cmp"
	"math"
	"slices"
	"time"

	"github.com/chiron-faas/chiron/predict"
)

// factors is predict.Calibration.Spread: every request of a shape of one stage
// cost some times what that shape's requests cost (the midmean, as the
// constants are), and how it varies is taken to be alike for all shapes, which
// gives enough requests to know one in a hundred. What the functions themselves
// took is not in it. nil where nothing was observed.
func factors(observed []*observation) []float64 {
	var all []float64
	for _, o := range observed {
		middle := midmean(o.overheads)
		if len(o.stages) != 1 || middle <= 0 {
			continue
		}
		for _, v := range o.overheads {
			all = append(all, max(0, v/middle))
		}
	}
	if len(all) < predict.MaxSpread {
		return nil
	}
	slices.Sort(all)
	knots := make([]float64, predict.MaxSpread)
	last := len(knots) - 1
	sum := 0.0
	for i := range last {
		knots[i] = rounded(quantile(all, float64(i)/float64(last)))
		sum += 2 * knots[i]
	}
	sum -= knots[0]
	// The last is such that the straight lines between the quantiles have the
	// mean of the requests: the slowest of all would stand for one in 200.
	mean := 0.0
	for _, v := range all {
		mean += v / float64(len(all))
	}
	knots[last] = rounded(min(all[len(all)-1], max(knots[last-1], 2*mean*float64(last)-sum)))
	return knots
}

// together is predict.Calibration.Together: the mean of Spearman's rank
// correlations of each two functions of the shape that computes several times in
// a row, over the rounds.
func together(observed []*observation) float64 {
	for _, o := range observed {
		if o.name != togetherName || len(o.functions) < 2 || len(o.functions[0]) < minRuns {
			continue
		}
		ranks := make([][]int, len(o.functions))
		for i, runs := range o.functions {
			ranks[i] = ranksOf(runs)
		}
		sum, pairs := 0.0, 0.0
		for i, a := range ranks {
			for _, b := range ranks[i+1:] {
				sum += spearman(a, b)
				pairs++
			}
		}
		return rounded(max(0, sum/pairs))
	}
	return 0
}

// agentTime is predict.Calibration.Agent: what each further call, in a sequence or
// beside others, adds to the CPU time of the agent.
func agentTime(observed []*observation) time.Duration {
	var points []point
	for _, o := range observed {
		calls := 0
		for _, n := range sequenceLengths {
			if o.name == key("sequence", n) {
				calls = n
			}
		}
		for _, n := range poolWidths {
			if o.name == key("pool", n) {
				calls = n
			}
		}
		if calls > 0 {
			points = append(points, point{float64(calls), midmean(o.agent)})
		}
	}
	return time.Duration(max(0, slope(points))).Round(100 * time.Nanosecond)
}

// beside is predict.Calibration.Beside: how much longer the functions of the shape
// of that name took by twos than alone, of each request the ratio, for within a
// request the machine changes least.
func beside(observed []*observation) float64 {
	for _, o := range observed {
		// In the order in which they began: one, two, one, two.
		if o.name != besideName || len(o.functions) != 6 {
			continue
		}
		var ratios []float64
		for i := range o.functions[0] {
			run := func(k int) float64 { return o.functions[k][i] }
			if alone := run(0) + run(3); alone > 0 {
				ratios = append(ratios, (run(1)+run(2)+run(4)+run(5))/2/alone)
			}
		}
		return rounded(min(1, max(0, midmean(ratios)-1)))
	}
	return 0
}

// ranksOf says for each value how many are less, the earlier of equals first.
func ranksOf(values []float64) []int {
	order := make([]int, len(values))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(values[a], values[b]) })
	ranks := make([]int, len(values))
	for rank, i := range order {
		ranks[i] = rank
	}
	return ranks
}

// spearman is 1 − 6·Σd²/(n·(n²−1)).
func spearman(a, b []int) float64 {
	n := float64(len(a))
	squares := 0.0
	for i := range a {
		d := float64(a[i] - b[i])
		squares += d * d
	}
	return 1 - 6*squares/(n*(n*n-1))
}

// rounded to four digits after the point: a file is read by people.
func rounded(v float64) float64 { return math.Round(v*1e4) / 1e4 }
