package pgp

import (
	"time"

	"github.com/chiron-faas/chiron/plan"
	"github.com/chiron-faas/chiron/plan/model"
	"github.com/chiron-faas/chiron/predict"
	"github.com/chiron-faas/chiron/profile"
	"github.com/chiron-faas/chiron/workflow"
)

// Name is the Plan.Model of searched plans.
const Name = "chiron"

// Problem is what a plan is searched for.
type Problem struct {
	Workflow    string // the project's name
	Definition  *workflow.Definition
	Functions   map[string]*workflow.Function
	Profile     *profile.Profile
	Calibration *predict.Calibration
	// Rules that the project asks of its plans; nil: none.
	Rules *workflow.Rules
	// SLO is the latency to meet; 0 asks for nothing, and the plan with the
	// fewest CPUs is the answer.
	SLO time.Duration
	// CPUs of the machine that all wraps run on: plans that need more are not
	// looked at, unless functions in conflict force it. 0: no bound.
	CPUs int
	// Literal keeps to Algorithm 2 as it is printed, for comparison: see the
	// package's documentation for what else is done.
	Literal bool
}

// Result is the answer to a Problem.
type Result struct {
	// Plan found: the one with the fewest CPUs that meets the SLO, or, where
	// none does, the fastest.
	Plan       *plan.Plan
	Prediction *predict.Prediction
	// Met says whether the prediction meets the SLO.
	Met bool
	SLO time.Duration
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
	// Mode of all processes but the first.
	Mode  plan.Mode
	Wraps int
	CPUs  int
	// Shared says that no process is pinned: they share the CPUs.
	Shared  bool
	Memory  int64 // bytes, as Plan.MemoryEstimate
	Latency time.Duration
	Meets   bool
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
