package pgp

import (
	"time"

	"github.com/chiron-faas/chiron/plan"
	"github.com/chiron-faas/chiron/plan/model"
	"github.com/chiron-faas/chiron/predict"
)

// Result is the answer to a Problem.
type Result struct {
	// Plan found: the best by the objective that meets the SLO, or, where none
	// does, the fastest.
	Plan       *plan.Plan
	Prediction *predict.Prediction
	// AtPercentile is what Problem.AtPercentile says of the plan; 0 without it.
	AtPercentile time.Duration
	// Met says whether that, or else the prediction, meets the SLO.
	Met bool
	SLO time.Duration
	// Target is what predictions were held against: the SLO, or less where it is
	// meant at a percentile.
	Target time.Duration
	// Steps are the layouts that were tried, in order.
	Steps []Step
	// Skipped are the counts of CPUs that cannot meet the SLO whatever the plan.
	Skipped []Skipped
	// Alternatives are what else there is: the plans with a CPU fewer and a CPU
	// more, and the deployment models.
	Alternatives []Alternative
	// Excluded are the deployment models that cannot run the workflow.
	Excluded []Excluded
	// Evaluations is how many predictions, of a stage, a process or the whole,
	// the search asked for.
	Evaluations int
}

// Step is one layout that the search tried.
type Step struct {
	Processes int
	// Mode of all processes but the first of each wrap.
	Mode  plan.Mode
	Wraps int
	CPUs  int
	// Shared says that no process is pinned: they share the CPUs.
	Shared bool
	// Interval is the switch interval of some of its processes; 0: the
	// interpreter's own in all.
	Interval time.Duration
	Memory   int64 // bytes, as Plan.MemoryEstimate
	Latency  time.Duration
	Meets    bool
	// Why it was rejected; empty where it meets the SLO.
	Why string
}

// Skipped is a count of CPUs that was not tried.
type Skipped struct {
	CPUs int
	// AtLeast is how long the workflow takes on them under any plan.
	AtLeast time.Duration
}

// Alternative is a plan that was not chosen.
type Alternative struct {
	// Name says what it is: "one CPU fewer", "faastlane".
	Name    string
	Plan    *plan.Plan
	Latency time.Duration
	CPUs    int
	Memory  int64 // bytes
	Meets   bool
}

// Excluded is a deployment model that cannot run the workflow.
type Excluded struct {
	Model model.Model
	// Why names functions in conflict.
	Why string
}

// Critical says what a stage's latency hangs on.
type Critical struct {
	Stage   string
	Latency time.Duration
	// Task that ends last, and where it runs.
	Task    string
	Wrap    string
	Process int // index in the wrap
}

// Critical returns, for each stage of the chosen plan, the task that ends last.
func (r *Result) Critical() []Critical {
	var out []Critical
	spans := r.Prediction.Timeline
	for i, st := range r.Prediction.Stages {
		final := i == len(r.Prediction.Stages)-1
		var last *predict.Span
		for k := range spans {
			sp := &spans[k]
			// A span of no stage but this one begins in it.
			if sp.Start < st.Start || !final && sp.Start >= st.End {
				continue
			}
			if last == nil || sp.End > last.End {
				last = sp
			}
		}
		if last != nil {
			out = append(out, Critical{Stage: st.Name, Latency: st.End - st.Start, Task: last.Task, Wrap: last.Wrap, Process: last.Process})
		}
	}
	return out
}
