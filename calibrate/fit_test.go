package calibrate

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/chiron-faas/chiron/predict"
)

const (
	us      = time.Microsecond
	testRun = 1200 * us
)

var truth = predict.Calibration{
	Request: 280 * us, Dispatch: 120 * us, Row: 30 * us, ThreadStart: 70 * us, Startup: 3100 * us, Standby: 400 * us, Block: 1900 * us, Exit: 300 * us,
	IPC: 80 * us, RPC: 200 * us, INV: 250 * us, SwitchInterval: 5 * time.Millisecond,
}

// synthetic makes rounds in which every shape takes what the simulation says,
// plus noise.
func synthetic(t *testing.T, c *predict.Calibration, rounds int, noise func(round int) time.Duration) []*observation {
	t.Helper()
	var all []*observation
	for _, s := range constantShapes() {
		// As many CPUs as wraps could want: nothing is shared.
		latency, err := predictShape(s, map[string]float64{doze: float64(testRun), spin: float64(5 * time.Millisecond)}, c, 64)
		if err != nil {
			t.Fatal(err)
		}
		o := &observation{shape: s}
		for i := range rounds {
			o.latency = append(o.latency, float64(latency+noise(i)))
			o.run = append(o.run, float64(testRun))
			o.lastStart = append(o.lastStart, 0)
			o.tail = append(o.tail, 0)
		}
		all = append(all, o)
	}
	return all
}

func fitted(observed []*observation) *Report {
	r := &Report{Calibration: &predict.Calibration{SwitchInterval: truth.SwitchInterval}}
	r.fit(observed)
	return r
}

// The equations in fit.go are those that package predict simulates: what it
// says of the shapes gives back the constants that it was told.
func TestFitInvertsPrediction(t *testing.T) {
	r := fitted(synthetic(t, &truth, 10, func(int) time.Duration { return 0 }))
	if diff := cmp.Diff(&truth, r.Calibration); diff != "" {
		t.Errorf("constants (-told +found):\n%s", diff)
	}
	if len(r.Notes) > 0 {
		t.Errorf("notes of an exact measurement: %q", r.Notes)
	}
}

func TestFitHoldsOutAgainstNoise(t *testing.T) {
	dice := rand.New(rand.NewPCG(3, 9))
	r := fitted(synthetic(t, &truth, 40, func(round int) time.Duration {
		if round%7 == 0 { // something else ran
			return time.Duration(dice.ExpFloat64() * float64(5*time.Millisecond))
		}
		return time.Duration(dice.NormFloat64() * float64(20*us))
	}))
	for _, k := range r.Constants {
		var want time.Duration
		for _, w := range fitted(synthetic(t, &truth, 5, func(int) time.Duration { return 0 })).Constants {
			if w.Name == k.Name {
				want = w.Value
			}
		}
		if off := (k.Value - want).Abs(); off > 25*us {
			t.Errorf("%s %v, want %v", k.Name, k.Value, want)
		}
	}
}

func TestNegativeIsZeroWithANote(t *testing.T) {
	c := truth
	c.INV = 0
	observed := synthetic(t, &c, 10, func(int) time.Duration { return 0 })
	for _, o := range observed {
		if o.name == key("wraps", 4) || o.name == key("wraps", 3) {
			for i := range o.latency {
				o.latency[i] -= float64(50 * us)
			}
		}
	}
	r := fitted(observed)
	if r.Calibration.INV != 0 {
		t.Errorf("INV %v, want 0", r.Calibration.INV)
	}
	if len(r.Notes) == 0 || !strings.Contains(r.Notes[0], "INV") {
		t.Errorf("notes %q do not tell of INV", r.Notes)
	}
	if err := r.Calibration.Check(); err != nil {
		t.Error(err)
	}
}

func TestRefusesNoise(t *testing.T) {
	for name, test := range map[string]struct {
		noise func(int) time.Duration
		want  error
	}{
		"idle": {func(i int) time.Duration { return time.Duration(i%5) * 20 * us }, nil},
		"busy": {func(i int) time.Duration { return time.Duration(i%5) * 4 * time.Millisecond }, ErrNoisy},
	} {
		t.Run(name, func(t *testing.T) {
			observed := synthetic(t, &truth, 40, test.noise)
			r := fitted(observed)
			if err := r.refuse(observed); !errors.Is(err, test.want) {
				t.Errorf("refuse: %v, want %v (noise %.2f)", err, test.want, r.Noise)
			}
		})
	}
}

func TestUnsureConstantsAreNamed(t *testing.T) {
	dice := rand.New(rand.NewPCG(5, 5))
	r := fitted(synthetic(t, &truth, 10, func(int) time.Duration {
		return time.Duration(dice.NormFloat64() * float64(400*us))
	}))
	if !strings.Contains(strings.Join(r.Notes, " "), "not sure") {
		t.Errorf("notes %q do not tell that constants are doubtful", r.Notes)
	}
}

func TestShapes(t *testing.T) {
	seen := make(map[string]bool)
	for _, s := range append(constantShapes(), checkShapes()...) {
		if seen[s.name] {
			t.Errorf("two shapes are named %s", s.name)
		}
		seen[s.name] = true
		d, err := s.parse()
		if err != nil {
			t.Errorf("%s: %v", s.name, err)
			continue
		}
		width := 0
		for _, w := range s.wraps {
			for _, p := range w {
				width += len(p.tasks)
			}
		}
		if got := len(d.Tasks()); got != width {
			t.Errorf("%s has %d tasks and places %d", s.name, got, width)
		}
		if n, err := strconv.Atoi(s.name[strings.LastIndex(s.name, "-")+1:]); err == nil && n != len(d.Stages()[0].Root.Tasks()) && len(d.Stages()) == 1 {
			t.Errorf("%s has %d tasks", s.name, width)
		}
	}
}

func TestCheckError(t *testing.T) {
	for _, test := range []struct {
		predicted, measured time.Duration
		want                string
	}{
		{12 * us, 10 * us, "+0.200"},
		{9 * us, 10 * us, "-0.100"},
	} {
		if got := fmt.Sprintf("%+.3f", Check{Predicted: test.predicted, Measured: test.measured}.Error()); got != test.want {
			t.Errorf("error of %v against %v: %s, want %s", test.predicted, test.measured, got, test.want)
		}
	}
}
