package wrap

import "time"

const (
	// demandMemory is how long the busiest moment is remembered, once to twice.
	demandMemory = 10 * time.Second
	// longestReplacement bounds what a replacement is taken to need: on a CPU that
	// is busy they take as long as it is, and more children would not help it.
	longestReplacement = 250 * time.Millisecond
)

// demand says how many children of a standby process are to wait: as many as
// requests asked for within the time that one takes to be replaced, at the
// busiest moment of the last demandMemory; at least one, at most limit.
type demand struct {
	limit int
	// asks are the times of the last ones, at most limit, oldest first.
	asks []time.Time
	// replacement is how long they take, smoothed.
	replacement time.Duration
	// busiest moments of this window, which began at since, and the last one's.
	busiest, before int
	since           time.Time
}

// asked notes that a request asked for a child.
func (d *demand) asked(now time.Time) {
	d.turn(now)
	if len(d.asks) == d.limit {
		d.asks = append(d.asks[:0], d.asks[1:]...)
	}
	d.asks = append(d.asks, now)
	n := 0
	for i := len(d.asks) - 1; i >= 0 && now.Sub(d.asks[i]) <= d.replacement; i-- {
		n++
	}
	d.busiest = max(d.busiest, n)
}

// replaced notes how long a child was missing.
func (d *demand) replaced(took time.Duration) {
	took = min(took, longestReplacement)
	if d.replacement == 0 {
		d.replacement = took
		return
	}
	d.replacement += (took - d.replacement) / 8
}

// wanted children.
func (d *demand) wanted(now time.Time) int {
	d.turn(now)
	return min(d.limit, max(1, d.busiest, d.before))
}

// turn begins a new window when it is time.
func (d *demand) turn(now time.Time) {
	switch passed := now.Sub(d.since); {
	case passed < demandMemory:
		return
	case passed < 2*demandMemory:
		d.before = d.busiest
	default:
		d.before = 0
	}
	d.busiest, d.since = 0, now
}

// forgets is when the demand may have fallen; zero where it cannot.
func (d *demand) forgets() time.Time {
	if max(d.busiest, d.before) <= 1 {
		return time.Time{}
	}
	return d.since.Add(demandMemory)
}
