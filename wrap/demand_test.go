package wrap

import (
	"testing"
	"time"
)

func TestDemand(t *testing.T) {
	start := time.Now()
	at := func(ms int) time.Time { return start.Add(time.Duration(ms) * time.Millisecond) }
	ask := func(d *demand, times ...int) {
		for _, ms := range times {
			d.asked(at(ms))
		}
	}
	for name, test := range map[string]struct {
		replacement time.Duration
		asks        []int
		when, want  int
	}{
		"nobody asks":                        {5 * time.Millisecond, nil, 0, 1},
		"one a second":                       {5 * time.Millisecond, []int{0, 1000, 2000}, 2000, 1},
		"three within a replacement":         {5 * time.Millisecond, []int{0, 100, 102, 104, 300}, 300, 3},
		"a burst":                            {5 * time.Millisecond, []int{7, 7, 7, 7, 7, 7}, 10, 6},
		"more than may wait":                 {5 * time.Millisecond, []int{7, 7, 7, 7, 7, 7, 7, 7, 7, 7}, 10, 8},
		"a slow replacement":                 {200 * time.Millisecond, []int{0, 50, 100, 150, 200, 250}, 250, 5},
		"a replacement that never ends":      {time.Hour, []int{0, 200, 400, 600}, 600, 2},
		"a burst, remembered":                {5 * time.Millisecond, []int{7, 7, 7, 9000}, 18000, 3},
		"a burst, forgotten":                 {5 * time.Millisecond, []int{7, 7, 7, 9000, 21000}, 32000, 1},
		"a burst, and nobody asks ever more": {5 * time.Millisecond, []int{7, 7, 7}, 60000, 1},
	} {
		t.Run(name, func(t *testing.T) {
			d := demand{limit: 8, since: start}
			d.replaced(test.replacement)
			ask(&d, test.asks...)
			if got := d.wanted(at(test.when)); got != test.want {
				t.Errorf("%d wanted, want %d", got, test.want)
			}
		})
	}
}

// Where the demand may fall there is a time to look again, and where it cannot
// there is none: an idle wrap sleeps.
func TestDemandForgets(t *testing.T) {
	start := time.Now()
	d := demand{limit: 4, since: start}
	d.asked(start)
	if got := d.forgets(); !got.IsZero() {
		t.Errorf("it looks again at %v for the one child that always waits", got)
	}
	d.replaced(time.Millisecond)
	d.asked(start)
	now := start
	for d.wanted(now) > 1 {
		next := d.forgets()
		if !next.After(now) {
			t.Fatalf("it looks again at %v, at %v", next, now)
		}
		now = next
	}
	if got := d.forgets(); !got.IsZero() || now.Sub(start) > 2*demandMemory {
		t.Errorf("forgotten after %v, looks again at %v", now.Sub(start), got)
	}
}
