package restart

import "time"

// Pauses are those before the restarts of one thing. One goroutine uses them.
type Pauses struct {
	// First is the pause after the second end, the first one's being none; each
	// further one is twice as long, up to Longest.
	First, Longest time.Duration
	// Well is how long it has to live for its end to count as a first one again.
	Well time.Duration

	next time.Duration
}

// After is the pause that follows an end, of what had been started so long before.
func (p *Pauses) After(lived time.Duration) time.Duration {
	if lived > p.Well {
		p.next = 0
	}
	pause := p.next
	p.next = min(max(2*pause, p.First), p.Longest)
	return pause
}
