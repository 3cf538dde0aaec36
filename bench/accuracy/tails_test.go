package accuracy

import (
	"math"
	"testing"
	"time"
)

func TestTailOf(t *testing.T) {
	row := Row{PredictedP50: 50, PredictedP90: 90, PredictedP99: 198}
	for l := 1; l <= 100; l++ {
		row.latencies = append(row.latencies, time.Duration(l))
	}
	got, ok := tailOf([]Row{row, {latencies: []time.Duration{7}}})
	// The requests take 1 … 100: their 99th percentile is 99, half of what was predicted.
	if !ok || got.requests != 100 || got.p50 != 0.5 || got.p90 != 0.9 || got.p99 != 1 || math.Abs(got.error-1) > 1e-9 {
		t.Errorf("got %+v", got)
	}
	if _, ok := tailOf(nil); ok {
		t.Error("no rows have a tail")
	}
}
