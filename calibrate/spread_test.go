package calibrate

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

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

func TestBeside(t *testing.T) {
	dice := rand.New(rand.NewPCG(2, 8))
	o := &observation{shape: besideShape(), functions: make([][]float64, 6)}
	for range 40 {
		// The machine's speed changes from request to request, not within one.
		alone := 4e6 * (1 + dice.Float64())
		for i := range o.functions {
			by := 1.12
			if i == 0 || i == 3 {
				by = 1
			}
			o.functions[i] = append(o.functions[i], alone*by)
		}
	}
	if got := beside([]*observation{o}); math.Abs(got-0.12) > 1e-4 {
		t.Errorf("got %v, want 0.12", got)
	}
	if got := beside(nil); got != 0 {
		t.Errorf("of nothing: %v", got)
	}
	d, err := o.parse()
	if err != nil || len(d.Tasks()) != len(o.functions) {
		t.Errorf("the shape has %d tasks, %v", len(d.Tasks()), err)
	}
}

func TestTogether(t *testing.T) {
	dice := rand.New(rand.NewPCG(1, 8))
	of := func(shared float64) float64 {
		o := &observation{shape: togetherShape(), functions: make([][]float64, 4)}
		for range 400 {
			moment := dice.NormFloat64()
			for i := range o.functions {
				o.functions[i] = append(o.functions[i], 10+shared*moment+(1-shared)*dice.NormFloat64())
			}
		}
		return together([]*observation{o})
	}
	if got := of(1); got != 1 {
		t.Errorf("all as one: %v", got)
	}
	if got := of(0); got > 0.05 {
		t.Errorf("each for itself: %v", got)
	}
	// Equal parts correlate by 1/2; by rank by 6/π·asin(1/4) = 0.483.
	if got := of(0.5); math.Abs(got-0.483) > 0.06 {
		t.Errorf("half and half: %v", got)
	}
	if got := together(nil); got != 0 {
		t.Errorf("of nothing: %v", got)
	}
}

func TestAgentTime(t *testing.T) {
	// 0.2 ms a request and 0.05 for each call; what runs in threads does not count.
	observed := []*observation{{shape: &shape{name: key("threads", 8)}, agent: []float64{9e6}}}
	for name, calls := range map[string]float64{
		key("sequence", 1): 1, key("sequence", 6): 6, key("pool", 2): 2, key("pool", 4): 4,
	} {
		observed = append(observed, &observation{shape: &shape{name: name}, agent: []float64{2e5 + 5e4*calls, 2e5 + 5e4*calls}})
	}
	if got := agentTime(observed); got != 50*time.Microsecond {
		t.Errorf("%v, want 50µs", got)
	}
	if got := agentTime(nil); got != 0 {
		t.Errorf("of nothing: %v", got)
	}
}
