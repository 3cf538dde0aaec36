package calibrate

import (
	"fmt"
	"time"

	"github.com/chiron-faas/chiron/predict"
)

// Report is a calibration with all that it was taken from.
type Report struct {
	Calibration *predict.Calibration `json:"calibration"`
	Constants   []Constant           `json:"constants"`
	// Observations are the shapes that were measured, those of the checks too.
	Observations []Observation `json:"observations"`
	// Checks hold predictions made with the calibration against measurements.
	Checks []Check `json:"checks,omitempty"`
	// Noise is how far apart the middle half of the latencies of the same request
	// were, as a part of what the fastest of them cost beyond the function: below
	// 0.5 on an idle machine.
	Noise float64 `json:"noise"`
	// Notes are what a user should know, one line each.
	Notes []string      `json:"notes,omitempty"`
	Took  time.Duration `json:"took_ns"`
}

// Constant is a line of the table of constants.
type Constant struct {
	Name string `json:"name"`
	// Symbol is the paper's; empty where it has none.
	Symbol string        `json:"symbol,omitempty"`
	Value  time.Duration `json:"value_ns"`
	// Spread is how far apart the middle half of the values was that resampled
	// rounds gave: about 1.35 standard errors of Value.
	Spread time.Duration `json:"spread_ns"`
	// How it was measured.
	How string `json:"how"`
}

// Observation is what was measured of a shape: a tiny workflow with its plan.
// All but the name are midmeans over the rounds (the
// mean of the middle half).
type Observation struct {
	Shape   string        `json:"shape"`
	Rounds  int           `json:"rounds"`
	Latency time.Duration `json:"latency_ns"`
	// Spread of Latency: how far apart the middle half of the rounds was.
	Spread time.Duration `json:"spread_ns"`
	// Run is the mean time of its functions alone, as their host measured it.
	Run time.Duration `json:"run_ns"`
	// LastStart is when the last function of the last stage began, after the
	// request was sent; Tail is from the last function's end to the answer.
	LastStart time.Duration `json:"last_start_ns"`
	Tail      time.Duration `json:"tail_ns"`
}

// Check is one prediction beside its measurement.
type Check struct {
	Shape     string        `json:"shape"`
	Predicted time.Duration `json:"predicted_ns"`
	Measured  time.Duration `json:"measured_ns"`
	// Fitted says that the constants were taken from this shape too: its error
	// says how well the model's lines fit, not how well it predicts.
	Fitted bool `json:"fitted"`
}

// Error of the prediction, as a part of the measurement; positive where it is
// too long.
func (c Check) Error() float64 {
	return float64(c.Predicted-c.Measured) / float64(max(c.Measured, 1))
}

func (r *Report) note(format string, args ...any) {
	r.Notes = append(r.Notes, fmt.Sprintf(format, args...))
}

func (r *Report) observe(observed []*observation) {
	for _, o := range observed {
		r.Observations = append(r.Observations, Observation{
			Shape: o.name, Rounds: len(o.latency),
			Latency: duration(midmean(o.latency)), Spread: duration(spread(o.latency)), Run: duration(midmean(o.run)),
			LastStart: duration(midmean(o.lastStart)), Tail: duration(midmean(o.tail)),
		})
	}
}
