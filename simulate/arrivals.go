package simulate

import (
	"fmt"
	"math"
	"math/rand/v2"
	"time"
)

// Arrivals says when requests come.
type Arrivals interface {
	// Next is when the next one comes, counted from the begin, never before the
	// last one; false: no more come.
	Next() (time.Duration, bool)
}

// Bounds of a rate, requests a second.
const (
	minRate = 1e-6
	maxRate = 1e8
)

// CheckRate says what is wrong with a rate, requests a second.
func CheckRate(perSecond float64) error {
	if !(perSecond >= minRate && perSecond <= maxRate) { // NaN too
		return fmt.Errorf("a rate of %v requests a second: give one from %v to %.0f", perSecond, minRate, maxRate)
	}
	return nil
}

// Poisson are requests of many callers who do not know of each other: the times
// between them are exponential.
type Poisson struct {
	mean float64 // ns between two
	now  float64
	dice *rand.Rand
}

// NewPoisson returns arrivals with so many requests a second.
func NewPoisson(perSecond float64, seed uint64) *Poisson {
	return &Poisson{mean: 1e9 / perSecond, dice: rand.New(rand.NewPCG(seed, arrivalStream))}
}

// Streams of random numbers that one seed gives.
const (
	arrivalStream = 1 + iota
	requestStream
	traceStream
)

// Next implements Arrivals.
func (p *Poisson) Next() (time.Duration, bool) {
	p.now += float64(p.dice.ExpFloat64() * p.mean)
	return atMost(p.now)
}

// Steady are requests at even distances.
type Steady struct {
	every float64 // ns
	n     float64
}

// NewSteady returns arrivals with so many requests a second.
func NewSteady(perSecond float64) *Steady { return &Steady{every: 1e9 / perSecond} }

// Next implements Arrivals.
func (s *Steady) Next() (time.Duration, bool) {
	s.n++
	return atMost(s.n * s.every)
}

// horizon is the longest that may be simulated: the clock counts nanoseconds, and
// everything that is due later must still be a time.
const horizon = 100 * 365 * 24 * time.Hour

func atMost(ns float64) (time.Duration, bool) {
	if ns > float64(horizon) {
		return 0, false
	}
	return time.Duration(math.Round(ns)), true
}
