package wrap

import (
	"net/http"
	"slices"
	"sync"
	"time"
)

// keptOverheads is how many of the last calls to a peer are remembered: enough for a
// median that repeats, and so few that a network that has changed shows soon.
const keptOverheads = 256

// overheads keeps what the last calls of a peer took beyond the peer's own work:
// what the paper calls T_RPC, as it is seen.
type overheads struct {
	mu    sync.Mutex
	calls int64           // guarded by mu
	last  []time.Duration // a ring, guarded by mu
}

// add notes a call: what it took here, and what the peer says that it worked.
func (o *overheads) add(took, worked time.Duration) {
	beyond := max(0, took-worked)
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.last) < keptOverheads {
		o.last = append(o.last, beyond)
	} else {
		o.last[o.calls%keptOverheads] = beyond
	}
	o.calls++
}

// PeerStats is what a wrap has seen of its calls of another.
type PeerStats struct {
	Wrap string `json:"wrap"`
	// Calls that were answered; Seen of the last of them are in what follows.
	Calls int64 `json:"calls"`
	Seen  int   `json:"seen"`
	// OverheadUS is what a call took beyond the other wrap's own work (T_RPC): the
	// mean of the middle half, so that neither a first connection nor a packet that
	// was lost decides. MedianUS and P99US are of the same calls.
	OverheadUS float64 `json:"overhead_us"`
	MedianUS   float64 `json:"median_us"`
	P99US      float64 `json:"p99_us"`
}

func (o *overheads) stats(wrap string) PeerStats {
	o.mu.Lock()
	s := PeerStats{Wrap: wrap, Calls: o.calls, Seen: len(o.last)}
	sorted := slices.Sorted(slices.Values(o.last))
	o.mu.Unlock()
	n := len(sorted)
	if n == 0 {
		return s
	}
	us := func(d time.Duration) float64 { return float64(d) / 1e3 }
	middle := sorted[n/4 : n-n/4]
	var sum time.Duration
	for _, d := range middle {
		sum += d
	}
	s.OverheadUS = us(sum) / float64(len(middle))
	s.MedianUS, s.P99US = us(sorted[n/2]), us(sorted[(99*n+99)/100-1])
	return s
}

// worked is how long a peer says that it worked on a call; false: it does not say.
// A gateway between the two may add how long it took itself: the least is the wrap's.
func worked(h http.Header) (time.Duration, bool) {
	var least time.Duration
	told := false
	for _, v := range h.Values(headerDuration) {
		if d, err := time.ParseDuration(v + "s"); err == nil && (!told || d < least) {
			least, told = d, true
		}
	}
	return least, told
}
