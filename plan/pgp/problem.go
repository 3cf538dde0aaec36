package pgp

import (
	"time"

	"github.com/chiron-faas/chiron/plan"
	"github.com/chiron-faas/chiron/predict"
	"github.com/chiron-faas/chiron/profile"
	"github.com/chiron-faas/chiron/workflow"
)

// Names of searched plans, their Plan.Model.
const (
	// Name is the search's with all process modes.
	Name = "chiron"
	// NameShared is SharedPool's: the paper's Chiron-P.
	NameShared = "chiron-p"
	// NameStandby is the search's with standby processes instead of forked ones.
	NameStandby = "chiron-s"
)

// Names lists them, the usual one first.
func Names() []string { return []string{Name, NameShared, NameStandby} }

// As makes the problem that of a name; false where that is none of Names.
func (p *Problem) As(name string) bool {
	switch name {
	case Name:
	case NameShared:
		p.Method = SharedPool
	case NameStandby:
		p.Mode = plan.Standby
	default:
		return false
	}
	return true
}

// Method is how the tasks of a stage are put into processes.
type Method string

// The methods.
const (
	// Production is the search that this package's documentation describes.
	Production Method = ""
	// Algorithm2 is the paper's, as it is printed, for comparison.
	Algorithm2 Method = "algorithm-2"
	// Exact looks at every partition of a stage of up to MaxExact tasks.
	Exact Method = "exact"
	// SharedPool is the paper's for process pools (section 4): one wrap, a resident
	// process for each branch, several pinned to one CPU (shared.go).
	SharedPool Method = "shared-pool"
)

// MaxExact is the most tasks of a stage that Exact takes.
const MaxExact = 10

// Problem is what a plan is searched for.
type Problem struct {
	Workflow    string // the project's name
	Definition  *workflow.Definition
	Functions   map[string]*workflow.Function
	Profile     *profile.Profile
	Calibration *predict.Calibration
	// Rules that the project asks of its plans; nil: none.
	Rules *workflow.Rules
	// Goal; empty: plan.FewestCPUs.
	Goal   plan.Goal
	Method Method
	// Mode that all processes but the first of each wrap are to have; empty: what
	// is best.
	Mode plan.Mode
	// SLO is the latency to meet; 0 asks for nothing.
	SLO time.Duration
	// AtPercentile says what a plan takes at the percentile that the SLO is meant
	// at; nil: the prediction itself is held against the SLO. It costs as much as
	// thousands of predictions, so the search asks it of plans that it would
	// choose, and holds others against a tighter SLO after each that fails.
	AtPercentile func(*plan.Plan) (time.Duration, error)
	// CPUs of the machine that all wraps run on: plans that need more are not
	// looked at, unless functions in conflict force it. 0: no bound.
	CPUs int
	// Budget of CPUs that a plan may need, where it is less. 0: none.
	Budget int
	// Prices for plan.LowestMoney and the frontier.
	Prices plan.Prices
	// Alternatives asks for Result.Alternatives and Excluded.
	Alternatives bool
}
