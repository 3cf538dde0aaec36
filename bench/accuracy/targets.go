package accuracy

import (
	"fmt"
	"math"

	"github.com/chiron-faas/chiron/profile"
)

// target is a bound on the errors that the project has set itself.
type target struct {
	what       string
	most, have float64 // parts
}

func (t target) String() string {
	verdict := "met"
	if t.have > t.most {
		verdict = "missed"
	}
	return fmt.Sprintf("%.1f %% of at most %.0f %%: %s", 100*t.have, 100*t.most, verdict)
}

// targets are those of the report; none where nothing was measured.
func (r *Report) targets() []target {
	rows := r.rows()
	if len(rows) == 0 {
		return nil
	}
	all := r.Summary()
	worst, name := 0.0, ""
	for i := range r.Workflows {
		w := &r.Workflows[i]
		if len(w.Rows) == 0 || w.switching() {
			continue
		}
		if s := w.Summary(); s.Mean > worst {
			worst, name = s.Mean, w.Name
		}
	}
	targets := []target{
		{"mean absolute error over all", 0.04, all.Mean},
		{"mean absolute error of the worst workflow (" + name + ")", 0.07, worst},
		{"95th percentile of the absolute error", 0.12, all.P95},
	}
	if t, ok := tailOf(rows); ok {
		targets = append(targets, target{"error of the predicted p99, over all requests", 0.15, math.Abs(t.error)})
	}
	return targets
}

// noise is by how much a placement's figure is off by what the machine does: half
// the difference between the means of the first and the second half of its
// requests, as a part, on average. The halves have each half of the requests, so
// that this is about what the whole is off by.
func (w *Workflow) noise() float64 {
	sum, n := 0.0, 0.0
	for _, r := range w.Rows {
		half := len(r.latencies) / 2
		if half == 0 || r.Measured <= 0 {
			continue
		}
		first, last := profile.NewStat(r.latencies[:half]).Mean, profile.NewStat(r.latencies[half:]).Mean
		sum += math.Abs(float64(first-last)) / 2 / float64(r.Measured)
		n++
	}
	if n == 0 {
		return 0
	}
	return sum / n
}
