package systems

import (
	"context"
	"fmt"
	"time"

	"github.com/chiron-faas/chiron/plan/pgp"
	"github.com/chiron-faas/chiron/predict"
	"github.com/chiron-faas/chiron/workflow"
)

// nodeCPUs are those of a node of the paper's test bed (its table 2).
const nodeCPUs = 40

// Simulated is one system on a machine with as many CPUs as the paper's nodes, each
// like one of this machine's: predicted from the functions' profiles and this
// machine's constants. Nothing of it was measured; Measured over Here says how the
// same model does on this machine.
type Simulated struct {
	System string        `json:"system"`
	CPUs   int           `json:"cpus"`
	Mean   time.Duration `json:"mean_ns"`
	P99    time.Duration `json:"p99_ns"`
	Memory int64         `json:"memory_bytes"`
	// Rate is the throughput of a node whose CPUs are all given to instances that
	// work on one request at a time, as the paper counts it.
	Rate float64 `json:"requests_per_second"`
	// Here is what the model says of the plan that was measured on this machine,
	// Measured what it took.
	Here     time.Duration `json:"here_ns"`
	Measured time.Duration `json:"here_measured_ns"`
}

// samples of a simulated distribution.
const samples = 400

// simulated predicts the systems on the paper's node. Chiron's plans are searched
// anew, for the SLO that Faastlane sets there, with the same margin.
func simulated(m *measured, c *predict.Calibration, w *Workflow) ([]Simulated, error) {
	if c == nil {
		return nil, nil
	}
	node, err := predict.New(m.definition, m.profile, c, predict.Options{CPUs: nodeCPUs})
	if err != nil {
		return nil, err
	}
	here, err := predict.New(m.definition, m.profile, c, predict.Options{CPUs: m.profile.Machine.CPUs})
	if err != nil {
		return nil, err
	}
	base, err := node.Latency(m.plan(yardstick))
	if err != nil {
		return nil, err
	}
	var all []Simulated
	for _, row := range w.Rows {
		pl := row.plan
		if (&pgp.Problem{}).As(row.System) {
			project := &workflow.Project{Name: m.name, Definition: m.definition}
			found, err := searched(context.Background(), row.System, project, m.profile, c, aim(base+Slack), nodeCPUs, samples)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", row.System, err)
			}
			if found.Plan == nil {
				continue
			}
			pl = found.Plan
		}
		s := Simulated{System: row.System, CPUs: pl.CPUs(), Memory: pl.MemoryEstimate(m.profile), Measured: row.Mean}
		d, err := node.Distribution(pl, predict.DistributionOptions{Samples: samples})
		if err != nil {
			return nil, fmt.Errorf("%s: %w", row.System, err)
		}
		s.Mean, s.P99 = d.Mean, d.P99
		if d, err = here.Distribution(row.plan, predict.DistributionOptions{Samples: samples}); err != nil {
			return nil, fmt.Errorf("%s: %w", row.System, err)
		}
		s.Here = d.Mean
		if s.Mean > 0 {
			s.Rate = float64(nodeCPUs) / float64(s.CPUs) / s.Mean.Seconds()
		}
		all = append(all, s)
	}
	return all, nil
}
