package pipeline

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"time"

	"github.com/chiron-faas/chiron/deploy"
	"github.com/chiron-faas/chiron/predict"
	"github.com/chiron-faas/chiron/workflow"
)

// RunOptions of Run.
type RunOptions struct {
	Project *workflow.Project
	// Prepare says how to come to a plan.
	Prepare PrepareOptions
	// Target that the wraps run on.
	Target deploy.Target
	// Requests and WarmUp as MeasureOptions has them.
	Requests, WarmUp int
	// Prepared is told of what is known before anything is deployed; nil: nobody.
	Prepared func(*Prepared)
	Log      *slog.Logger
	Progress Progress
}

// runName is the deployment's name: one that "chiron up" of the same project does
// not use, so that both may be there.
func runName(project string) string {
	const suffix = "-run"
	// A DNS label has 63 characters.
	return strings.TrimRight(project[:min(len(project), 63-len(suffix))], "-") + suffix
}

// Verdict is how the objective fared.
type Verdict struct {
	Objective
	// Measured at the objective's percentile.
	Measured Millis `json:"measured_ms"`
	Met      bool   `json:"met"`
	// TooFew says that the percentile is the slowest of too few requests.
	TooFew bool `json:"too_few_requests,omitempty"`
}

// Ran is what a run found out.
type Ran struct {
	Prepared *Prepared
	Measured *Measurement
	// Errors of the predicted distribution.
	Errors Errors
	// Verdict is nil where there is no objective.
	Verdict *Verdict
}

// Errors of a prediction, each (predicted − measured) / measured; 0 where nothing
// was measured.
type Errors struct {
	Mean float64 `json:"mean"`
	P50  float64 `json:"p50"`
	P90  float64 `json:"p90"`
	P99  float64 `json:"p99"`
}

func errorsOf(d *predict.Distribution, m *Measurement) Errors {
	part := func(predicted, measured time.Duration) float64 {
		if measured <= 0 {
			return 0
		}
		return float64(predicted-measured) / float64(measured)
	}
	return Errors{
		Mean: part(d.Mean, m.Latency.Mean), P50: part(d.P50, m.Latency.P50),
		P90: part(d.P90, m.Percentile(90)), P99: part(d.P99, m.Latency.P99),
	}
}

// Run goes the whole way: it profiles where need be, plans, bundles, deploys
// on this machine, serves, measures, and takes everything down again.
func Run(ctx context.Context, o RunOptions) (_ *Ran, err error) {
	o.Prepare.Project, o.Prepare.Progress = o.Project, o.Progress
	prepared, err := Prepare(ctx, o.Prepare)
	if err != nil {
		return nil, err
	}
	if o.Prepared != nil {
		o.Prepared(prepared)
	}
	listener, err := Listen(ctx, "127.0.0.1:0") // nobody else is to call it
	if err != nil {
		return nil, err
	}
	served, err := Serve(ctx, ServeOptions{
		Project: o.Project, Plan: prepared.Planned.Plan, Name: runName(o.Project.Name), Target: o.Target,
		Listener: listener, Log: o.Log, Progress: o.Progress,
	})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, served.Close()) }()
	measured, err := Measure(ctx, MeasureOptions{
		URL: served.URL + "/function/" + o.Project.Name, Input: o.Project.Input,
		Requests: o.Requests, WarmUp: o.WarmUp, Progress: o.Progress,
	})
	if err != nil {
		return nil, err
	}
	ran := &Ran{Prepared: prepared, Measured: measured, Errors: errorsOf(prepared.Planned.Distribution, measured)}
	if want := prepared.Planned.Objective; want != nil {
		got := want.Of(measured.Samples)
		ran.Verdict = &Verdict{
			Objective: *want, Measured: Millis(got), Met: got <= time.Duration(want.Latency),
			TooFew: measured.Requests < want.need(),
		}
	}
	return ran, nil
}
