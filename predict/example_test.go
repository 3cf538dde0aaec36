package predict_test

import (
	"fmt"
	"time"

	"github.com/chiron-faas/chiron/plan"
	"github.com/chiron-faas/chiron/predict"
	"github.com/chiron-faas/chiron/profile"
	"github.com/chiron-faas/chiron/workflow"
)

// A workflow of one function and then two at the same time, predicted without
// anything being measured: its behaviour, the machine and the plan are written by
// hand.
func Example() {
	definition, err := workflow.ParseDefinition("thumbnails.asl.json", []byte(`{
	  "StartAt": "Fetch",
	  "States": {
	    "Fetch": {"Type": "Task", "Resource": "fetch", "Next": "Work"},
	    "Work": {"Type": "Parallel", "End": true, "Branches": [
	      {"StartAt": "Resize", "States": {"Resize": {"Type": "Task", "Resource": "resize", "End": true}}},
	      {"StartAt": "Label",  "States": {"Label":  {"Type": "Task", "Resource": "label",  "End": true}}}
	    ]}
	  }
	}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	const ms = time.Millisecond
	measured := &profile.Profile{Functions: []profile.Function{
		{Name: "fetch", Tasks: []string{"Fetch"}, Periods: []profile.Period{
			{Class: profile.CPU, Mean: 1 * ms},
			{Class: profile.Block, Mean: 20 * ms, StdDev: 4 * ms},
		}},
		{Name: "resize", Tasks: []string{"Resize"}, Periods: []profile.Period{
			{Class: profile.CPU, Mean: 2 * ms},
			{Class: profile.Native, Mean: 10 * ms, StdDev: 1 * ms}, // beside the interpreter lock
		}},
		{Name: "label", Tasks: []string{"Label"}, Periods: []profile.Period{
			{Class: profile.CPU, Mean: 15 * ms, StdDev: 1 * ms},
		}},
	}}
	machine := &predict.Calibration{
		Request: 300 * time.Microsecond, Dispatch: 100 * time.Microsecond, ThreadStart: 50 * time.Microsecond,
		SwitchInterval: predict.DefaultSwitchInterval,
	}
	threads := &plan.Plan{Workflow: "thumbnails", Wraps: []plan.Wrap{{
		Name: "wrap-1", CPUs: 2,
		Processes: []plan.Process{{Mode: plan.Pool, CPU: plan.Unpinned, Tasks: []string{"Fetch", "Resize", "Label"}}},
	}}}

	predictor, err := predict.New(definition, measured, machine, predict.Options{CPUs: 2})
	if err != nil {
		fmt.Println(err)
		return
	}
	prediction, err := predictor.Predict(threads)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("latency:", prediction.Latency, "CPU time:", prediction.CPU)
	for _, s := range prediction.Timeline {
		fmt.Printf("%-6s %-6s %9v to %v\n", s.Task, s.Activity, s.Start, s.End)
	}
	varied, err := predictor.Distribution(threads, predict.DistributionOptions{Seed: 1})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("of", varied.Samples, "requests: p50", varied.P50.Round(ms/10), "p99", varied.P99.Round(ms/10))
	// Output:
	// latency: 38.5ms CPU time: 28ms
	// Fetch  start      150µs to 250µs
	// Fetch  cpu        250µs to 1.25ms
	// Fetch  block     1.25ms to 21.25ms
	// Resize start    21.25ms to 21.35ms
	// Resize cpu      21.35ms to 23.35ms
	// Resize native   23.35ms to 33.35ms
	// Resize lock     33.35ms to 38.35ms
	// Label  start    21.25ms to 21.4ms
	// Label  lock      21.4ms to 23.35ms
	// Label  cpu      23.35ms to 38.35ms
	// of 1000 requests: p50 37.3ms p99 52.4ms
}
