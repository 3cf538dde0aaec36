package plan

import (
	"testing"
	"time"
)

func TestObjectiveInWords(t *testing.T) {
	for _, c := range []struct {
		o    Objective
		want string
	}{
		{Objective{Goal: FewestCPUs}, "the fewest CPUs"},
		{Objective{Goal: FewestCPUs, MostCPUs: 2, SLO: 120 * time.Millisecond, Percentile: 95}, "the fewest CPUs, at most 2, with p95 within 120ms"},
		{Objective{Goal: LowestLatency, MostCPUs: 1}, "the lowest latency, at most 1 CPU"},
		{Objective{Goal: LowestLatency, MostCPUs: 3}, "the lowest latency, at most 3 CPUs"},
		{Objective{Goal: LowestMoney, SLO: time.Second}, "the least money, with mean within 1s"},
	} {
		if got := c.o.String(); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}
