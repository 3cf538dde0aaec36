package calibrate

import (
	"fmt"
	"math"
	"time"

	"github.com/chiron-faas/chiron/predict"
	"github.com/chiron-faas/chiron/profile"
	"github.com/chiron-faas/chiron/workflow"
)

// A prediction that misses by more than this part, and this much, is noted.
// Chosen: well over the 14.2 % by which the paper's own misses its worst workflow.
const (
	poorCheck     = 0.25
	poorCheckFrom = 500 * time.Microsecond
)

// check predicts every shape with the calibration and compares.
func (r *Report) check(observed []*observation, cpus int) error {
	runs := make(map[string]float64)
	for _, o := range observed {
		switch o.name {
		case key("sequence", 1):
			runs[doze] = midmean(o.run)
		case soloName:
			runs[spin] = midmean(o.run)
		}
	}
	fitted := make(map[string]bool)
	for _, s := range constantShapes() {
		fitted[s.name] = true
	}
	for _, o := range observed {
		predicted, err := predictShape(o.shape, runs, r.Calibration, cpus)
		if err != nil {
			return fmt.Errorf("predict shape %s: %w", o.name, err)
		}
		c := Check{Shape: o.name, Predicted: predicted, Measured: duration(midmean(o.latency)), Fitted: fitted[o.name]}
		r.Checks = append(r.Checks, c)
		if math.Abs(c.Error()) > poorCheck && (c.Predicted-c.Measured).Abs() > poorCheckFrom {
			r.note("the prediction of %s is off by %+.0f %% (%v, measured %v)",
				c.Shape, 100*c.Error(), c.Predicted.Round(10*time.Microsecond), c.Measured.Round(10*time.Microsecond))
		}
	}
	return nil
}

// predictShape predicts a shape whose functions take these times alone, ns.
func predictShape(s *shape, runs map[string]float64, c *predict.Calibration, cpus int) (time.Duration, error) {
	d, err := s.parse()
	if err != nil {
		return 0, err
	}
	predictor, err := predict.New(d, profileOf(d, runs), c, predict.Options{CPUs: s.cpus(cpus)})
	if err != nil {
		return 0, err
	}
	p, err := predictor.Predict(s.plan(cpus))
	if err != nil {
		return 0, err
	}
	return p.Latency, nil
}

// profileOf is the profile of the shapes' functions, whose behaviour is known:
// spin computes all the time, doze sleeps.
func profileOf(d *workflow.Definition, runs map[string]float64) *profile.Profile {
	p := &profile.Profile{}
	byFunction := make(map[string]int)
	for _, task := range d.Tasks() {
		i, ok := byFunction[task.Function]
		if !ok {
			class := profile.Block
			if task.Function == spin {
				class = profile.CPU
			}
			run := duration(runs[task.Function])
			i = len(p.Functions)
			byFunction[task.Function] = i
			p.Functions = append(p.Functions, profile.Function{
				Name: task.Function, Lang: "python", Wall: profile.Stat{Mean: run},
				Periods: []profile.Period{{Class: class, Mean: run}},
			})
		}
		p.Functions[i].Tasks = append(p.Functions[i].Tasks, task.Name)
	}
	return p
}
