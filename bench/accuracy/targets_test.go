package accuracy

import (
	"math"
	"strings"
	"testing"
	"time"
)

func TestTargets(t *testing.T) {
	row := func(predicted, measured time.Duration) Row {
		return Row{Predicted: predicted, Measured: measured, PredictedP50: measured, PredictedP90: measured, PredictedP99: measured, latencies: []time.Duration{measured}}
	}
	r := &Report{Workflows: []Workflow{
		{Name: "good", Rows: []Row{row(101, 100), row(99, 100)}},
		{Name: "bad", Rows: []Row{row(92, 100), row(108, 100)}},
		{Name: "intervals", Rows: []Row{{Predicted: 1, Measured: 100, SwitchInterval: time.Millisecond}}},
	}}
	got := r.targets()
	want := []string{"4.5 % of at most 4 %: missed", "8.0 % of at most 7 %: missed", "8.0 % of at most 12 %: met", "0.0 % of at most 15 %: met"}
	if len(got) != len(want) {
		t.Fatalf("%d targets, want %d", len(got), len(want))
	}
	for i := range got {
		if got[i].String() != want[i] {
			t.Errorf("%s: %s, want %s", got[i].what, got[i], want[i])
		}
	}
	if !strings.Contains(got[1].what, "bad") {
		t.Errorf("the worst workflow is %q", got[1].what)
	}
	if (&Report{}).targets() != nil {
		t.Error("nothing measured, yet there are targets")
	}
}

func TestNoise(t *testing.T) {
	w := &Workflow{Rows: []Row{{Measured: 100, latencies: []time.Duration{95, 95, 105, 105}}, {Measured: 100, latencies: []time.Duration{100, 100}}}}
	if got := w.noise(); math.Abs(got-0.025) > 1e-9 {
		t.Errorf("got %v, want 0.025", got)
	}
}
