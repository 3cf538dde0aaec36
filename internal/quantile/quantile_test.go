package quantile

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// TestNearest holds it against its definition, in integers: of a percentile in
// hundredths of a percent.
func TestNearest(t *testing.T) {
	hundredths := []int{1, 9950, 9990, 9999, 10000}
	for p := 100; p < 10000; p += 100 {
		hundredths = append(hundredths, p)
	}
	var ascending []time.Duration
	for n := 1; n <= 3000; n++ {
		ascending = append(ascending, time.Duration(n))
		for _, p := range hundredths {
			want := time.Duration((p*n + 9999) / 10000)
			if got := Nearest(ascending, float64(p)/100); got != want {
				t.Fatalf("p%v of 1 to %d: %d, want %d", float64(p)/100, n, got, want)
			}
		}
	}
}

func TestNearestIsOneOfTheValues(t *testing.T) {
	for _, test := range []struct {
		ascending []float64
		percent   float64
		want      float64
	}{
		{nil, 50, 0},
		{[]float64{7}, 0, 7},
		{[]float64{7}, 100, 7},
		{[]float64{1, 2, 4, 8}, 50, 2},
		{[]float64{1, 2, 4, 8}, 51, 4},
		{[]float64{1, 2, 4, 8}, 75, 4},
		{[]float64{1, 2, 4, 8}, 99, 8},
	} {
		if got := Nearest(test.ascending, test.percent); got != test.want {
			t.Errorf("p%v of %v: %v, want %v", test.percent, test.ascending, got, test.want)
		}
	}
}

func TestMedian(t *testing.T) {
	for _, test := range []struct {
		values []time.Duration
		want   time.Duration
	}{
		{nil, 0},
		{[]time.Duration{5}, 5},
		{[]time.Duration{9, 1}, 5},
		{[]time.Duration{2, 1}, 1}, // a half is cut off, as durations are
		{[]time.Duration{9, 1, 2}, 2},
		{[]time.Duration{9, 1, 2, 4}, 3},
	} {
		before := slices.Clone(test.values)
		if got := Median(test.values); got != test.want || !slices.Equal(test.values, before) {
			t.Errorf("of %v: %d, want %d; left as %v", before, got, test.want, test.values)
		}
	}
	if got := Median([]float64{2, 1}); got != 1.5 {
		t.Errorf("of 1 and 2: %v", got)
	}
}

// Half of the values lie on either side of the median, and half or more do not
// exceed the 50th percentile.
func TestHalves(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for range 500 {
		values := make([]float64, 1+r.IntN(50))
		for i := range values {
			values[i] = math.Round(r.NormFloat64() * 5) // some are alike
		}
		below, above := 0, 0
		m := Median(values)
		for _, v := range values {
			if v < m {
				below++
			}
			if v > m {
				above++
			}
		}
		if below > len(values)/2 || above > len(values)/2 {
			t.Fatalf("%v: %d below and %d above %v", values, below, above, m)
		}
		slices.Sort(values)
		if p := Nearest(values, 50); p > m || !slices.Contains(values, p) {
			t.Fatalf("%v: p50 %v, median %v", values, p, m)
		}
	}
}
