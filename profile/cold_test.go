package profile

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestColdPeriods(t *testing.T) {
	mean := func(ms int) Stat { return Stat{Mean: time.Duration(ms) * time.Millisecond} }
	period := func(c Class, ms int) Period { return Period{Class: c, Mean: time.Duration(ms) * time.Millisecond} }
	for name, test := range map[string]struct {
		f    Function
		want []Period
	}{
		"not measured": {
			Function{Wall: mean(3), CPU: mean(3), Periods: []Period{period(CPU, 3)}},
			[]Period{period(CPU, 3)},
		},
		"more of both": {
			Function{Wall: mean(10), CPU: mean(4), Cold: mean(20), ColdCPU: mean(8), Periods: []Period{period(CPU, 1), period(Block, 6), period(CPU, 3)}},
			[]Period{period(CPU, 2), period(Block, 12), period(CPU, 6)},
		},
		"native code is no slower": {
			Function{Wall: mean(10), CPU: mean(10), Cold: mean(12), ColdCPU: mean(12), Periods: []Period{period(CPU, 2), period(Native, 8)}},
			[]Period{period(CPU, 4), period(Native, 8)},
		},
		"no block to wait in": {
			Function{Wall: mean(4), CPU: mean(4), Cold: mean(8), ColdCPU: mean(4), Periods: []Period{period(CPU, 4)}},
			[]Period{period(CPU, 8)},
		},
		"nothing holds the lock": {
			Function{Wall: mean(4), CPU: mean(4), Cold: mean(6), ColdCPU: mean(6), Periods: []Period{period(Native, 4)}},
			[]Period{period(CPU, 2), period(Native, 4)},
		},
		"faster when it was cold": {
			Function{Wall: mean(4), CPU: mean(4), Cold: mean(3), ColdCPU: mean(3), Periods: []Period{period(CPU, 4)}},
			[]Period{period(CPU, 4)},
		},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, test.f.ColdPeriods()); diff != "" {
				t.Error(diff)
			}
		})
	}
}
