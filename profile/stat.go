package profile

import (
	"math"
	"slices"
	"time"

	"github.com/chiron-faas/chiron/internal/quantile"
)

// NewStat summarises samples. StdDev is the sample's (n−1); percentiles are
// nearest-rank, so P99 of fewer than 100 samples is the largest. No samples
// give the zero Stat.
func NewStat(samples []time.Duration) Stat {
	n := len(samples)
	if n == 0 {
		return Stat{}
	}
	sorted := slices.Clone(samples)
	slices.Sort(sorted)
	var sum float64
	for _, d := range sorted {
		sum += float64(d)
	}
	mean := sum / float64(n)
	var squares float64
	for _, d := range sorted {
		squares += (float64(d) - mean) * (float64(d) - mean)
	}
	s := Stat{
		Mean: time.Duration(math.Round(mean)),
		Min:  sorted[0],
		P50:  quantile.Nearest(sorted, 50),
		P99:  quantile.Nearest(sorted, 99),
		Max:  sorted[n-1],
	}
	if n > 1 {
		s.StdDev = time.Duration(math.Round(math.Sqrt(squares / float64(n-1))))
	}
	return s
}

// MaxWalls bounds Function.Walls: one for every percent, and the shortest.
const MaxWalls = 101

// NewWalls makes a Function's Walls of its runs.
func NewWalls(samples []time.Duration) []time.Duration {
	sorted := slices.Clone(samples)
	slices.Sort(sorted)
	n := len(sorted)
	if n <= MaxWalls {
		return sorted
	}
	walls := make([]time.Duration, MaxWalls)
	for i := range walls {
		walls[i] = sorted[(i*(n-1)+(MaxWalls-1)/2)/(MaxWalls-1)] // the nearest rank
	}
	return walls
}

// MeanError is half the width of the mean's 95 % confidence interval, relative
// to the mean: 0.02 means that the mean is known within 2 %. It is +Inf for
// fewer than two runs, and 0 for a mean of 0.
func (s Stat) MeanError(runs int) float64 {
	if runs < 2 {
		return math.Inf(1)
	}
	if s.Mean <= 0 {
		return 0
	}
	return student95(runs-1) * float64(s.StdDev) / math.Sqrt(float64(runs)) / float64(s.Mean)
}

// student95 is the two-sided 95 % quantile of Student's t with df degrees of
// freedom: exact for 1 and 2, else Fisher's expansion around the normal
// quantile (Abramowitz and Stegun, 26.7.5), within 1 % from df = 3 on.
func student95(df int) float64 {
	switch df {
	case 1:
		return 12.706
	case 2:
		return 4.303
	}
	const z = 1.959964
	n := float64(df)
	z3, z5, z7 := math.Pow(z, 3), math.Pow(z, 5), math.Pow(z, 7)
	return z + (z3+z)/(4*n) + (5*z5+16*z3+3*z)/(96*n*n) + (3*z7+19*z5+17*z3-15*z)/(384*n*n*n)
}
