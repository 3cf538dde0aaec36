package predict

import (
	"testing"
	"time"

	"github.com/chiron-faas/chiron/predict/predicttest"
)

// TestStartOrder: threads start in the plan's order, as the agent starts them,
// whatever the order of the branches. ThreadStart is 1, so the second thread
// begins at 1, and T_RPC 20, T_INV 4.
func TestStartOrder(t *testing.T) {
	c := Paper()
	c.ThreadStart = ms
	for _, test := range []struct {
		name, profile, plan string
		graph               any
		want                time.Duration
	}{
		// a computes 0-1, blocks to 11; b 1-2.
		{"a first", "a: cpu 1 block 10, b: cpu 1", "1: pool a b", predicttest.Par{"a", "b"}, 11 * ms},
		// b 0-1; a 1-2, blocks to 12.
		{"b first", "a: cpu 1 block 10, b: cpu 1", "1: pool b a", predicttest.Par{"a", "b"}, 12 * ms},
		// The same in another wrap: 12 + 4 + 20.
		{"in another wrap", "a: cpu 1 block 10, b: cpu 1, c: cpu 1", "1: pool c; 1: pool b a", predicttest.Par{"a", "b", "c"}, 36 * ms},
		// The branch a, d is spread: it begins elsewhere, before b. a takes 4 + 20 + 1,
		// then d 1.
		{"a spread branch", "a: cpu 1, d: cpu 1, b: cpu 1", "1: pool b d; 1: pool a", predicttest.Par{predicttest.Seq{"a", "d"}, "b"}, 26 * ms},
		// In a nested Parallel as well: x 1, then b 1-2, a 2-3, blocks to 13.
		{"nested", "x: cpu 1, a: cpu 1 block 10, b: cpu 1, y: cpu 1", "1: pool@0 x b a | pool@0 y", predicttest.Par{predicttest.Seq{"x", predicttest.Par{"a", "b"}}, "y"}, 14 * ms},
	} {
		t.Run(test.name, func(t *testing.T) {
			p, err := New(predicttest.Define(t, test.graph), predicttest.Behave(t, test.profile), &c, Options{})
			if err != nil {
				t.Fatal(err)
			}
			pl := predicttest.Arrange(t, test.plan)
			got, err := p.Latency(pl)
			if err != nil || got != test.want {
				t.Errorf("%v, %v, want %v", got, err, test.want)
			}
			whole, err := p.Predict(pl)
			if err != nil || whole.Latency != got {
				t.Errorf("with the timeline: %v, %v", whole.Latency, err)
			}
			// Nothing varies here.
			if drawn, err := p.Percentile(pl, 95, DistributionOptions{Samples: 3, Workers: 2}); err != nil || drawn != got {
				t.Errorf("a sample: %v, %v", drawn, err)
			}
		})
	}
}
