package ebpf

import (
	"slices"
	"time"

	"github.com/chiron-faas/chiron/internal/quantile"
)

const (
	// maxProbeCost bounds what one probe is thought to cost: a trap into the
	// kernel, the program, and a step over the instruction that the trap
	// replaced. Measured: 1 to 2 µs.
	maxProbeCost = 6 * time.Microsecond
	// piecesForBound is how many pieces tell what the shortest are.
	piecesForBound = 16
)

// cost is what the lock's probes add to a thread, per probe hit.
type cost struct {
	// native is what lies in pieces without the lock, held in those with it. A
	// probe tells of a moment in its middle: half a hit lies on either side.
	native, held float64 // ns
}

// costOf finds the cost from the session itself: what close runs are longer on
// the CPU than light ones, per hit. Where there are few hits that is mostly
// noise, so it is also bounded by the shortest pieces, which hold it whole: by
// a good quantile of them.
func costOf(light, near []run) cost {
	var hits []time.Duration // as numbers
	for i := range near {
		hits = append(hits, time.Duration(near[i].probes()))
	}
	n := float64(quantile.Median(hits))
	if n == 0 {
		return cost{}
	}
	excess := float64(medianOf(near, (*run).onCPU)-medianOf(light, (*run).onCPU)) / n
	excess = min(max(0, excess), float64(maxProbeCost))
	c := cost{native: excess, held: excess}
	var native, held []float64
	for i := range near {
		for _, s := range near[i].stretches {
			for _, p := range s {
				if p.probes < 1 {
					continue // a wait may have cut it: half its cost is elsewhere
				}
				per := float64(p.took) / p.probes
				if p.native {
					native = append(native, per)
				} else {
					held = append(held, per)
				}
			}
		}
	}
	// What one side cannot hold lies on the other.
	if len(native) >= piecesForBound {
		slices.Sort(native)
		c.native = min(c.native, quantile.Nearest(native, 10))
		c.held = min(2*excess-c.native, float64(maxProbeCost))
	}
	if len(held) >= piecesForBound {
		slices.Sort(held)
		c.held = min(c.held, quantile.Nearest(held, 10))
	}
	return c
}

// off takes the cost off a stretch's pieces.
func (c cost) off(s stretch) stretch {
	out := slices.Clone(s)
	for i := range out {
		p := &out[i]
		per := c.held
		if p.native {
			per = c.native
		}
		p.took = max(0, p.took-time.Duration(per*p.probes))
	}
	return out
}
