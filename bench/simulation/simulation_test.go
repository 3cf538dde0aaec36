package simulation

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestArrivals(t *testing.T) {
	times := arrivals(100, 100*time.Second, 1)
	if !slices.IsSorted(times) || math.Abs(float64(len(times))-10_000) > 400 || times[len(times)-1] > 100*time.Second {
		t.Errorf("%d requests until %v", len(times), times[len(times)-1])
	}
	if !slices.Equal(times, arrivals(100, 100*time.Second, 1)) {
		t.Error("one seed gives two series")
	}
	again := &played{times: times[:2], every: time.Hour}
	for i := range 2 * rounds {
		if at, more := again.Next(); at != times[i%2]+time.Duration(i/2)*time.Hour || !more {
			t.Error(i, at, more)
		}
	}
	if _, more := again.Next(); more {
		t.Error("it does not end")
	}
}

func TestWrongOptions(t *testing.T) {
	for _, o := range []Options{{Rates: []float64{0}}, {Rates: []float64{1, math.NaN()}}, {Rates: []float64{1e9}}, {Length: -1}} {
		if _, err := Run(t.Context(), o); err == nil || !strings.HasPrefix(err.Error(), "simulation: a ") {
			t.Errorf("%+v: %v", o, err)
		}
	}
}

func TestText(t *testing.T) {
	all := []time.Duration{30 * time.Millisecond, 10 * time.Millisecond}
	r := &Report{Plan: "w · chiron", Seed: 3, Rows: []Row{{Rate: 2.5, Requests: 2, Served: figures(all), Simulated: figures(all[:1])}}}
	r.Machine.CPUs = 2
	var b strings.Builder
	if err := r.WriteText(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"2 CPUs, seed 3", "2.5/s", "20.0 / 30.0 (+50 %)", "10.0 / 30.0 (+200 %)", "30.0 / 30.0 (+0 %)"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("%q is not in\n%s", want, b.String())
		}
	}
}
