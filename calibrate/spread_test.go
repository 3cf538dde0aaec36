package calibrate

import (
	"math"
	"testing"

	"github.com/chiron-faas/chiron/predict"
)

// TestFactors: requests that cost from 0.9 to 1.1 of their shape's midmean, and
// one in fifty five times that.
func TestFactors(t *testing.T) {
	var all []*observation
	for _, s := range constantShapes() {
		o := &observation{shape: s}
		base := 1e6 * float64(len(all)+1)
		for i := range 100 {
			f := 0.9 + 0.2*float64(i)/99
			if i%50 == 7 {
				f = 5
			}
			if len(s.stages) > 1 {
				f = 40 // not of one stage: left out
			}
			o.overheads = append(o.overheads, base*f)
		}
		all = append(all, o)
	}
	got := factors(all)
	if len(got) != predict.MaxSpread {
		t.Fatalf("%d quantiles", len(got))
	}
	for _, k := range []struct {
		at   int
		want float64
	}{{0, 0.9}, {50, 1}, {95, 1.1}, {99, 5}, {100, 5}} {
		if math.Abs(got[k.at]-k.want) > 0.02 {
			t.Errorf("quantile %d is %v, want about %v", k.at, got[k.at], k.want)
		}
	}
	c := truth
	if c.Spread = got; c.Check() != nil {
		t.Error(c.Check())
	}
	if factors([]*observation{{shape: constantShapes()[0]}}) != nil {
		t.Error("nothing observed, yet it varies")
	}
}
