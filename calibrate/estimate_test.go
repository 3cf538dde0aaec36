package calibrate

import (
	"math"
	"math/rand/v2"
	"testing"
)

func TestSlope(t *testing.T) {
	line := []point{{1, 13}, {2, 16}, {4, 22}, {8, 34}, {16, 58}} // 10 + 3x
	tests := map[string]struct {
		points           []point
		slope, intercept float64
	}{
		"line":         {line, 3, 10},
		"wild last":    {append(append([]point{}, line...), point{32, 1e6}), 3, 10},
		"two":          {[]point{{1, 5}, {6, 20}}, 3, 2},
		"same x twice": {[]point{{1, 4}, {1, 6}, {3, 9}}, 2, 3},
		"one":          {[]point{{2, 7}}, 0, 7},
		"none":         {nil, 0, 0},
		"falling":      {[]point{{1, 9}, {2, 7}, {3, 5}}, -2, 11},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got := slope(test.points)
			// The outlier takes part in 5 of 15 pairs: the median stays.
			if math.Abs(got-test.slope) > 1e-9 {
				t.Errorf("slope %v, want %v", got, test.slope)
			}
			if in := intercept(test.points, got); math.Abs(in-test.intercept) > 1e-9 {
				t.Errorf("intercept %v, want %v", in, test.intercept)
			}
		})
	}
}

func TestMiddle(t *testing.T) {
	tests := map[string]struct {
		values                  []float64
		median, midmean, spread float64
	}{
		"none":   {nil, 0, 0, 0},
		"one":    {[]float64{5}, 5, 5, 0},
		"two":    {[]float64{4, 6}, 5, 5, 1},
		"odd":    {[]float64{9, 1, 5}, 5, 5, 4},
		"wild":   {[]float64{3, 1, 2, 4, 1e9, 5, 6, 7}, 4.5, 4.5, 3.5},
		"speeds": {[]float64{1, 1, 1, 1, 1, 3, 3, 3}, 1, 1.5, 2},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := median(test.values); got != test.median {
				t.Errorf("median %v, want %v", got, test.median)
			}
			if got := midmean(test.values); got != test.midmean {
				t.Errorf("midmean %v, want %v", got, test.midmean)
			}
			if got := spread(test.values); got != test.spread {
				t.Errorf("spread %v, want %v", got, test.spread)
			}
		})
	}
}

// The estimators must not move by more than the wild values' share, whatever
// those are.
func TestMidmeanHoldsOut(t *testing.T) {
	dice := rand.New(rand.NewPCG(7, 7))
	for range 200 {
		values := make([]float64, 40)
		for i := range values {
			values[i] = 100 + dice.Float64()
			if i < 8 { // a fifth
				values[i] = 100 + 1e9*(dice.Float64()-0.5)
			}
		}
		if got := midmean(values); got < 100 || got > 101 {
			t.Fatalf("midmean %v of values from 100 to 101 and a fifth wild ones", got)
		}
	}
}
