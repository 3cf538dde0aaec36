package restart

import (
	"testing"
	"time"
)

// TestAfter: at once, then ever longer up to a bound, and at once again after a
// life that was long enough.
func TestAfter(t *testing.T) {
	p := Pauses{First: 100 * time.Millisecond, Longest: 500 * time.Millisecond, Well: 10 * time.Second}
	for i, step := range []struct{ lived, want time.Duration }{
		{0, 0},
		{0, 100 * time.Millisecond},
		{p.Well, 200 * time.Millisecond},
		{0, 400 * time.Millisecond},
		{0, p.Longest},
		{0, p.Longest},
		{p.Well + 1, 0},
		{0, 100 * time.Millisecond},
		{time.Hour, 0},
	} {
		if got := p.After(step.lived); got != step.want {
			t.Errorf("pause %d, after %v: %v, want %v", i, step.lived, got, step.want)
		}
	}
}
