package predict

import (
	"testing"
	"time"

	"github.com/chiron-faas/chiron/predict/predicttest"
)

func TestServed(t *testing.T) {
	// A waits 4, then 6 more in which a server works, if it has a CPU. On b's it
	// works from 4 to the end of its turn at 8, when both have had 4, and again from
	// 12 to 14; B has 20 + 6.
	profile := predicttest.Behave(t, "a: block 10, b: cpu 20")
	profile.Functions[0].Periods[0].Served = 6 * ms
	for name, c := range map[string]struct {
		plan    string
		options Options
		a, want time.Duration
	}{
		"on the only CPU":       {"1: pool a | pool b", Options{CPUs: 1}, 14 * ms, 26 * ms},
		"where CPUs are shared": {"1: pool a; 1: pool b", Options{CPUs: 1}, 14 * ms, 26 * ms},
		"on another CPU":        {"2: pool a | pool b", Options{CPUs: 2}, 10 * ms, 20 * ms},
		"on a spare CPU":        {"1: pool a | pool b", Options{CPUs: 1, Spare: true}, 10 * ms, 20 * ms},
		"wraps leave one":       {"1: pool a | pool b", Options{CPUs: 2}, 10 * ms, 20 * ms},
		"elsewhere":             {"1: pool a | pool b", Options{}, 10 * ms, 20 * ms},
	} {
		p, err := New(predicttest.Define(t, predicttest.Par{"a", "b"}), profile, &Calibration{SwitchInterval: 5 * ms}, c.options)
		if err != nil {
			t.Fatal(err)
		}
		got, err := p.Predict(predicttest.Arrange(t, c.plan))
		if err != nil {
			t.Fatal(err)
		}
		var a time.Duration
		for _, s := range got.Timeline {
			if s.Task == "a" {
				a = s.End
			}
		}
		if got.Latency != c.want || a != c.a {
			t.Errorf("%s: %v, and %v until a's end: want %v and %v\n%v", name, got.Latency, a, c.want, c.a, got.Timeline)
		}
	}
}
