package pipeline

import (
	"testing"
	"time"
)

func TestObjective(t *testing.T) {
	samples := make([]time.Duration, 0, 200)
	for i := range 200 {
		samples = append(samples, time.Duration(200-i)*time.Millisecond)
	}
	for _, c := range []struct {
		percentile float64
		at         string
		want       time.Duration
		need       int
	}{
		{0, "mean", 100500 * time.Microsecond, 1},
		{50, "p50", 100 * time.Millisecond, 3},
		{99, "p99", 198 * time.Millisecond, 101},
		{99.9, "p99.9", 200 * time.Millisecond, 1001},
		{0.1, "p0.1", time.Millisecond, 2},
	} {
		o := &Objective{Percentile: c.percentile}
		if got := o.Of(samples); got != c.want || o.At() != c.at || o.need() != c.need {
			t.Errorf("%v: %v (%s, needs %d), want %v (%s, needs %d)", c.percentile, got, o.At(), o.need(), c.want, c.at, c.need)
		}
	}
	if got := (&Objective{Percentile: 99}).Of(nil); got != 0 {
		t.Errorf("of nothing: %v", got)
	}
}
