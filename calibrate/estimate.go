package calibrate

import (
	"math"
	"slices"
	"time"
)

// point is one observation that a line goes through: how many of a thing there
// were, and how long that took, ns.
type point struct{ x, y float64 }

// slope is Theil's and Sen's: the median of the slopes between all pairs of
// points. Up to 29 % of the points may be anything without moving it far
// (Sen, 1968), where least squares follow a single outlier. 0 where there are
// not two different x.
func slope(points []point) float64 {
	var slopes []float64
	for i, a := range points {
		for _, b := range points[i+1:] {
			if a.x != b.x {
				slopes = append(slopes, (b.y-a.y)/(b.x-a.x))
			}
		}
	}
	return median(slopes)
}

// intercept of the line with that slope: the median of what it leaves.
func intercept(points []point, slope float64) float64 {
	rest := make([]float64, len(points))
	for i, p := range points {
		rest[i] = p.y - slope*p.x
	}
	return median(rest)
}

// quantile q (0 to 1) of the values, interpolated between neighbours; 0 where
// there are none. It leaves the slice as it is.
func quantile(values []float64, q float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	at := q * float64(len(sorted)-1)
	below := math.Floor(at)
	low := sorted[int(below)]
	high := sorted[min(int(below)+1, len(sorted)-1)]
	return low + (high-low)*(at-below)
}

func median(values []float64) float64 { return quantile(values, 0.5) }

// spread is how far apart the middle half of the values is.
func spread(values []float64) float64 { return quantile(values, 0.75) - quantile(values, 0.25) }

// midmean is the mean of the middle half of the values. Like a median it does
// not follow a few wild ones; but where a machine runs at two speeds by turns,
// as virtual ones do, the midmeans of parts add up to about that of their sum,
// and medians do not.
func midmean(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	cut := len(sorted) / 4
	sorted = sorted[cut : len(sorted)-cut]
	sum := 0.0
	for _, v := range sorted {
		sum += v
	}
	return sum / float64(len(sorted))
}

func duration(ns float64) time.Duration { return time.Duration(math.Round(ns)) }
