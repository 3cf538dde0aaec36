package predict

import (
	"time"

	"github.com/chiron-faas/chiron/plan"
	"github.com/chiron-faas/chiron/profile"
	"github.com/chiron-faas/chiron/workflow"
)

// ForkParent is what a fork cost the process that forked on the paper's test
// bed, beside T_Block (the artifact's constant): wrap 1's main process begins
// its own threads after all its children.
const ForkParent = 8 * time.Millisecond

// TestBed predicts as the planner did that the paper's authors published with
// their artifact: equations 1 to 4 and Algorithm 1 with the constants of Paper
// and three more. It answers their published figures exactly where the partition
// is known (TestTestBed). It is for comparing plans with theirs, never for a plan
// that is to run, and serves one goroutine at a time.
type TestBed struct {
	predictor *Predictor
	model     paperModel
}

// NewTestBed prepares predictions for a workflow with its profile.
func NewTestBed(d *workflow.Definition, p *profile.Profile) (*TestBed, error) {
	constants := Paper()
	predictor, err := New(d, p, &constants, Options{})
	if err != nil {
		return nil, err
	}
	return &TestBed{predictor: predictor, model: paperModel{
		Calibration: constants, parent: ForkParent, begin: 200 * time.Microsecond, turn: 5 * time.Microsecond,
	}}, nil
}

// Predict is Latency in the form of a Predictor's, without stages and timeline.
func (b *TestBed) Predict(pl *plan.Plan) (*Prediction, error) {
	latency, err := b.Latency(pl)
	return &Prediction{Latency: latency}, err
}

// Latency of one request.
func (b *TestBed) Latency(pl *plan.Plan) (time.Duration, error) {
	return b.model.latency(b.predictor, pl)
}

// StageLatency predicts one stage, by index, alone. The plan needs to place the
// tasks of that stage only.
func (b *TestBed) StageLatency(i int, pl *plan.Plan) (time.Duration, error) {
	s := &b.predictor.stages[i]
	if err := b.predictor.sim.layOut(b.predictor, pl, s); err != nil {
		return 0, err
	}
	return b.model.stage(b.predictor, s, pl)
}

// ProcessLatency predicts a process that is alone in wrap 1, as a Predictor's.
func (b *TestBed) ProcessLatency(i int, mode plan.Mode, tasks []int) (time.Duration, error) {
	s := &b.predictor.stages[i]
	all := make([]int, len(tasks))
	for k, t := range tasks {
		all[k] = s.first + t
	}
	exec := b.model.exec(b.predictor, s, all, b.model.SwitchInterval)
	if mode == plan.Fork {
		exec += b.model.Startup
	}
	return exec, nil
}
