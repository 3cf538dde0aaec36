package quantile

import (
	"math"
	"slices"
)

// Nearest is the least of the values that at least percent % of them do not
// exceed: with n values the one of rank ⌈percent/100·n⌉, from 1. They are
// ascending; of none it is 0.
func Nearest[T ~int64 | ~float64](ascending []T, percent float64) T {
	n := len(ascending)
	if n == 0 {
		return 0
	}
	// The small part keeps 99.9 % of 1000 at 999 whatever the division rounds to.
	rank := int(math.Ceil(percent/100*float64(n) - 1e-9))
	return ascending[min(max(rank, 1), n)-1]
}

// Median is the value in the middle, or half way between the two there; of none
// it is 0. It leaves the values in their order.
func Median[T ~int64 | ~float64](values []T) T {
	n := len(values)
	if n == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}
