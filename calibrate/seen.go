package calibrate

import (
	"fmt"
	"time"

	"github.com/chiron-faas/chiron/predict"
)

// LeastSeen is the fewest calls between wraps that say what one costs.
const LeastSeen = 20

// Calls are what one wrap has seen of its calls of others.
type Calls struct {
	// Seen calls, and what one took beyond the work of the wrap that was called.
	Seen     int
	Overhead time.Duration
}

// Seen returns the calibration with the T_RPC that deployed wraps have seen, the
// mean over their calls, instead of this machine's own: wraps on several machines
// call each other over a network. What else the constants say is the machine's, and
// stays.
func Seen(c *predict.Calibration, calls []Calls) (*predict.Calibration, error) {
	var sum time.Duration
	n := 0
	for _, s := range calls {
		sum += time.Duration(s.Seen) * s.Overhead
		n += s.Seen
	}
	switch {
	case len(calls) == 0:
		return nil, fmt.Errorf("the wrap calls no other: ask wrap 1 of a plan with several")
	case n < LeastSeen:
		return nil, fmt.Errorf("%d calls between wraps have been seen, and it takes %d to know what one costs: send it requests first", n, LeastSeen)
	}
	seen := *c
	seen.RPC = (sum / time.Duration(n)).Round(time.Microsecond)
	return &seen, seen.Check()
}
